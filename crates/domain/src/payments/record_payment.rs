//! Money came in: believed only when it is the payment that was asked for (I1), then the posting is published, or
//! the money goes back because nothing is left to publish.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    disputes::book_dispute,
    model::{PaymentSession, ProviderPayment, RefundReason, SessionStatus},
    queries::{
        ledger::{Entry, EntryKind, claim_disputes, insert_entry, lock_charge},
        sessions::{
            PaidFacts, find_session, find_session_of_stripe, list_sessions, lock_session, update_adopted, update_paid,
            update_quarantined, update_status,
        },
    },
    refunds::begin_refund,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    ids::PaymentSessionId,
    job_postings::{
        JobPosting, JobPostingStatus,
        queries::{lock_job_posting, update_published},
    },
    jobs::{Job, enqueue},
};

/// What became of it; the name is kept with the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The posting is published, by this payment.
    Published,
    /// It was recorded before.
    AlreadyRecorded,
    /// The session went through without money; more will be heard of it.
    NotPaid,
    /// The money is recorded and goes back.
    Refunding(RefundReason),
    /// Not a session of ours.
    Unknown,
    /// It contradicts what was asked for: nothing is done until an operator has looked.
    Quarantined(&'static str),
}

impl std::fmt::Display for PaymentOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Published => formatter.write_str("published"),
            Self::AlreadyRecorded => formatter.write_str("recorded before"),
            Self::NotPaid => formatter.write_str("not paid"),
            Self::Refunding(reason) => write!(formatter, "refunding: {}", reason.name()),
            Self::Unknown => formatter.write_str("ignored: unknown session"),
            Self::Quarantined(reason) => write!(formatter, "quarantined: {reason}"),
        }
    }
}

/// Applies a payment once, in whatever order and however often it is told.
pub async fn record_payment(pool: &PgPool, payment: &ProviderPayment) -> Result<PaymentOutcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(session) = find_recorded(&mut transaction, payment).await? else {
        return Ok(if payment.named_session.is_some() {
            PaymentOutcome::Quarantined("no such session was asked for")
        } else {
            PaymentOutcome::Unknown
        });
    };
    let posting = lock_job_posting(&mut transaction, session.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, session.id).await? else { return Ok(PaymentOutcome::Unknown) };
    if session.stripe_session_id.is_none() {
        update_adopted(&mut transaction, session.id, &payment.session_id).await?;
    }
    let outcome = apply(&mut transaction, posting.as_ref(), &session, payment).await?;
    audit(&mut transaction, &session, &outcome).await?;
    transaction.commit().await?;
    Ok(outcome)
}

/// The row of the session; after a crash before its id was stored, the row that the metadata names.
async fn find_recorded(
    connection: &mut PgConnection,
    payment: &ProviderPayment,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    if let Some(session) = find_session_of_stripe(connection, &payment.session_id).await? {
        return Ok(Some(session));
    }
    let Some(named) = payment.named_session else { return Ok(None) };
    let Some(session) = find_session(connection, named).await? else { return Ok(None) };
    let is_adoptable = session.stripe_session_id.is_none() && payment.contradiction(&session).is_none();
    Ok(is_adoptable.then_some(session))
}

async fn apply(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    payment: &ProviderPayment,
) -> Result<PaymentOutcome, sqlx::Error> {
    if session.status.was_paid() {
        return Ok(PaymentOutcome::AlreadyRecorded);
    }
    let set_aside = match payment.contradiction(session) {
        Some(reason) => Some(reason),
        None if payment.is_paid => None,
        None if payment.payment_status == "no_payment_required" => Some("nothing was to be paid"),
        None => return Ok(PaymentOutcome::NotPaid),
    };
    if let Some(reason) = set_aside {
        update_quarantined(connection, session.id, reason).await?;
        return Ok(PaymentOutcome::Quarantined(reason));
    }
    let (Some(payment_intent), Some(charge), Some(total)) =
        (payment.payment_intent.as_deref(), payment.charge.as_deref(), payment.amount_total)
    else {
        return Ok(PaymentOutcome::NotPaid);
    };
    book_charge(connection, session, payment_intent, charge, total).await?;
    let is_disputed = claim(connection, session, charge).await?;
    let others = list_sessions(connection, session.job_posting_id).await?;
    let other = |is: fn(SessionStatus) -> bool| others.iter().any(|other| other.id != session.id && is(other.status));
    let status = posting.map(|posting| posting.status);
    let is_the_payment = match status {
        Some(JobPostingStatus::PendingPayment | JobPostingStatus::Draft | JobPostingStatus::Paid) => {
            !other(SessionStatus::holds_money)
        }
        // Published without a payment on record, by the original server: this is the payment.
        Some(JobPostingStatus::Published) => !other(SessionStatus::was_paid),
        _ => false,
    };
    if is_the_payment {
        update_published(connection, session.job_posting_id, &payment.session_id).await?;
        expire_others(connection, session).await?;
        if is_disputed {
            update_status(connection, session.id, SessionStatus::Disputed).await?;
        }
        return Ok(PaymentOutcome::Published);
    }
    let is_double = status == Some(JobPostingStatus::Published);
    let reason = if is_double { RefundReason::DoublePayment } else { RefundReason::LatePayment };
    begin_refund(connection, session.id, session.job_posting_id, payment_intent, total, reason).await?;
    Ok(PaymentOutcome::Refunding(reason))
}

/// The money came in: the row is paid, and the charge is in the books.
pub(super) async fn book_charge(
    connection: &mut PgConnection,
    session: &PaymentSession,
    payment_intent: &str,
    charge: &str,
    total: Cents,
) -> Result<(), sqlx::Error> {
    // A dispute about it that is told at this moment waits, or was told before and is found.
    lock_charge(connection, charge).await?;
    let paid = PaidFacts { payment_intent, charge, amount_total: total };
    update_paid(connection, session.id, &paid).await?;
    let entry = Entry {
        kind: EntryKind::Charge,
        reference: payment_intent,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: total,
    };
    insert_entry(connection, &entry).await?;
    Ok(())
}

/// Takes over the disputes that were told before the payment; whether one of them is open or lost.
async fn claim(connection: &mut PgConnection, session: &PaymentSession, charge: &str) -> Result<bool, sqlx::Error> {
    let disputes = claim_disputes(connection, charge, session.job_posting_id).await?;
    for dispute in &disputes {
        book_dispute(connection, session, dispute).await?;
    }
    Ok(disputes.iter().any(|dispute| !dispute.is_won()))
}

/// A payment of an older session arrived while a newer one was open: the newer one must not be paid too.
async fn expire_others(connection: &mut PgConnection, session: &PaymentSession) -> Result<(), sqlx::Error> {
    let id: PaymentSessionId = session.id;
    for other in list_sessions(connection, session.job_posting_id).await? {
        if other.id != id && other.status.is_live() {
            let job = match other.status {
                SessionStatus::Open => Job::ExpireCheckout { payment_session_id: other.id },
                _ => Job::CreateCheckout { payment_session_id: other.id },
            };
            enqueue(connection, &job).await?;
        }
    }
    Ok(())
}

async fn audit(
    connection: &mut PgConnection,
    session: &PaymentSession,
    outcome: &PaymentOutcome,
) -> Result<(), sqlx::Error> {
    let action = match outcome {
        PaymentOutcome::Published => "publish",
        PaymentOutcome::Refunding(_) => "refund_payment",
        PaymentOutcome::Quarantined(_) => "quarantine_payment",
        PaymentOutcome::AlreadyRecorded | PaymentOutcome::NotPaid | PaymentOutcome::Unknown => return Ok(()),
    };
    let record = AuditRecord {
        actor: AuditActor::Stripe,
        table: "JobPosting",
        action,
        subject_id: Some(session.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({ "paymentSession": session.id, "outcome": outcome.to_string() })),
    };
    audit::record(connection, &record).await
}
