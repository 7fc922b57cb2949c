//! `migrate`: brings the database up to date, by itself or before serving.

use std::time::{Duration, Instant};

use freehunt_config::DatabaseConfig;
use freehunt_domain::{
    error::is_unavailable,
    schema::{self, Outcome},
};
use sqlx::PgConnection;

use super::{connect, database_config, print};

/// How long a command waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run() -> anyhow::Result<()> {
    let outcome = bring_up_to_date(&database_config()?).await?;
    print(&Ok(describe(outcome)))
}

/// Migrates under a lock: of several replicas one works and the others wait.
pub async fn bring_up_to_date(config: &DatabaseConfig) -> anyhow::Result<Outcome> {
    let mut connection = connect_patiently(config, PATIENCE).await?;
    Ok(schema::migrate(&mut connection).await?)
}

/// Waits for a database that cannot be reached, as while a stack starts. One that refuses is an error soon: waiting changes
/// neither a password nor a name.
pub async fn connect_patiently(config: &DatabaseConfig, patience: Duration) -> anyhow::Result<PgConnection> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let error = match connect(config).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let is_away = error.downcast_ref::<sqlx::Error>().is_some_and(is_unavailable);
        if began.elapsed() >= if is_away { patience } else { patience.min(PATIENCE) } {
            return Err(error);
        }
        if !is_told {
            tracing::warn!(error = format!("{error:#}"), "waiting for the database");
            is_told = true;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

pub fn describe(outcome: Outcome) -> String {
    match outcome {
        Outcome::Created => "the schema was created".to_owned(),
        Outcome::Adopted => "the original backend's database was adopted, every row as it was".to_owned(),
        Outcome::Updated { applied: 0 } => "the schema is up to date".to_owned(),
        Outcome::Updated { applied } => format!("{applied} migrations were applied"),
    }
}
