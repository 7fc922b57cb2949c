//! Money goes back: at most one refund a payment, of what was neither transferred nor refunded (I4). Refunds made by
//! hand at Stripe are booked like our own, and what is asked for is never more than they leave: Stripe itself would
//! give back what was transferred before once more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    keys::KeyState,
    model::{RefundIntent, RefundReason, RefundStatus, SessionStatus},
    queries::{
        disputes::{find_last_end, is_money_held},
        keys::find_now,
        ledger::sum_left,
        refunds::{
            NOTHING_LEFT, NewRefund, find_refund, insert_refund, lock_refund, update_amount, update_failed,
            update_key_sent, update_next_key, update_pending_again, update_waiting,
        },
        sessions::{lock_session, update_status},
        transfers::sum_pending,
    },
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    ids::{JobPostingId, PaymentSessionId, RefundIntentId},
    job_postings::queries::lock_job_posting,
    jobs::{Job, enqueue},
};

/// Decides the refund of a payment in the caller's transaction, which holds the posting's and the session's lock.
/// `None` when the payment has a refund already.
pub async fn begin_refund(
    connection: &mut PgConnection,
    session: PaymentSessionId,
    posting: JobPostingId,
    payment_intent: &str,
    amount: Cents,
    reason: RefundReason,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    let new = NewRefund {
        payment_session_id: session,
        job_posting_id: posting,
        stripe_payment_intent_id: payment_intent,
        amount,
        reason,
    };
    let Some(intent) = insert_refund(connection, &new).await? else { return Ok(None) };
    update_status(connection, session, SessionStatus::RefundPending).await?;
    enqueue(connection, &Job::SendRefund { refund_intent_id: intent.id }).await?;
    Ok(Some(intent))
}

/// What is to be done about a decided refund.
#[derive(Clone, Debug)]
pub enum RefundStep {
    /// Enter what Stripe knows to be refunded, then see what [`begin_refund_call`] makes of it. `looked_at` is the
    /// database's time before that look.
    Ask { intent: RefundIntent, looked_at: DateTime<Utc> },
    /// It was made; ask how it stands.
    LookUp(RefundIntent),
    /// Nothing.
    Settled,
}

pub async fn next_refund_step(pool: &PgPool, id: RefundIntentId) -> Result<RefundStep, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let Some(intent) = find_refund(&mut connection, id).await? else { return Ok(RefundStep::Settled) };
    Ok(match intent.status {
        RefundStatus::Pending => RefundStep::Ask { intent, looked_at: find_now(&mut connection).await? },
        RefundStatus::PendingAtStripe => RefundStep::LookUp(intent),
        RefundStatus::Succeeded | RefundStatus::Failed => RefundStep::Settled,
    })
}

/// Whether Stripe is asked now.
#[derive(Clone, Debug)]
pub enum RefundCall {
    /// With the key and the amount of this intent; the key is noted as sent.
    Send(RefundIntent),
    /// What went out with an earlier key or amount may still be carried out for so long.
    Resting(Duration),
    /// The bank decides first where the money is.
    Frozen,
    /// Nothing is left to be asked for.
    Settled,
}

/// Decides the call, after everything that Stripe knew to be refunded at `looked_at` was entered: over what is left,
/// with a key that has never gone out with another amount.
pub async fn begin_refund_call(
    pool: &PgPool,
    id: RefundIntentId,
    looked_at: DateTime<Utc>,
) -> Result<RefundCall, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(intent) = lock_pending(&mut transaction, id).await? else { return Ok(RefundCall::Settled) };
    if is_money_held(&mut transaction, intent.payment_session_id).await? {
        return Ok(RefundCall::Frozen);
    }
    let intent = match fit(&mut transaction, intent).await? {
        Some(intent) => intent,
        None => {
            transaction.commit().await?;
            return Ok(RefundCall::Settled);
        }
    };
    match intent.key_use().state(looked_at) {
        KeyState::Usable => {}
        KeyState::Replaceable => update_next_key(&mut transaction, id, intent.key_number).await?,
        KeyState::Resting(rest) => {
            transaction.commit().await?;
            return Ok(RefundCall::Resting(rest));
        }
    }
    update_key_sent(&mut transaction, id).await?;
    let intent = find_refund(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(intent.map_or(RefundCall::Settled, RefundCall::Send))
}

/// Posting, session, intent: the fixed order. `None` unless it is pending.
async fn lock_pending(connection: &mut PgConnection, id: RefundIntentId) -> Result<Option<RefundIntent>, sqlx::Error> {
    let Some(found) = find_refund(connection, id).await? else { return Ok(None) };
    lock_job_posting(connection, found.job_posting_id).await?;
    lock_session(connection, found.payment_session_id).await?;
    Ok(lock_refund(connection, id).await?.filter(|intent| intent.status == RefundStatus::Pending))
}

/// What a pending refund asks for is what is left. `None` when that is nothing: then it has failed.
pub(super) async fn fit(
    connection: &mut PgConnection,
    intent: RefundIntent,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    let left = sum_left(connection, intent.payment_session_id).await?;
    if left.0 <= 0 {
        update_failed(connection, intent.id, NOTHING_LEFT).await?;
        audit_refund(connection, &intent, "refund_failed", NOTHING_LEFT).await?;
        return Ok(None);
    }
    if left == intent.amount {
        return Ok(Some(intent));
    }
    update_amount(connection, intent.id, left).await?;
    find_refund(connection, intent.id).await
}

/// Stripe refused. When others refunded a part meanwhile, what is left is asked for once the key has rested.
/// Returns whether another attempt makes sense.
pub async fn record_refund_failed(pool: &PgPool, id: RefundIntentId, code: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(intent) = lock_pending(&mut transaction, id).await? else { return Ok(false) };
    if intent.key_spent {
        // It was over an amount that is asked for no more.
        return Ok(true);
    }
    let asked = intent.amount;
    let try_again = match fit(&mut transaction, intent.clone()).await? {
        Some(now) if now.amount != asked => true,
        Some(_) => {
            update_failed(&mut transaction, id, code).await?;
            audit_refund(&mut transaction, &intent, "refund_failed", code).await?;
            false
        }
        None => false,
    };
    transaction.commit().await?;
    Ok(try_again)
}

/// Stripe refused, with `code`, because the bank holds the payment: the refund waits, and is asked for with another key
/// when the dispute has ended. Whether it waits; `false` when it is settled, or has failed: Stripe still refuses although
/// every dispute had ended before it was asked.
pub async fn record_refund_held(pool: &PgPool, id: RefundIntentId, code: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(intent) = lock_pending(&mut transaction, id).await? else { return Ok(false) };
    let session = intent.payment_session_id;
    if !is_money_held(&mut transaction, session).await? {
        let Some(intent) = fit(&mut transaction, intent).await? else {
            transaction.commit().await?;
            return Ok(false);
        };
        let ended_at = find_last_end(&mut transaction, session).await?;
        if ended_at.zip(intent.key_sent_at).is_some_and(|(ended, sent)| ended < sent) {
            update_failed(&mut transaction, id, code).await?;
            audit_refund(&mut transaction, &intent, "refund_failed", code).await?;
            transaction.commit().await?;
            return Ok(false);
        }
    }
    update_waiting(&mut transaction, id, code).await?;
    transaction.commit().await?;
    Ok(true)
}

/// An operator's word: a failed refund is asked for again, as far as anything is left.
/// `false` when it has not failed, its payment goes on, or nothing is left.
pub async fn retry_refund(pool: &PgPool, id: RefundIntentId, operator: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_refund(&mut transaction, id).await? else { return Ok(false) };
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    lock_session(&mut transaction, found.payment_session_id).await?;
    let is_owed = lock_refund(&mut transaction, id).await?.is_some_and(|intent| !intent.is_void());
    let left = sum_left(&mut transaction, found.payment_session_id).await?;
    if !is_owed || left.0 <= 0 || !update_pending_again(&mut transaction, id).await? {
        return Ok(false);
    }
    update_amount(&mut transaction, id, left).await?;
    enqueue(&mut transaction, &Job::SendRefund { refund_intent_id: id }).await?;
    let record = AuditRecord {
        actor: AuditActor::Operator,
        table: "JobPosting",
        action: "retry_refund",
        subject_id: Some(found.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({ "operator": operator, "refundIntent": id })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}

/// What can still be promised out of a payment: what is left, minus the transfers that are on their way.
pub(super) async fn sum_free(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    let left = sum_left(connection, session).await?;
    Ok(left - sum_pending(connection, session).await?)
}

pub(super) async fn audit_refund(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    action: &str,
    note: &str,
) -> Result<(), sqlx::Error> {
    let record = AuditRecord {
        actor: AuditActor::System,
        table: "JobPosting",
        action,
        subject_id: Some(intent.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({ "refundIntent": intent.id, "amountCents": intent.amount.0, "note": note })),
    };
    audit::record(connection, &record).await
}
