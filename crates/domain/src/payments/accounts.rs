//! Where freelances are paid to: one account each, made once, stored at once, never taken from a client (I11).

use serde_json::json;
use sqlx::PgPool;

pub use super::queries::accounts::{Payee, PayoutAccount, find_account};
use super::queries::accounts::{
    find_account_of_stripe, find_payee, find_payee_of_account, insert_account, insert_adopted_account, lock_account,
    lock_payee_of_user, update_created, update_next_key, update_state,
};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{FreelanceId, UserId},
};

/// What is to be done so that the freelance has an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// It is there.
    Known { freelance: FreelanceId, account: String },
    /// The original stored one: to be adopted when Stripe says it was made for this freelance.
    Adopt { freelance: FreelanceId, account: String },
    /// Ask Stripe to make it, with this key.
    Create { freelance: FreelanceId, name: String, key: String },
}

/// Decides under the profile's lock. `None` for a user without a freelance profile.
pub async fn next_account_step(pool: &PgPool, user: UserId) -> Result<Option<AccountStep>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(payee) = lock_payee_of_user(&mut transaction, user).await? else { return Ok(None) };
    let account = lock_account(&mut transaction, payee.id).await?;
    let recorded = account.as_ref().and_then(|account| account.stripe_account_id.clone());
    let step = match (recorded, payee.stripe_account_id) {
        (Some(account), _) => AccountStep::Known { freelance: payee.id, account },
        (None, Some(account)) => AccountStep::Adopt { freelance: payee.id, account },
        (None, None) => {
            let account = match account {
                Some(account) => account,
                None => insert_account(&mut transaction, payee.id).await?,
            };
            AccountStep::Create { freelance: payee.id, name: payee.name, key: account.idempotency_key }
        }
    };
    transaction.commit().await?;
    Ok(Some(step))
}

/// Stripe made the account.
pub async fn record_account_created(
    pool: &PgPool,
    freelance: FreelanceId,
    stripe_account_id: &str,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(payee) = find_payee(&mut transaction, freelance).await? else { return Ok(()) };
    // The same order as in the decision: the profile, then its account.
    lock_payee_of_user(&mut transaction, payee.user_id).await?;
    update_created(&mut transaction, freelance, stripe_account_id).await?;
    let record = AuditRecord {
        actor: AuditActor::User(payee.user_id),
        table: "Freelance",
        action: "create_payout_account",
        subject_id: Some(freelance.to_string()),
        client_address: None,
        details: Some(json!({ "account": stripe_account_id })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await
}

/// The key made no account and would go on making none: the next attempt uses another.
pub async fn record_account_key_spent(pool: &PgPool, freelance: FreelanceId, key: &str) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    update_next_key(&mut connection, freelance, key).await
}

/// How an account stands, as Stripe says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub id: String,
    pub transfers_active: bool,
    pub details_submitted: bool,
    /// The freelance it was made for, by its metadata.
    pub made_for: Option<String>,
}

/// Enters how an account stands. An account of the original's is adopted when its metadata names the freelance whose
/// profile carries it. `false` when the account is nobody's here.
pub async fn record_account_state(pool: &PgPool, state: &AccountState) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if find_account_of_stripe(&mut transaction, &state.id).await?.is_none() {
        let Some(freelance) = find_payee_of_account(&mut transaction, &state.id).await? else { return Ok(false) };
        if state.made_for.as_deref() != Some(freelance.to_string().as_str()) {
            tracing::error!(%freelance, "a profile carries an account that was not made for it");
            return Ok(false);
        }
        insert_adopted_account(&mut transaction, freelance, &state.id).await?;
    }
    update_state(&mut transaction, &state.id, state.transfers_active, state.details_submitted).await?;
    transaction.commit().await?;
    Ok(true)
}
