//! What can go wrong with the embedded PostgreSQL, one line each, written for the person who typed `cargo run`.

use std::path::{Path, PathBuf};

/// Why the embedded PostgreSQL could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Neither installed nor downloadable.
    #[error(
        "PostgreSQL's server programs were not found and could not be downloaded ({reason}): install them \
         (Debian/Ubuntu: `apt-get install postgresql`, macOS: `brew install postgresql`), name their folder in PG_BIN, \
         or set DATABASE_URL to a running server (`docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=postgres postgres:17`)"
    )]
    BinariesMissing { reason: String },

    /// The folder that the settings name explicitly is of no use.
    #[error("{} is not a folder of PostgreSQL's server programs: {reason}", folder.display())]
    BadBinaries { folder: PathBuf, reason: String },

    #[error(
        "port {port} is already in use, so PostgreSQL cannot listen on it: stop what uses it or choose another port"
    )]
    PortTaken { port: u16 },

    /// `pid` is the sandbox that holds the folder, or the server itself when its sandbox is gone.
    #[error("PostgreSQL already runs on {} (process {pid}): stop that one first", folder.display())]
    AlreadyRunning { folder: PathBuf, pid: u32 },

    /// The folder's content is damaged, or of another PostgreSQL version.
    #[error(
        "PostgreSQL cannot use the data in {} ({detail}): start over with --fresh, which deletes it, or restore the folder",
        folder.display()
    )]
    DataUnusable { folder: PathBuf, detail: String },

    /// Not ours: never touched, not even by `--fresh`.
    #[error("{} cannot hold PostgreSQL's data: {detail}; remove it or choose another folder", folder.display())]
    ForeignFolder { folder: PathBuf, detail: String },

    #[error("PostgreSQL did not start: {detail} (its log is {})", log.display())]
    StartFailed { detail: String, log: PathBuf },

    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },

    #[error("{what}: {source}")]
    Database { what: String, source: sqlx::Error },

    /// The caller's own preparation of a template database failed.
    #[error("the template database could not be prepared: {0:#}")]
    Template(anyhow::Error),
}

impl PostgresError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(super) fn at(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::io(format!("cannot {verb} {}", path.display()))
    }

    pub(super) fn database(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let what = what.into();
        move |source| Self::Database { what, source }
    }
}
