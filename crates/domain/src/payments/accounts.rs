//! Where freelances are paid to: one account each, made once, stored at once, never taken from a client (I11).
//!
//! `payout_account` is what counts. The profile's copy is what the web client sees: there from the moment the account's
//! form is opened, and gone again while the form is known to be unfinished, so that the client offers it again.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

pub use super::queries::accounts::{LegacyAccount, Payee, PayoutAccount, find_account, list_legacy_accounts};
use super::queries::accounts::{
    find_account_of_stripe, find_payee, insert_account, insert_adopted_account, list_carriers, lock_account,
    lock_payee_of_user, update_created, update_hidden, update_linked, update_next_key, update_old_hidden, update_shown,
    update_state,
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
    /// Its owner's address.
    pub email: Option<String>,
}

impl AccountState {
    /// Of an account that Stripe does not know (any more).
    pub fn gone(id: &str) -> Self {
        Self { id: id.to_owned(), transfers_active: false, details_submitted: false, made_for: None, email: None }
    }
}

/// Enters how an account stands; a finished form makes the account visible on its profile. `false` when the account is
/// nobody's here.
pub async fn record_account_state(pool: &PgPool, state: &AccountState) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if find_account_of_stripe(&mut transaction, &state.id).await?.is_none() {
        let Some(freelance) = adopter(&mut transaction, state).await? else { return Ok(false) };
        insert_adopted_account(&mut transaction, freelance, &state.id).await?;
        audit_adoption(&mut transaction, AuditActor::System, freelance, &state.id, None).await?;
    }
    update_state(&mut transaction, &state.id, state.transfers_active, state.details_submitted).await?;
    if state.details_submitted {
        update_shown(&mut transaction, &state.id).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Whose account of the original's it is: that of the profile that carries it, when the account's metadata names that
/// profile. One that names nobody is taken for its carrier's only when the original's database carried it before these
/// servers were in charge, nobody else carries it, and it was made for the address of the carrier: the original let
/// anybody write an account into any profile (X3), and an account of one's own has one's own address.
async fn adopter(connection: &mut PgConnection, state: &AccountState) -> Result<Option<FreelanceId>, sqlx::Error> {
    let carriers = list_carriers(connection, &state.id).await?;
    if let Some(made_for) = &state.made_for {
        let named = carriers.iter().find(|carrier| carrier.freelance_id.to_string() == *made_for);
        if named.is_none() && !carriers.is_empty() {
            tracing::error!(account = state.id, "a profile carries an account that was not made for it");
        }
        return Ok(named.map(|carrier| carrier.freelance_id));
    }
    let [carrier] = carriers.as_slice() else { return Ok(None) };
    let is_theirs = state.email.as_ref().is_some_and(|email| email.to_lowercase() == carrier.email.to_lowercase());
    if carrier.is_legacy && is_theirs {
        return Ok(Some(carrier.freelance_id));
    }
    tracing::error!(account = state.id, freelance = %carrier.freelance_id, "an account that names nobody is not adopted");
    Ok(None)
}

/// An operator's word: the account that a profile of the original's carries is its own. `false` when the profile carries
/// another account now, or has one already.
pub async fn adopt_legacy_account(
    pool: &PgPool,
    freelance: FreelanceId,
    state: &AccountState,
    operator: &str,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let carriers = list_carriers(&mut transaction, &state.id).await?;
    let is_legacy = carriers.iter().any(|carrier| carrier.freelance_id == freelance && carrier.is_legacy);
    let names_another = state.made_for.as_ref().is_some_and(|made_for| *made_for != freelance.to_string());
    let is_taken = find_account_of_stripe(&mut transaction, &state.id).await?.is_some();
    if !is_legacy || names_another || is_taken {
        return Ok(false);
    }
    insert_adopted_account(&mut transaction, freelance, &state.id).await?;
    update_state(&mut transaction, &state.id, state.transfers_active, state.details_submitted).await?;
    audit_adoption(&mut transaction, AuditActor::Operator, freelance, &state.id, Some(operator)).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn audit_adoption(
    connection: &mut PgConnection,
    actor: AuditActor,
    freelance: FreelanceId,
    account: &str,
    operator: Option<&str>,
) -> Result<(), sqlx::Error> {
    let record = AuditRecord {
        actor,
        table: "Freelance",
        action: "adopt_payout_account",
        subject_id: Some(freelance.to_string()),
        client_address: None,
        details: Some(json!({ "account": account, "operator": operator })),
    };
    audit::record(connection, &record).await
}

/// The form is about to be opened: the profile shows its account at once, so that no page that is loaded while its
/// owner comes back from the form misses it.
pub async fn record_form_opened(pool: &PgPool, stripe_account_id: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    update_linked(&mut transaction, stripe_account_id).await?;
    update_shown(&mut transaction, stripe_account_id).await?;
    transaction.commit().await
}

/// Its owner came back from the form without finishing it: the profile offers it again.
pub async fn offer_form_again(pool: &PgPool, stripe_account_id: &str) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    update_hidden(&mut connection, stripe_account_id).await
}

/// As [`offer_form_again`], for all whose form was opened more than a day ago and is not finished; how many.
pub async fn offer_old_forms_again(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    update_old_hidden(connection).await
}
