//! The operator's command that binds the original's users to their accounts at Authentik.

use std::fmt;

use anyhow::Context;
use freehunt_domain::users::{self, BindOutcome, DirectoryEntry};

use crate::state::AppState;

/// What was done, or would be; ids only, so that it can be kept.
#[derive(Clone, Debug)]
pub struct Report {
    pub dry_run: bool,
    pub outcome: BindOutcome,
}

/// Binds each user for whom exactly one active external account has the address; everybody else stays locked.
pub async fn bind_identities(state: &AppState, dry_run: bool) -> anyhow::Result<Report> {
    let token = state.config.authentik.admin_token.as_ref();
    let token = token.context("AUTHENTIK_TOKEN is not set: an API token that may list Authentik's users is needed")?;
    let accounts = state.authentik.all_users(token).await.context("Authentik's users could not be listed")?;
    let directory: Vec<DirectoryEntry> = accounts
        .into_iter()
        .map(|account| DirectoryEntry {
            is_usable: account.is_active && account.kind == "external",
            uid: account.uid,
            username: account.username,
            email: account.email,
        })
        .collect();
    let outcome = users::bind_identities(&state.pool, &directory, dry_run).await?;
    Ok(Report { dry_run, outcome })
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindOutcome { already_bound, bound, ambiguous, missing } = &self.outcome;
        let verb = if self.dry_run { "would be bound" } else { "bound" };
        writeln!(formatter, "{already_bound} users were bound before")?;
        writeln!(formatter, "{} users {verb}", bound.len())?;
        let groups = [
            ("have an address that several share, or whose account is inactive or named otherwise", ambiguous),
            ("have no account at Authentik", missing),
        ];
        for (what, ids) in groups {
            writeln!(formatter, "{} users {what}, and cannot log in", ids.len())?;
            for id in ids {
                writeln!(formatter, "  {id}")?;
            }
        }
        Ok(())
    }
}
