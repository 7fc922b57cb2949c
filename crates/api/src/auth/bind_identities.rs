//! The operator's command that binds the original's users to their accounts at Authentik.

use std::{collections::HashMap, fmt};

use anyhow::Context;
use freehunt_authentik::DirectoryUser;
use freehunt_domain::users::{self, BindOutcome, DirectoryEntry};

use crate::state::AppState;

/// What was done, or would be; ids only, so that it can be kept.
#[derive(Clone, Debug)]
pub struct Report {
    pub dry_run: bool,
    pub outcome: BindOutcome,
}

/// Binds each user for whom exactly one active external account has the address and is as old; everybody else stays
/// locked.
pub async fn bind_identities(state: &AppState, dry_run: bool) -> anyhow::Result<Report> {
    let token = state.config.authentik.admin_token.as_ref();
    let token = token.context("AUTHENTIK_TOKEN is not set: an API token that may list Authentik's users is needed")?;
    let list = async || state.authentik.all_users(token).await.context("Authentik's users could not be listed");
    // Page after page takes a while: only what both lists agree about is bound.
    let directory = agreed(list().await?, list().await?);
    let outcome = users::bind_identities(&state.pool, &directory, dry_run).await?;
    Ok(Report { dry_run, outcome })
}

/// The accounts of the second list; one that the first had otherwise, or not at all, is not usable.
fn agreed(before: Vec<DirectoryUser>, after: Vec<DirectoryUser>) -> Vec<DirectoryEntry> {
    let before: HashMap<i64, DirectoryUser> = before.into_iter().map(|account| (account.pk, account)).collect();
    let entry = |account: DirectoryUser| DirectoryEntry {
        is_usable: account.is_active && account.kind == "external" && before.get(&account.pk) == Some(&account),
        number: account.pk,
        created_at: account.date_joined,
        uid: account.uid,
        username: account.username,
        email: account.email,
    };
    after.into_iter().map(entry).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindOutcome { already_bound, bound, ambiguous, younger, missing } = &self.outcome;
        let verb = if self.dry_run { "would be bound" } else { "bound" };
        writeln!(formatter, "{already_bound} users were bound before")?;
        writeln!(formatter, "{} users {verb}", bound.len())?;
        let groups = [
            ("have an address that several share, or whose account is inactive or named otherwise", ambiguous),
            ("have an account at Authentik that is younger than they are, so perhaps somebody else's", younger),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_changed_meanwhile_is_not_usable() {
        let account = |pk: i64, uid: &str| DirectoryUser {
            pk,
            uid: uid.to_owned(),
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            is_active: true,
            kind: "external".to_owned(),
            date_joined: None,
        };
        let before = vec![account(1, "a"), account(2, "b")];
        let renamed = DirectoryUser { email: "other@example.org".to_owned(), ..account(2, "b") };
        let entries = agreed(before, vec![account(1, "a"), renamed, account(3, "c")]);
        assert_eq!(entries.iter().map(|entry| entry.is_usable).collect::<Vec<_>>(), [true, false, false]);
    }
}
