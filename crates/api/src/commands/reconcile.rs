//! `reconcile`: the ledger against Stripe. Reports, and moves nothing.

use anyhow::{Context, bail};
use freehunt_jobs::reconcile::reconcile;

use super::{print, state};

/// One JSON object a line; fails when something differs.
pub async fn run() -> anyhow::Result<()> {
    let state = state()?;
    let mut connection = state.pool.acquire().await.context("the database cannot be reached")?;
    let report = reconcile(&state.stripe, &mut connection).await?;
    for mismatch in &report.mismatches {
        print(&serde_json::to_string(mismatch).map_err(Into::into))?;
    }
    for violation in &report.violations {
        print(&serde_json::to_string(violation).map_err(Into::into))?;
    }
    print(&Ok(format!("{} payments and {} transfers compared", report.sessions, report.transfers)))?;
    if report.is_clean() {
        return Ok(());
    }
    bail!("{} differences and {} broken rules", report.mismatches.len(), report.violations.len())
}
