//! Money came in: believed only when it is the payment that was asked for (I1), then the posting is published, or
//! the money goes back because nothing is left to publish.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    dismissed::is_put_away,
    disputes::{claim, sum_lost},
    enter_refunds::{enter_refunds, given_back},
    model::{PaymentSession, ProviderPayment, ProviderRefund, RefundReason, SessionStatus},
    queries::{
        disputes::lock_charge,
        ledger::{Entry, EntryKind, insert_entry, sum_left},
        sessions::{
            PaidFacts, find_session, find_session_of_stripe, list_sessions, lock_session, update_adopted, update_paid,
            update_quarantined, update_status,
        },
    },
    refunds::begin_refund,
};
use crate::{
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
    /// The money is recorded, and went back before: nothing is published on it.
    GivenBack,
    /// An operator decided on it when its money had gone back, and it has not come again.
    PutAway,
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
            Self::GivenBack => formatter.write_str("recorded: it was given back before"),
            Self::PutAway => formatter.write_str("ignored: put away by an operator"),
            Self::Unknown => formatter.write_str("ignored: unknown session"),
            Self::Quarantined(reason) => write!(formatter, "quarantined: {reason}"),
        }
    }
}

/// Applies a payment once, in whatever order and however often it is told. `refunds`: what Stripe says went back of it.
pub async fn record_payment(
    pool: &PgPool,
    payment: &ProviderPayment,
    refunds: &[ProviderRefund],
) -> Result<PaymentOutcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let outcome = record_in(&mut transaction, payment, refunds).await?;
    transaction.commit().await?;
    Ok(outcome)
}

/// As [`record_payment`], in the caller's transaction.
pub(super) async fn record_in(
    connection: &mut PgConnection,
    payment: &ProviderPayment,
    refunds: &[ProviderRefund],
) -> Result<PaymentOutcome, sqlx::Error> {
    if is_put_away(connection, payment, refunds).await? {
        return Ok(PaymentOutcome::PutAway);
    }
    let Some(session) = find_recorded(connection, payment).await? else {
        return Ok(if payment.named_session.is_some() {
            PaymentOutcome::Quarantined("no such session was asked for")
        } else {
            PaymentOutcome::Unknown
        });
    };
    let posting = lock_job_posting(connection, session.job_posting_id).await?;
    let Some(session) = lock_session(connection, session.id).await? else { return Ok(PaymentOutcome::Unknown) };
    if session.stripe_session_id.is_none() {
        update_adopted(connection, session.id, &payment.session_id).await?;
    }
    let outcome = apply(connection, posting.as_ref(), &session, payment, refunds).await?;
    if matches!(outcome, PaymentOutcome::Published | PaymentOutcome::GivenBack)
        && let Some(payment_intent) = payment.payment_intent.clone()
    {
        // What became of a refund since `refunds` were listed has been told of before anybody could know its payment.
        enqueue(connection, &Job::EnterRefunds { payment_intent }).await?;
    }
    audit(connection, &session, &outcome).await?;
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
    refunds: &[ProviderRefund],
) -> Result<PaymentOutcome, sqlx::Error> {
    if session.status.was_paid() {
        // What went back since is entered with the payment.
        enter_refunds(connection, posting, session, refunds).await?;
        return Ok(PaymentOutcome::AlreadyRecorded);
    }
    if let Some(reason) = payment.contradiction(session) {
        return set_aside(connection, session, reason).await;
    }
    if !payment.is_paid {
        return match payment.payment_status.as_str() {
            "no_payment_required" => set_aside(connection, session, "nothing was to be paid").await,
            _ => Ok(PaymentOutcome::NotPaid),
        };
    }
    let Some(paid) = paid_facts(payment) else { return Ok(PaymentOutcome::NotPaid) };
    let publishes = is_the_payment(connection, posting, session).await?;
    // A dispute that is told at this moment waits, or was told before and is found.
    lock_charge(connection, paid.charge).await?;
    if publishes && let Some(reason) = what_is_missing(connection, &paid, refunds).await? {
        return set_aside(connection, session, reason).await;
    }
    let (session, is_disputed) = book_charge(connection, session, &paid).await?;
    // With something left, the posting will be published.
    let goes_on = publishes && given_back(refunds) < paid.amount_total;
    let published = posting
        .filter(|_| goes_on)
        .map(|posting| JobPosting { status: JobPostingStatus::Published, ..posting.clone() });
    enter_refunds(connection, published.as_ref().or(posting), &session, refunds).await?;
    let left = sum_left(connection, session.id).await?;
    if left.0 <= 0 {
        return Ok(PaymentOutcome::GivenBack);
    }
    if publishes {
        update_published(connection, session.job_posting_id, &payment.session_id).await?;
        expire_others(connection, &session).await?;
        if is_disputed {
            update_status(connection, session.id, SessionStatus::Disputed).await?;
        }
        return Ok(PaymentOutcome::Published);
    }
    let is_double = posting.is_some_and(|posting| posting.status == JobPostingStatus::Published);
    let reason = if is_double { RefundReason::DoublePayment } else { RefundReason::LatePayment };
    begin_refund(connection, session.id, session.job_posting_id, paid.payment_intent, left, reason).await?;
    Ok(PaymentOutcome::Refunding(reason))
}

async fn set_aside(
    connection: &mut PgConnection,
    session: &PaymentSession,
    reason: &'static str,
) -> Result<PaymentOutcome, sqlx::Error> {
    update_quarantined(connection, session.id, reason).await?;
    Ok(PaymentOutcome::Quarantined(reason))
}

pub(super) fn paid_facts(payment: &ProviderPayment) -> Option<PaidFacts<'_>> {
    Some(PaidFacts {
        payment_intent: payment.payment_intent.as_deref()?,
        charge: payment.charge.as_deref()?,
        amount_total: payment.amount_total?,
    })
}

/// Whether the posting waits for a payment, or was published by the original without one on record.
async fn is_the_payment(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
) -> Result<bool, sqlx::Error> {
    let Some(posting) = posting else { return Ok(false) };
    let others = list_sessions(connection, posting.id).await?;
    let other = |is: fn(SessionStatus) -> bool| others.iter().any(|other| other.id != session.id && is(other.status));
    Ok(match posting.status {
        JobPostingStatus::PendingPayment | JobPostingStatus::Draft | JobPostingStatus::Paid => {
            !other(SessionStatus::holds_money)
        }
        JobPostingStatus::Published => !other(SessionStatus::was_paid),
        JobPostingStatus::Canceled | JobPostingStatus::Expired | JobPostingStatus::Rejected => false,
    })
}

/// Why the posting cannot be published on the payment although it was made: a part of it, or all in a dispute, is gone.
/// One that went back whole is only recorded.
async fn what_is_missing(
    connection: &mut PgConnection,
    paid: &PaidFacts<'_>,
    refunds: &[ProviderRefund],
) -> Result<Option<&'static str>, sqlx::Error> {
    let given_back = given_back(refunds);
    if given_back >= paid.amount_total {
        return Ok(None);
    }
    if given_back.0 > 0 {
        return Ok(Some("a part of it was refunded before"));
    }
    let is_lost = sum_lost(connection, paid.charge).await?.0 > 0;
    Ok(is_lost.then_some("the bank took it back in a dispute"))
}

/// The money came in: the row is paid, and the charge is in the books with the disputes that were told before; whether
/// the bank still decides on one. Needs the charge's lock.
pub(super) async fn book_charge(
    connection: &mut PgConnection,
    session: &PaymentSession,
    paid: &PaidFacts<'_>,
) -> Result<(PaymentSession, bool), sqlx::Error> {
    update_paid(connection, session.id, paid).await?;
    let entry = Entry {
        kind: EntryKind::Charge,
        reference: paid.payment_intent,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: paid.amount_total,
    };
    insert_entry(connection, &entry).await?;
    let session = find_session(connection, session.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let is_disputed = claim(connection, &session, paid.charge).await?;
    Ok((session, is_disputed))
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
        PaymentOutcome::GivenBack => "record_payment",
        PaymentOutcome::Quarantined(_) => "quarantine_payment",
        PaymentOutcome::AlreadyRecorded
        | PaymentOutcome::NotPaid
        | PaymentOutcome::PutAway
        | PaymentOutcome::Unknown => return Ok(()),
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
