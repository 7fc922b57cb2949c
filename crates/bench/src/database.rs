//! The benchmarks' own PostgreSQL: durable, with the memory a small server would give it, and one database for each
//! set of sizes. Its data stays between runs, because generating a million rows takes minutes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use freehunt_sandbox::postgres::{PostgresServer, PostgresSettings};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::generate::{self, Sizes};

/// What differs from PostgreSQL's defaults; takes effect at a start. Reported with the results.
pub const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "1GB"),
    ("effective_cache_size", "4GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "15min"),
    ("random_page_cost", "1.1"),
];

/// A running server with a filled database.
pub struct Database {
    server: PostgresServer,
    name: String,
}

impl Database {
    /// Starts the server on `folder` and fills a database of these sizes, unless there is one.
    pub async fn start(folder: &Path, sizes: Sizes) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let server = start_configured(folder).await?;
        let name = sizes.database();
        server.create_database_if_missing(&name).await?;
        let database = Self { server, name };
        let mut connection = database.connect().await?;
        generate::ensure_filled(&mut connection, sizes).await?;
        connection.close().await?;
        Ok(database)
    }

    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url()).await?)
    }

    /// `postgres://…`, with the password.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The process that all of PostgreSQL's others are children of.
    pub fn process_id(&self) -> anyhow::Result<u32> {
        let file = self.server.data_dir().join("cluster/postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        text.lines().next().and_then(|line| line.trim().parse().ok()).context("postmaster.pid names no process")
    }

    pub fn log_file(&self) -> PathBuf {
        self.server.data_dir().join("server.log")
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.stop().await?)
    }
}

/// A cluster that is new gets its settings, and is started again with them.
async fn start_configured(folder: &Path) -> anyhow::Result<PostgresServer> {
    let settings = PostgresSettings { max_connections: 300, ..PostgresSettings::new(folder.join("postgres")) };
    let server = PostgresServer::start(settings.clone()).await?;
    let mut connection = PgConnection::connect(&server.url("postgres")).await?;
    let mut is_changed = false;
    for (name, value) in SETTINGS {
        let current: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await?;
        if current != *value {
            // The names and values are those above.
            let statement = format!("ALTER SYSTEM SET {name} = '{value}'");
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            is_changed = true;
        }
    }
    connection.close().await?;
    if !is_changed {
        return Ok(server);
    }
    server.stop().await?;
    Ok(PostgresServer::start(settings).await?)
}
