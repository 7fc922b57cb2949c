//! A private PostgreSQL server on this machine: the sandbox's database, and the one that all tests share.
//!
//! It finds the server's programs (or downloads a pinned copy), makes a cluster in a folder of its own, runs it on
//! 127.0.0.1 under a guard that outlives `kill -9`, and stops it. It works as root too, where PostgreSQL itself
//! refuses to. It knows nothing of FreeHunt's schema: callers migrate.

mod binaries;
mod data_folder;
mod download;
mod error;
mod server;
mod test_cluster;
mod test_database;
mod user;
mod watchdog;

pub use error::PostgresError;
pub use server::{PostgresServer, PostgresSettings};
pub use test_cluster::{TestCluster, TestClusterSettings};
pub use test_database::TestDatabase;

#[cfg(test)]
mod tests;
