//! Sessions: opaque random tokens, stored hashed, valid on every replica. The HTTP API makes, checks and revokes them;
//! the messaging server recognises them.

mod model;
pub mod queries;

pub use model::{SessionOrigin, SessionRow, Token, hash_secret};
