//! Money goes back: at most one refund a payment, of what was neither transferred nor refunded (I4). Refunds made by
//! hand at Stripe are booked like our own.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    model::{
        PaymentSession, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason, RefundStatus, SessionStatus,
    },
    queries::{
        ledger::{Entry, EntryKind, insert_entry, sum_left, sum_refunded},
        projects::lock_project_of_posting,
        refunds::{
            NewRefund, find_refund, insert_refund, lock_refund, lock_refund_of_session, update_amount, update_failed,
            update_key_used, update_made, update_pending_again,
        },
        sessions::{find_session, find_session_of_payment_intent, lock_session, update_status},
        transfers::sum_promised,
    },
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    ids::{JobPostingId, PaymentSessionId, RefundIntentId},
    job_postings::{
        JobPosting, JobPostingStatus,
        queries::{has_accepted_candidate, lock_job_posting, update_canceled, update_stripe_refund},
    },
    jobs::{Job, enqueue},
};

/// Why a posting whose payment was refunded by hand is canceled; shown to its owner.
const REFUNDED_BY_HAND: &str = "Paiement remboursé";

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
    /// Ask Stripe with the intent's key, which is noted as used. `look_up_first`: the key may be too old to be kept.
    Ask { intent: RefundIntent, look_up_first: bool },
    /// It was made; ask how it stands.
    LookUp(RefundIntent),
    /// Nothing.
    Settled,
}

/// Stripe keeps keys for 24 hours; this leaves time for the call itself.
pub const KEY_LIFETIME: chrono::TimeDelta = chrono::TimeDelta::hours(23);

/// Reads the intent, and notes that its key goes out now.
pub async fn next_refund_step(
    pool: &PgPool,
    id: RefundIntentId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<RefundStep, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let Some(intent) = find_refund(&mut connection, id).await? else { return Ok(RefundStep::Settled) };
    match intent.status {
        RefundStatus::Pending => {
            let look_up_first = intent.key_used_at.is_some_and(|used| now - used > KEY_LIFETIME);
            update_key_used(&mut connection, id).await?;
            Ok(RefundStep::Ask { intent, look_up_first })
        }
        RefundStatus::PendingAtStripe => Ok(RefundStep::LookUp(intent)),
        RefundStatus::Succeeded | RefundStatus::Failed => Ok(RefundStep::Settled),
    }
}

/// What the books say after Stripe's refunds were entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRefunds {
    /// Whether our intent, if any, is settled or on its way.
    pub is_intent_made: bool,
    /// Whether a refund of ours failed just now.
    pub has_failed: bool,
    /// Whether nothing of the payment is left to be refunded.
    pub is_all_refunded: bool,
}

/// Enters everything Stripe says was refunded of a payment, ours and made by hand, each once. `None` when the payment
/// is not ours.
pub async fn record_refunds(
    pool: &PgPool,
    payment_intent: &str,
    refunds: &[ProviderRefund],
) -> Result<Option<RecordedRefunds>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_session_of_payment_intent(&mut transaction, payment_intent).await? else { return Ok(None) };
    let posting = lock_job_posting(&mut transaction, found.job_posting_id).await?;
    lock_project_of_posting(&mut transaction, found.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, found.id).await? else { return Ok(None) };
    let intent = lock_refund_of_session(&mut transaction, session.id).await?;
    for refund in refunds {
        book(&mut transaction, &session, refund).await?;
    }
    let left = sum_left(&mut transaction, session.id).await?;
    let mut recorded = RecordedRefunds { is_intent_made: false, has_failed: false, is_all_refunded: left.0 <= 0 };
    match intent {
        Some(intent) => settle_intent(&mut transaction, &intent, refunds, left, &mut recorded).await?,
        None if left.0 <= 0 && !refunds.is_empty() => {
            adopt_refund_by_hand(&mut transaction, posting.as_ref(), &session, refunds).await?;
            recorded.is_intent_made = true;
        }
        None => {}
    }
    transaction.commit().await?;
    Ok(Some(recorded))
}

/// Each refund takes its amount once; one that failed gives it back once.
async fn book(
    connection: &mut PgConnection,
    session: &PaymentSession,
    refund: &ProviderRefund,
) -> Result<(), sqlx::Error> {
    let entry = Entry {
        kind: EntryKind::Refund,
        reference: &refund.id,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: Cents(-refund.amount.0),
    };
    insert_entry(connection, &entry).await?;
    if refund.state == ProviderRefundState::Failed {
        let reference = format!("{}:failed", refund.id);
        insert_entry(connection, &Entry { reference: &reference, amount: refund.amount, ..entry }).await?;
    }
    Ok(())
}

/// Our own refund is among them, or others made it unnecessary.
async fn settle_intent(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refunds: &[ProviderRefund],
    left: Cents,
    recorded: &mut RecordedRefunds,
) -> Result<(), sqlx::Error> {
    let is_ours = |refund: &&ProviderRefund| {
        refund.intent == Some(intent.id) || intent.stripe_refund_id.as_deref() == Some(refund.id.as_str())
    };
    // The newest first: an earlier one may have failed and been repeated by an operator.
    let ours = refunds.iter().find(|refund| is_ours(refund) && refund.state != ProviderRefundState::Failed);
    let failed = refunds.iter().find(is_ours);
    let by_hand = || refunds.iter().find(|refund| left.0 <= 0 && refund.state != ProviderRefundState::Failed);
    if let Some(refund) = ours.or_else(by_hand) {
        recorded.is_intent_made = true;
        return record_made(connection, intent, refund, refund.state.intent_status()).await;
    }
    // An intent that is pending again was repeated by an operator after this failure.
    if let Some(refund) = failed
        && intent.stripe_refund_id.is_some()
        && intent.status != RefundStatus::Failed
    {
        recorded.has_failed = true;
        update_failed(connection, intent.id, "refund_failed").await?;
        update_status(connection, intent.payment_session_id, SessionStatus::RefundPending).await?;
        audit_refund(connection, intent, "refund_failed", &refund.id).await?;
    }
    Ok(())
}

async fn record_made(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refund: &ProviderRefund,
    status: RefundStatus,
) -> Result<(), sqlx::Error> {
    let is_new = intent.status != status || intent.stripe_refund_id.as_deref() != Some(refund.id.as_str());
    // The time of the last look is kept in the row.
    update_made(connection, intent.id, status, &refund.id).await?;
    if !is_new {
        return Ok(());
    }
    update_stripe_refund_of_canceled(connection, intent, &refund.id).await?;
    if status == RefundStatus::Succeeded {
        update_status(connection, intent.payment_session_id, SessionStatus::Refunded).await?;
    }
    audit_refund(connection, intent, "refund", &refund.id).await
}

/// The posting carries the refund of the payment that had published it, as the original shows it.
async fn update_stripe_refund_of_canceled(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refund: &str,
) -> Result<(), sqlx::Error> {
    if intent.reason != RefundReason::DoublePayment {
        update_stripe_refund(connection, intent.job_posting_id, refund).await?;
    }
    Ok(())
}

/// Everything was given back by hand: the posting ends unless somebody works on it, and nothing is paid out of it.
async fn adopt_refund_by_hand(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    refunds: &[ProviderRefund],
) -> Result<(), sqlx::Error> {
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref() else { return Ok(()) };
    let made: Vec<&ProviderRefund> =
        refunds.iter().filter(|refund| refund.state != ProviderRefundState::Failed).collect();
    let Some(newest) = made.first() else { return Ok(()) };
    let amount = made.iter().map(|refund| refund.amount).sum();
    let new = NewRefund {
        payment_session_id: session.id,
        job_posting_id: session.job_posting_id,
        stripe_payment_intent_id: payment_intent,
        amount,
        reason: RefundReason::Dashboard,
    };
    if let Some(intent) = insert_refund(connection, &new).await? {
        update_made(connection, intent.id, RefundStatus::Succeeded, &newest.id).await?;
        audit_refund(connection, &intent, "refund_by_hand", &newest.id).await?;
    }
    update_status(connection, session.id, SessionStatus::Refunded).await?;
    let Some(posting) = posting else { return Ok(()) };
    let is_open = matches!(posting.status, JobPostingStatus::Published | JobPostingStatus::Paid);
    if is_open && !has_accepted_candidate(connection, posting.id).await? {
        update_canceled(connection, posting.id, Some(REFUNDED_BY_HAND)).await?;
        update_stripe_refund(connection, posting.id, &newest.id).await?;
    } else if is_open {
        tracing::error!(posting = %posting.id, "a payment whose project has begun was refunded by hand");
    }
    Ok(())
}

/// Stripe refused. When others refunded a part, what is left is asked for; when nothing is left, it is done.
/// Returns whether another attempt makes sense.
pub async fn record_refund_failed(pool: &PgPool, id: RefundIntentId, code: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_refund(&mut transaction, id).await? else { return Ok(false) };
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    lock_session(&mut transaction, found.payment_session_id).await?;
    let Some(intent) = lock_refund(&mut transaction, id).await? else { return Ok(false) };
    if intent.status != RefundStatus::Pending {
        return Ok(false);
    }
    let left = sum_left(&mut transaction, intent.payment_session_id).await?;
    let try_again = left.0 > 0 && left < intent.amount;
    if try_again {
        update_amount(&mut transaction, id, left).await?;
    } else {
        update_failed(&mut transaction, id, code).await?;
        audit_refund(&mut transaction, &intent, "refund_failed", code).await?;
    }
    transaction.commit().await?;
    Ok(try_again)
}

/// An operator's word: a failed refund is asked for again, as far as anything is left.
/// `false` when it has not failed, or nothing is left.
pub async fn retry_refund(pool: &PgPool, id: RefundIntentId, operator: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_refund(&mut transaction, id).await? else { return Ok(false) };
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    lock_session(&mut transaction, found.payment_session_id).await?;
    lock_refund(&mut transaction, id).await?;
    let left = sum_left(&mut transaction, found.payment_session_id).await?;
    if left.0 <= 0 || !update_pending_again(&mut transaction, id).await? {
        return Ok(false);
    }
    if left < found.amount {
        update_amount(&mut transaction, id, left).await?;
    }
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

/// What a refund of the whole payment would give back now: charged minus promised and refunded.
pub async fn refundable(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    let total = find_session(connection, session).await?.and_then(|session| session.amount_total).unwrap_or_default();
    let promised = sum_promised(connection, session).await?;
    let refunded = sum_refunded(connection, session).await?;
    Ok(total - promised.net - refunded)
}

async fn audit_refund(
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
