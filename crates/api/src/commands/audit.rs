//! `audit`: the trail of who did what, on what, when and from where.

use clap::Args;
use freehunt_domain::audit;
use uuid::Uuid;

use super::{connect, database_config, print};

#[derive(Args)]
pub struct AuditArguments {
    /// Only what this user did
    #[arg(long)]
    actor: Option<Uuid>,
    /// Only what was done on this row
    #[arg(long)]
    subject: Option<String>,
    /// How many lines
    #[arg(long, default_value_t = 50)]
    limit: i64,
}

/// One JSON object a line.
pub async fn run(arguments: AuditArguments) -> anyhow::Result<()> {
    let mut connection = connect(&database_config()?).await?;
    let lines = audit::list(&mut connection, arguments.actor, arguments.subject.as_deref(), arguments.limit).await?;
    for line in lines {
        print(&serde_json::to_string(&line).map_err(Into::into))?;
    }
    Ok(())
}
