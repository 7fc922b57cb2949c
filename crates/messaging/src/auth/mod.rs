//! Who may open a socket: every handshake and every poll shows an allowed origin and a session.

mod credentials;
mod guard;
mod handshake;

pub use credentials::{Credential, Recognised, recognise, recognise_token};
pub use guard::guard;
pub use handshake::{Handshake, Handshakes};
