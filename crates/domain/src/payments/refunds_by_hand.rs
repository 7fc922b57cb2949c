//! Refunds that somebody makes in Stripe's dashboard: one that gives back everything ends the payment and, unless somebody
//! works on it, the posting. One that comes back (the card is closed, the bank refuses) leaves the money where it was: the
//! payment goes on if its posting does, and is owed to the company otherwise.

use sqlx::PgConnection;

use super::{
    disputes::settle_status,
    enter_refunds::given_back,
    model::{
        CAME_BACK, PaymentSession, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason, RefundStatus,
        SessionStatus,
    },
    queries::{
        projects::is_project_canceled,
        refunds::{NewRefund, insert_refund, update_made, update_returned},
        sessions::{list_sessions, update_status},
    },
    refunds::audit_refund,
};
use crate::{
    Cents,
    job_postings::{
        JobPosting, JobPostingStatus,
        queries::{has_accepted_candidate, update_canceled, update_stripe_refund},
    },
};

/// Why a posting whose payment was refunded by hand is canceled; shown to its owner.
const REFUNDED_BY_HAND: &str = "Paiement remboursé";

/// Everything was given back by hand: the posting ends unless somebody works on it, and nothing is paid out of it.
pub(super) async fn adopt_refund_by_hand(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    refunds: &[ProviderRefund],
) -> Result<(), sqlx::Error> {
    let Some(newest) = refunds.iter().find(|refund| refund.state != ProviderRefundState::Failed) else { return Ok(()) };
    let amount = given_back(refunds);
    let Some(intent) = insert_refund_by_hand(connection, session, amount).await? else { return Ok(()) };
    update_made(connection, intent.id, RefundStatus::Succeeded, &newest.id, amount).await?;
    audit_refund(connection, &intent, "refund_by_hand", &newest.id).await?;
    update_status(connection, session.id, SessionStatus::Refunded).await?;
    let Some(posting) = posting else { return Ok(()) };
    let is_open = matches!(posting.status, JobPostingStatus::Published | JobPostingStatus::Paid)
        && !is_paid_otherwise(connection, posting, session).await?;
    if is_open && !has_accepted_candidate(connection, posting.id).await? {
        update_canceled(connection, posting.id, Some(REFUNDED_BY_HAND)).await?;
        update_stripe_refund(connection, posting.id, &newest.id).await?;
    } else if is_open {
        tracing::error!(posting = %posting.id, "a payment whose project has begun was refunded by hand");
    }
    Ok(())
}

async fn insert_refund_by_hand(
    connection: &mut PgConnection,
    session: &PaymentSession,
    amount: Cents,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref() else { return Ok(None) };
    let new = NewRefund {
        payment_session_id: session.id,
        job_posting_id: session.job_posting_id,
        stripe_payment_intent_id: payment_intent,
        amount,
        reason: RefundReason::Dashboard,
    };
    insert_refund(connection, &new).await
}

async fn is_paid_otherwise(
    connection: &mut PgConnection,
    posting: &JobPosting,
    session: &PaymentSession,
) -> Result<bool, sqlx::Error> {
    let others = list_sessions(connection, posting.id).await?;
    Ok(others.iter().any(|other| other.id != session.id && other.status.holds_money()))
}

/// Whether nothing will be paid out of the payment any more, whatever is left of it.
pub(super) async fn is_given_up(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
) -> Result<bool, sqlx::Error> {
    let Some(posting) = posting else { return Ok(true) };
    // Before its publication nobody works for it, and it can be paid anew.
    let is_idle = matches!(
        posting.status,
        JobPostingStatus::Draft | JobPostingStatus::PendingPayment | JobPostingStatus::Canceled
    );
    Ok(is_idle
        || is_paid_otherwise(connection, posting, session).await?
        || is_project_canceled(connection, posting.id).await?)
}

/// The money of a refund by hand is there again and its posting goes on: so does the payment, as if it had never been
/// refunded. A later refund takes the row over.
pub(super) async fn release_payment(
    connection: &mut PgConnection,
    session: &PaymentSession,
    intent: &RefundIntent,
) -> Result<(), sqlx::Error> {
    update_returned(connection, intent.id, CAME_BACK).await?;
    update_status(connection, session.id, SessionStatus::Paid).await?;
    let session = PaymentSession { status: SessionStatus::Paid, ..session.clone() };
    settle_status(connection, &session).await?;
    let refund = intent.stripe_refund_id.as_deref().unwrap_or_default();
    audit_refund(connection, intent, "refund_by_hand_failed", refund).await
}

/// What came back of a payment that is needed no more is owed to the company: an operator is told, and may try again.
pub(super) async fn owe_what_came_back(
    connection: &mut PgConnection,
    session: &PaymentSession,
    left: Cents,
) -> Result<(), sqlx::Error> {
    match insert_refund_by_hand(connection, session, left).await? {
        Some(intent) => record_returned(connection, &intent).await,
        None => Ok(()),
    }
}

/// The payment's refund, or one that it counted on, failed after it had been made.
pub(super) async fn record_returned(connection: &mut PgConnection, intent: &RefundIntent) -> Result<(), sqlx::Error> {
    update_returned(connection, intent.id, "refund_failed").await?;
    update_status(connection, intent.payment_session_id, SessionStatus::RefundPending).await?;
    audit_refund(connection, intent, "refund_failed", intent.stripe_refund_id.as_deref().unwrap_or_default()).await
}
