//! What Stripe says was refunded of a payment enters the books, each refund once, ours and made by hand alike; what that
//! means for the payment's own refund and its posting follows in the same transaction.

use sqlx::{PgConnection, PgPool};

use super::{
    disputes::settle_status,
    model::{
        PaymentSession, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason, RefundStatus, SessionStatus,
    },
    queries::{
        ledger::{Entry, EntryKind, insert_entry, is_booked, sum_kept, sum_left},
        projects::lock_project_of_posting,
        refunds::{NewRefund, insert_refund, lock_refund_of_session, update_failed, update_made},
        sessions::{find_session_of_payment_intent, list_sessions, lock_session, update_status},
    },
    refunds::{audit_refund, fit},
};
use crate::{
    Cents,
    job_postings::{
        JobPosting, JobPostingStatus,
        queries::{has_accepted_candidate, lock_job_posting, update_canceled, update_stripe_refund},
    },
};

/// Why a posting whose payment was refunded by hand is canceled; shown to its owner.
const REFUNDED_BY_HAND: &str = "Paiement remboursé";

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
