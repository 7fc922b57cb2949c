//! Fault case 147: programs of an older version work on today's schema, beside today's programs.
//!
//! `tests/rollback/run` builds the older programs from the repository's history, and runs the tests that need them. The rule
//! that makes it possible is held by the suite: migrations add what older statements need not know.

mod business;
mod schema;
mod statements;

use std::path::PathBuf;

/// The last migration of the oldest version that can be rolled back to. A migration that takes something away raises it,
/// once no such version runs any more.
const ROLLED_BACK_TO: i64 = 21;

/// A folder that `tests/rollback/run` names.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests themselves")]
fn folder(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable);
    PathBuf::from(folder.unwrap_or_else(|| panic!("{variable} is not set; tests/rollback/run sets it")))
}
