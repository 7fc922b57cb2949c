//! What a handler asks for in its arguments (the session, path and query values, a checked body, and permission on a
//! subject), and how it answers. The order of refusal is fixed: session, role, path, body, visibility, right, then (in the use case) state.

mod access;
mod answers;
mod body;
mod malformed;
mod members;
mod params;
mod rules;
mod session;

pub use access::{Access, Allowed, AllowedBody};
pub use answers::{Created, Json, MaybeJson, Text, json_response};
pub use body::{JSON_LIMIT_BYTES as BODY_LIMIT_BYTES, ValidBody, Validate, date, optional_date, parse_date};
pub use params::{PathId, PathIds};
pub use rules::{Field, Rule, Unknown, is_email};
pub use session::{ClientAddress, MaybeSession, Session, client_address};
