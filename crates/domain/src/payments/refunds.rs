//! Money goes back: at most one refund a payment, of what was neither transferred nor refunded (I4). Refunds made by
//! hand at Stripe are booked like our own, and what is asked for is never more than they leave: Stripe itself would
//! give back what was transferred before once more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    disputes::settle_status,
    keys::KeyState,
    model::{
        PaymentSession, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason, RefundStatus, SessionStatus,
    },
    queries::{
        disputes::{find_last_end, is_money_held},
        keys::find_now,
        ledger::{Entry, EntryKind, insert_entry, is_booked, sum_kept, sum_left},
        projects::lock_project_of_posting,
        refunds::{
            NOTHING_LEFT, NewRefund, find_refund, insert_refund, lock_refund, lock_refund_of_session, update_amount,
            update_failed, update_key_sent, update_made, update_next_key, update_pending_again, update_waiting,
        },
        sessions::{find_session_of_payment_intent, list_sessions, lock_session, update_status},
        transfers::sum_pending,
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
async fn fit(connection: &mut PgConnection, intent: RefundIntent) -> Result<Option<RefundIntent>, sqlx::Error> {
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
    let recorded = enter_refunds(&mut transaction, posting.as_ref(), &session, refunds).await?;
    transaction.commit().await?;
    Ok(Some(recorded))
}

/// As [`record_refunds`], in a transaction that holds the posting's and the session's lock.
pub(super) async fn enter_refunds(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    refunds: &[ProviderRefund],
) -> Result<RecordedRefunds, sqlx::Error> {
    let intent = lock_refund_of_session(connection, session.id).await?;
    let mut refunds = refunds.to_vec();
    let mut failed_now = Vec::new();
    for refund in &mut refunds {
        if book(connection, session, refund).await? {
            failed_now.push(refund.id.clone());
        }
    }
    let refunds = refunds.as_slice();
    let left = sum_left(connection, session.id).await?;
    let mut recorded = RecordedRefunds { is_intent_made: false, has_failed: false, is_all_refunded: left.0 <= 0 };
    match intent {
        Some(intent) => settle_intent(connection, intent, refunds, &failed_now, left, &mut recorded).await?,
        // What the bank took was not given back.
        None if given_back(refunds).0 > 0 && sum_kept(connection, session.id).await?.0 <= 0 => {
            adopt_refund_by_hand(connection, posting, session, refunds).await?;
            recorded.is_intent_made = true;
        }
        None => {
            settle_status(connection, session).await?;
        }
    }
    Ok(recorded)
}

/// The sum of the refunds that have not failed.
pub(super) fn given_back(refunds: &[ProviderRefund]) -> Cents {
    refunds.iter().filter(|refund| refund.state != ProviderRefundState::Failed).map(|refund| refund.amount).sum()
}

/// Each refund takes its amount once; one that failed gives it back once. A failure that is booked is the last word on its
/// refund: what was asked of Stripe before may be entered after it. Whether the failure is news.
async fn book(
    connection: &mut PgConnection,
    session: &PaymentSession,
    refund: &mut ProviderRefund,
) -> Result<bool, sqlx::Error> {
    let entry = Entry {
        kind: EntryKind::Refund,
        reference: &refund.id,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: Cents(-refund.amount.0),
    };
    insert_entry(connection, &entry).await?;
    let reference = format!("{}:failed", refund.id);
    if refund.state == ProviderRefundState::Failed {
        return insert_entry(connection, &Entry { reference: &reference, amount: refund.amount, ..entry }).await;
    }
    if is_booked(connection, EntryKind::Refund, &reference).await? {
        refund.state = ProviderRefundState::Failed;
    }
    Ok(false)
}

/// Our own refund is among them, or others made it unnecessary, or leave less to be asked for.
async fn settle_intent(
    connection: &mut PgConnection,
    intent: RefundIntent,
    refunds: &[ProviderRefund],
    failed_now: &[String],
    left: Cents,
    recorded: &mut RecordedRefunds,
) -> Result<(), sqlx::Error> {
    let is_ours = |refund: &&ProviderRefund| {
        refund.intent == Some(intent.id) || intent.stripe_refund_id.as_deref() == Some(refund.id.as_str())
    };
    // The newest first: an earlier one may have failed and been repeated by an operator.
    let ours = refunds.iter().find(|refund| is_ours(refund) && refund.state != ProviderRefundState::Failed);
    // Not an earlier one of ours, which every look still shows. One whose making nobody was told of ends this attempt when
    // its failure is heard of: no other key goes out before that.
    let is_untold = |refund: &ProviderRefund| {
        intent.stripe_refund_id.is_none() && refund.intent == Some(intent.id) && failed_now.contains(&refund.id)
    };
    let failed = refunds
        .iter()
        .find(|refund| intent.stripe_refund_id.as_deref() == Some(refund.id.as_str()) || is_untold(refund));
    let by_hand = || refunds.iter().find(|refund| left.0 <= 0 && refund.state != ProviderRefundState::Failed);
    if let Some(refund) = ours {
        recorded.is_intent_made = true;
        return record_made(connection, &intent, refund, refund.amount).await;
    }
    if let Some(refund) = by_hand() {
        recorded.is_intent_made = true;
        return record_made(connection, &intent, refund, given_back(refunds)).await;
    }
    if let Some(refund) = failed
        && intent.status != RefundStatus::Failed
    {
        recorded.has_failed = true;
        update_failed(connection, intent.id, "refund_failed").await?;
        update_status(connection, intent.payment_session_id, SessionStatus::RefundPending).await?;
        audit_refund(connection, &intent, "refund_failed", &refund.id).await?;
    } else if intent.status == RefundStatus::Pending {
        fit(connection, intent).await?;
    }
    Ok(())
}

async fn record_made(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refund: &ProviderRefund,
    amount: Cents,
) -> Result<(), sqlx::Error> {
    let status = refund.state.intent_status();
    let is_known = intent.stripe_refund_id.as_deref() == Some(refund.id.as_str());
    if is_known && intent.status == RefundStatus::Succeeded && status == RefundStatus::PendingAtStripe {
        // Asked before the bank had confirmed it.
        return Ok(());
    }
    let is_new = intent.status != status || !is_known;
    // The time of the last look is kept in the row.
    update_made(connection, intent.id, status, &refund.id, amount).await?;
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
    let amount = given_back(refunds);
    let new = NewRefund {
        payment_session_id: session.id,
        job_posting_id: session.job_posting_id,
        stripe_payment_intent_id: payment_intent,
        amount,
        reason: RefundReason::Dashboard,
    };
    if let Some(intent) = insert_refund(connection, &new).await? {
        update_made(connection, intent.id, RefundStatus::Succeeded, &newest.id, amount).await?;
        audit_refund(connection, &intent, "refund_by_hand", &newest.id).await?;
    }
    update_status(connection, session.id, SessionStatus::Refunded).await?;
    let Some(posting) = posting else { return Ok(()) };
    let others = list_sessions(connection, posting.id).await?;
    let is_paid_otherwise = others.iter().any(|other| other.id != session.id && other.status.holds_money());
    let is_open = matches!(posting.status, JobPostingStatus::Published | JobPostingStatus::Paid) && !is_paid_otherwise;
    if is_open && !has_accepted_candidate(connection, posting.id).await? {
        update_canceled(connection, posting.id, Some(REFUNDED_BY_HAND)).await?;
        update_stripe_refund(connection, posting.id, &newest.id).await?;
    } else if is_open {
        tracing::error!(posting = %posting.id, "a payment whose project has begun was refunded by hand");
    }
    Ok(())
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
