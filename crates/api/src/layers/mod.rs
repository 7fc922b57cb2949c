//! What happens to every request before its route and to every answer after it.

mod cors;
mod csrf;
mod etag;
mod headers;
mod health;
mod normalize;
mod panics;

pub use cors::{answer_options_with_204, cors};
pub use csrf::refuse_foreign_origins;
pub use etag::{add_etag, etag_of};
pub use headers::{add_security_headers, public_scheme_is_https};
pub use health::PlainHealth;
pub use normalize::{KnownSegments, OriginalUri, normalize_path};
pub use panics::catch_panics;
