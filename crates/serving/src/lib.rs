//! What both servers share around their routes: serving and draining, readiness, logs, traces, metrics, and the pulse of
//! a connection that listens.
//!
//! It knows no route of theirs and reads no setting.

pub mod health;
pub mod heart;
pub mod logging;
pub mod metrics;
pub mod open_files;
pub mod readiness;
pub mod requests;
pub mod serve;
pub mod traces;

pub use readiness::Readiness;
