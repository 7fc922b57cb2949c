//! `migrate`: brings the database up to date, by itself or before serving.

use std::time::{Duration, Instant};

use freehunt_config::DatabaseConfig;
use freehunt_domain::schema::{self, Outcome};
use sqlx::PgConnection;

use super::{connect, database_config, print};

/// How long a database that does not answer is waited for, e.g. while a stack starts.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run() -> anyhow::Result<()> {
    let outcome = bring_up_to_date(&database_config()?).await?;
    print(&Ok(describe(outcome)))
}

/// Migrates under a lock: of several replicas one works and the others wait.
pub async fn bring_up_to_date(config: &DatabaseConfig) -> anyhow::Result<Outcome> {
    let mut connection = connect_patiently(config).await?;
    Ok(schema::migrate(&mut connection).await?)
}

async fn connect_patiently(config: &DatabaseConfig) -> anyhow::Result<PgConnection> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connect(config).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
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
