//! The client for Authentik, the identity provider: its flow executor (log-in and enrolment forms), its
//! session check, its user directory for operators, and OpenID Connect.
//!
//! It knows nothing of FreeHunt's users, cookies or database. Whatever it holds that is secret (cookies,
//! passwords, tokens) is kept out of `Debug`, of errors and of logs.

mod circuit;
mod client;
mod directory;
mod error;
mod flow;
mod http;
pub mod oidc;
mod session;
mod stages;

pub use crate::{
    circuit::CircuitSettings,
    client::{Authentik, AuthentikSettings, DEFAULT_INVALIDATION_FLOW, Enrolled, Enrollment, Identity, LogIn},
    directory::{DirectoryUser, UserPage},
    error::{BuildError, FieldError, FlowErrors, Unavailable, UnavailableKind},
    session::{SESSION_COOKIE, SessionCookie},
};
