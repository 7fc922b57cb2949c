//! `audit`: the trail of who did what, on what, when and from where.

use chrono::{DateTime, Utc};
use clap::Args;
use freehunt_domain::{
    Timestamp,
    audit::{self, AuditFilter, AuditLine},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{connect, database_config, print};

#[derive(Args, Clone, Debug, Default)]
pub struct AuditArguments {
    /// Only what this user did
    #[arg(long)]
    pub actor: Option<Uuid>,
    /// Only what was done on this row
    #[arg(long)]
    pub subject: Option<String>,
    /// Only what was done, e.g. `log_in_refused` or `approve`
    #[arg(long)]
    pub action: Option<String>,
    /// Only from this client address
    #[arg(long)]
    pub address: Option<String>,
    /// Only since this time, e.g. 2026-11-25T08:00:00Z
    #[arg(long)]
    pub since: Option<DateTime<Utc>>,
    /// Only before this time
    #[arg(long)]
    pub until: Option<DateTime<Utc>>,
    /// How many lines
    #[arg(long, default_value_t = 50)]
    pub limit: i64,
}

/// One JSON object a line.
pub async fn run(arguments: AuditArguments) -> anyhow::Result<()> {
    let mut connection = connect(&database_config()?).await?;
    for line in lines(&mut connection, &arguments).await? {
        print(&serde_json::to_string(&line).map_err(Into::into))?;
    }
    Ok(())
}

/// The lines that the arguments ask for, newest first.
pub async fn lines(connection: &mut PgConnection, arguments: &AuditArguments) -> Result<Vec<AuditLine>, sqlx::Error> {
    let filter = AuditFilter {
        actor: arguments.actor,
        subject: arguments.subject.as_deref(),
        action: arguments.action.as_deref(),
        client_address: arguments.address.as_deref(),
        since: arguments.since.map(Timestamp::from_utc),
        until: arguments.until.map(Timestamp::from_utc),
    };
    audit::list(connection, &filter, arguments.limit).await
}
