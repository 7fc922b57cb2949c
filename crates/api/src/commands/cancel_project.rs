//! `cancel-project`: ends a project that will not be finished; what was not paid out goes back to the company.

use clap::Args;
use freehunt_domain::{ids::ProjectId, payments::cancel_project::cancel_project, retry::retrying};
use uuid::Uuid;

use super::{database_config, pool, print};

#[derive(Args)]
pub struct CancelProjectArguments {
    /// The project
    project: Uuid,
    /// Who decides it, for the audit trail
    #[arg(long)]
    operator: String,
    /// Why, for the audit trail
    #[arg(long)]
    reason: String,
}

pub async fn run(arguments: CancelProjectArguments) -> anyhow::Result<()> {
    let pool = pool(&database_config()?);
    let (id, operator, reason) = (ProjectId(arguments.project), &arguments.operator, &arguments.reason);
    let canceled = retrying(|| cancel_project(&pool, id, operator, reason)).await?;
    let refund = match canceled.refund {
        Some(refund) => format!("a running server makes the refund {refund} of {} cents", canceled.refund_cents.0),
        None => "nothing is left to be refunded, or no payment is on record".to_owned(),
    };
    print(&Ok(format!("project {id} is canceled with {} checkpoints; {refund}", canceled.checkpoints.len())))
}
