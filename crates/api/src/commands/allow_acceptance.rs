//! `allow-acceptance`: lets a company accept a candidate on a posting that the original published without a recorded
//! payment. Nothing can be paid out of such a posting.

use anyhow::ensure;
use clap::Args;
use freehunt_domain::{ids::JobPostingId, payments};
use uuid::Uuid;

use super::{database_config, pool, print};

#[derive(Args)]
pub struct AllowAcceptanceArguments {
    /// The posting
    job_posting: Uuid,
    /// Who decides it, for the audit trail
    #[arg(long)]
    operator: String,
}

pub async fn run(arguments: AllowAcceptanceArguments) -> anyhow::Result<()> {
    let pool = pool(&database_config()?);
    let posting = JobPostingId(arguments.job_posting);
    let allowed = payments::allow_acceptance(&pool, posting, &arguments.operator).await?;
    ensure!(allowed, "posting {posting} is none that the original published without a recorded payment");
    print(&Ok(format!("a candidate may be accepted on posting {posting}")))
}
