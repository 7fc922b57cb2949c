//! `bind-identities`: binds the original's users to their accounts at Authentik, before the switch.

use clap::Args;

use super::{print, state};
use crate::auth::bind_identities::bind_identities;

#[derive(Args)]
pub struct BindIdentitiesArguments {
    /// Only report what would be bound
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(arguments: BindIdentitiesArguments) -> anyhow::Result<()> {
    let report = bind_identities(&state()?, arguments.dry_run).await?;
    print(&Ok(report.to_string()))
}
