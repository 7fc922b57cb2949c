//! FreeHunt's features: their types, rules, SQL and policy, shared by the HTTP API and the messaging server.
//!
//! A feature is a folder named by its URL noun: `model.rs` holds types and pure rules, `queries.rs` one statement a
//! function, and each use case with a rule has a file of its own. Nothing here knows HTTP, Stripe, S3 or Authentik.

pub mod audit;
pub mod candidates;
pub mod chat_events;
pub mod checkpoints;
pub mod companies;
pub mod conversations;
pub mod database;
pub mod documents;
pub mod error;
pub mod freelances;
mod grouping;
pub mod ids;
pub mod job_postings;
pub mod jobs;
pub mod limits;
pub mod live_chat;
pub mod messages;
pub mod money;
pub mod payments;
pub mod policy;
pub mod profiles;
pub mod projects;
pub mod retry;
pub mod schema;
pub mod search;
pub mod seed;
pub mod sessions;
pub mod skills;
pub mod time;
pub mod users;

pub use error::Violation;
pub use money::Cents;
pub use time::Timestamp;
