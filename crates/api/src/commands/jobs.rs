//! `jobs`: what has to happen outside the database and did not yet.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use freehunt_domain::ids::JobId;
use freehunt_jobs::operator;
use uuid::Uuid;

use super::{connect, database_config, pool, print};

#[derive(Args)]
pub struct JobsArguments {
    #[command(subcommand)]
    action: Option<JobsAction>,
}

#[derive(Subcommand)]
enum JobsAction {
    /// Waiting and dead jobs, the dead first (the default)
    List {
        #[arg(long, default_value_t = 100)]
        limit: i64,
    },
    /// What a job does, the row it works on, and why it is not done
    Explain { id: Uuid },
    /// Make a waiting or dead job due now
    Retry {
        id: Uuid,
        /// Who decides it, for the audit trail
        #[arg(long)]
        operator: String,
    },
}

/// One JSON object a line.
pub async fn run(arguments: JobsArguments) -> anyhow::Result<()> {
    let config = database_config()?;
    match arguments.action.unwrap_or(JobsAction::List { limit: 100 }) {
        JobsAction::List { limit } => {
            let mut connection = connect(&config).await?;
            for line in operator::list(&mut connection, limit).await? {
                print(&serde_json::to_string(&line).map_err(Into::into))?;
            }
            Ok(())
        }
        JobsAction::Explain { id } => {
            let mut connection = connect(&config).await?;
            let explanation = operator::explain(&mut connection, JobId(id)).await?;
            let explanation = explanation.with_context(|| format!("there is no job {id}"))?;
            print(&serde_json::to_string_pretty(&explanation).map_err(Into::into))
        }
        JobsAction::Retry { id, operator } => {
            let made_due = operator::retry(&pool(&config), JobId(id), &operator).await?;
            ensure!(made_due, "job {id} is done, under way, or does not exist");
            print(&Ok(format!("job {id} is due now; a running server takes it up")))
        }
    }
}
