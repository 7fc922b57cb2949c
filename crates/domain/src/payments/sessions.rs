//! What happened to a Checkout Session short of its payment: made, refused, expired, set aside, given up.

use sqlx::{PgConnection, PgPool};

use super::{
    model::{PaymentSession, SessionStatus},
    queries::sessions::{
        find_session, find_session_of_stripe, find_silent_open_session, list_sessions, lock_session, update_expired,
        update_key_used, update_opened,
    },
};
use crate::{
    ids::{JobPostingId, PaymentSessionId},
    job_postings::{JobPostingStatus, queries::lock_job_posting},
    jobs::{Job, enqueue},
};

/// The session to ask Stripe for, with its key noted as used; `None` when it was made, or nobody wants it any more.
pub async fn begin_creation(pool: &PgPool, id: PaymentSessionId) -> Result<Option<PaymentSession>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(posting) = find_session(&mut transaction, id).await?.map(|session| session.job_posting_id) else {
        return Ok(None);
    };
    let posting = lock_job_posting(&mut transaction, posting).await?;
    let Some(session) = lock_session(&mut transaction, id).await? else { return Ok(None) };
    if session.status != SessionStatus::Creating {
        return Ok(None);
    }
    let wanted = posting.is_some_and(|posting| posting.status == JobPostingStatus::PendingPayment);
    if !wanted && session.key_used_at.is_none() {
        update_expired(&mut transaction, id, None).await?;
        transaction.commit().await?;
        return Ok(None);
    }
    update_key_used(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(Some(session))
}

/// Stripe made the session. When the posting was given up meanwhile, the session is to be expired. `false` when the row
/// has another session at Stripe, and this one is nobody's.
pub async fn record_checkout_created(
    pool: &PgPool,
    id: PaymentSessionId,
    stripe_session_id: &str,
    url: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(posting) = find_session(&mut transaction, id).await?.map(|session| session.job_posting_id) else {
        return Ok(false);
    };
    let posting = lock_job_posting(&mut transaction, posting).await?;
    let Some(session) = lock_session(&mut transaction, id).await? else { return Ok(false) };
    if session.status != SessionStatus::Creating {
        return Ok(session.stripe_session_id.is_none_or(|known| known == stripe_session_id));
    }
    update_opened(&mut transaction, id, stripe_session_id, url).await?;
    if posting.is_none_or(|posting| posting.status != JobPostingStatus::PendingPayment) {
        enqueue(&mut transaction, &Job::ExpireCheckout { payment_session_id: id }).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Stripe refused to make the session, or it ended unpaid.
pub async fn record_checkout_ended(
    pool: &PgPool,
    id: PaymentSessionId,
    failure_code: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    update_expired(&mut connection, id, failure_code).await
}

/// As [`record_checkout_ended`], told by an event; `None` for a session that is not ours.
pub async fn record_checkout_expired(pool: &PgPool, stripe_session_id: &str) -> Result<Option<bool>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let Some(session) = find_session_of_stripe(&mut connection, stripe_session_id).await? else { return Ok(None) };
    update_expired(&mut connection, session.id, None).await.map(Some)
}

/// The posting is given up: whatever session could still be paid is to be ended at Stripe. Needs the posting's lock.
pub async fn release_sessions(connection: &mut PgConnection, posting: JobPostingId) -> Result<(), sqlx::Error> {
    for session in list_sessions(connection, posting).await? {
        let job = match session.status {
            SessionStatus::Open => Job::ExpireCheckout { payment_session_id: session.id },
            SessionStatus::Creating => Job::CreateCheckout { payment_session_id: session.id },
            _ => continue,
        };
        enqueue(connection, &job).await?;
    }
    Ok(())
}

/// Enqueues a look at the posting's open session, unless there was one a moment ago. Whether there is one to look at.
pub async fn reconcile_soon(connection: &mut PgConnection, posting: JobPostingId) -> Result<bool, sqlx::Error> {
    let silent = find_silent_open_session(connection, posting).await?;
    let Some(session) = silent else { return Ok(false) };
    enqueue(connection, &Job::ReconcileCheckout { payment_session_id: session }).await?;
    Ok(true)
}
