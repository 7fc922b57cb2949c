//! The operator's commands. Each reads its configuration, does one thing, and says what it did or, in one line,
//! why it could not.

pub mod allow_acceptance;
pub mod audit;
pub mod bind_identities;
pub mod bootstrap_storage;
pub mod cancel_project;
pub mod check;
pub mod disputes;
pub mod jobs;
pub mod migrate;
pub mod payments;
pub mod payout_accounts;
pub mod reconcile;
pub mod refunds;
pub mod seed;
pub mod serve;

use std::io::Write;

use anyhow::Context;
use freehunt_config::{ApiConfig, DatabaseConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_serving::logging;
use sqlx::{Connection, PgConnection, PgPool};

use crate::state::AppState;

/// Writes a result to standard output.
pub fn print(text: &anyhow::Result<String>) -> anyhow::Result<()> {
    match text {
        Ok(text) => Ok(writeln!(std::io::stdout(), "{text}")?),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    }
}

/// Writes a failure to standard error, with its causes on the same line.
pub fn complain(error: &anyhow::Error) {
    let _written = writeln!(std::io::stderr(), "freehunt-api: {error:#}");
}

pub fn openapi_json() -> anyhow::Result<String> {
    Ok(crate::document().to_pretty_json()?)
}

/// The database's settings alone, for commands that need nothing else.
fn database_config() -> anyhow::Result<DatabaseConfig> {
    let (config, warnings) = DatabaseConfig::load_with_warnings(&Source::process())?;
    logging::warn_all(&warnings);
    Ok(config)
}

async fn connect(config: &DatabaseConfig) -> anyhow::Result<PgConnection> {
    PgConnection::connect_with(&config.options).await.context("the database cannot be reached")
}

/// A small pool for commands whose use cases begin transactions of their own.
fn pool(config: &DatabaseConfig) -> PgPool {
    freehunt_domain::database::pool(config.options.clone(), 2, config.acquire_timeout)
}

/// Every client the server has, for commands that ask the outside world.
fn state() -> anyhow::Result<AppState> {
    let config = ApiConfig::load(&Source::process())?;
    logging::warn_all(&config.warnings);
    AppState::new(config, Clock::system())
}
