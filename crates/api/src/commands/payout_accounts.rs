//! `payout-accounts`: accounts that the original's database carried. Those whose metadata names their freelance, or that
//! were made for its address, are adopted by themselves; the others wait for an operator's word.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use freehunt_domain::{
    ids::FreelanceId,
    payments::accounts::{AccountState, adopt_legacy_account, list_legacy_accounts, record_account_state},
};
use freehunt_jobs::account_state;
use freehunt_stripe::StripeError;
use serde_json::json;
use uuid::Uuid;

use super::{print, state};
use crate::state::AppState;

#[derive(Args)]
pub struct PayoutAccountsArguments {
    #[command(subcommand)]
    action: Option<PayoutAccountsAction>,
}

#[derive(Subcommand)]
enum PayoutAccountsAction {
    /// Ask Stripe about each account that is not adopted yet, adopt what is sure, and show the rest (the default)
    Check,
    /// Take the account that a profile carries for its own
    Adopt {
        /// The freelance's profile
        freelance: Uuid,
        /// Who decides it, for the audit trail
        #[arg(long)]
        operator: String,
    },
}

/// One JSON object a line.
pub async fn run(arguments: PayoutAccountsArguments) -> anyhow::Result<()> {
    let state = state()?;
    match arguments.action.unwrap_or(PayoutAccountsAction::Check) {
        PayoutAccountsAction::Check => check(&state).await,
        PayoutAccountsAction::Adopt { freelance, operator } => adopt(&state, freelance.into(), &operator).await,
    }
}

async fn check(state: &AppState) -> anyhow::Result<()> {
    let waiting = list_legacy_accounts(&mut *state.pool.acquire().await?).await?;
    for account in waiting {
        let known = at_stripe(state, &account.stripe_account_id).await?;
        let adopted = match &known {
            Some(known) => record_account_state(&state.pool, known).await?,
            None => false,
        };
        let line = json!({
            "freelanceId": account.freelance_id,
            "account": account.stripe_account_id,
            "adopted": adopted,
            "carriedByProfiles": account.carriers,
            "madeFor": known.as_ref().and_then(|known| known.made_for.as_deref()),
            "knownToStripe": known.is_some(),
        });
        print(&Ok(line.to_string()))?;
    }
    Ok(())
}

async fn adopt(state: &AppState, freelance: FreelanceId, operator: &str) -> anyhow::Result<()> {
    let waiting = list_legacy_accounts(&mut *state.pool.acquire().await?).await?;
    let account = waiting.into_iter().find(|account| account.freelance_id == freelance);
    let account = account.with_context(|| format!("freelance {freelance} has no account that waits to be adopted"))?;
    let known = at_stripe(state, &account.stripe_account_id).await?;
    let known = known.with_context(|| format!("Stripe does not know {}", account.stripe_account_id))?;
    let adopted = adopt_legacy_account(&state.pool, freelance, &known, operator).await?;
    ensure!(adopted, "{} was made for another freelance, or is another's already", account.stripe_account_id);
    print(&Ok(format!("{} is freelance {freelance}'s", account.stripe_account_id)))
}

async fn at_stripe(state: &AppState, account: &str) -> Result<Option<AccountState>, StripeError> {
    match state.stripe.get_account(account).await {
        Ok(account) => Ok(Some(account_state(&account))),
        Err(error) if error.is_final() => Ok(None),
        Err(error) => Err(error),
    }
}
