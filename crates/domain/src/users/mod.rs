//! Users: the rows everything else belongs to. Identity at Authentik is in `identity`; sessions are a feature of
//! their own.

mod model;
pub mod queries;

pub use model::{Role, User};
