//! Sessions: opaque random tokens, stored hashed, valid on every replica. The HTTP API makes, checks and revokes them;
//! the messaging server recognises them.
//!
//! A revocation is told to every process on the channel [`CHANNEL`], with the session's id, when it commits.

mod model;
mod open;
pub mod queries;
mod renewal;
mod revoke;
pub mod secrets;
mod sweep;

pub use model::{
    SessionOrigin, SessionRow, TicketHolder, Token, hash_provider_session, hash_secret, hash_upstream_cookie,
    hash_upstream_session,
};
pub use open::{NewSession, open};
pub use renewal::is_renewed_elsewhere;
pub use revoke::{CHANNEL, LogOut, announce_user, log_out, provider_log_out, revoke_refused, revoke_refused_session};
pub use sweep::{MEMORY_OF_THE_DEAD, sweep_expired};
