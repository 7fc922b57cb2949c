//! `cancel-project`: ends a project that will not be finished; what was not paid out goes back to the company.

use clap::Args;
use freehunt_domain::ids::ProjectId;
use uuid::Uuid;

use super::{print, state};

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
    let id = ProjectId(arguments.project);
    let canceled = state()?.jobs.cancel_project(id, &arguments.operator, &arguments.reason).await?;
    let refund = match canceled.refund {
        Some(refund) => format!("a running server makes the refund {refund} of {} cents", canceled.refund_cents.0),
        None => "nothing is left to be refunded, or no payment is on record".to_owned(),
    };
    print(&Ok(format!("project {id} is canceled with {} checkpoints; {refund}", canceled.checkpoints.len())))
}
