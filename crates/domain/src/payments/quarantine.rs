//! Payments that were set aside because they contradict what was asked for, or because nobody asked: an operator looks,
//! and then they are adopted, given back, or put away. No decision goes around I1: what is adopted is a paid session in
//! euros over exactly what the posting's checkpoints cost.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    dismissed::{Whereabouts, whereabouts},
    enter_refunds::enter_refunds,
    model::{PaymentSession, ProviderPayment, ProviderRefund, RefundReason},
    queries::{
        dismissed::{DismissedPayment, insert_dismissed},
        disputes::lock_charge,
        events::{PUT_AWAY, update_outcome_of_session},
        ledger::sum_left,
        sessions::{
            AdoptedSession, find_session, find_session_of_stripe, insert_adopted_session, lock_session,
            update_dismissed, update_subtotal,
        },
    },
    record_payment::{PaymentOutcome, book_charge, paid_facts, record_in},
    refunds::begin_refund,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    checkpoints::{CheckpointStatus, queries::list_checkpoints},
    ids::{JobPostingId, RefundIntentId},
    job_postings::queries::lock_job_posting,
    jobs::{Job, enqueue},
};

pub use super::queries::sessions::{QuarantinedPayment, list_quarantined};

/// A payment that is decided on, as Stripe tells it now.
#[derive(Clone, Debug)]
pub struct SetAside<'a> {
    pub payment: &'a ProviderPayment,
    /// What went back of it, by whomever.
    pub refunds: &'a [ProviderRefund],
    /// The end of the session at Stripe.
    pub expires_at: DateTime<Utc>,
    pub live_mode: bool,
    pub operator: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    #[error("the payment names no posting that exists")]
    NoPosting,
    #[error("nothing was paid; put it away with `dismiss`")]
    NotPaid,
    #[error("it was paid: adopt it, or give it back")]
    IsPaid,
    #[error("its refund may still fail: put it away once the bank has confirmed it")]
    RefundPending,
    #[error("the payment is recorded; it is not set aside")]
    NotSetAside,
    #[error("it is not the payment of this posting ({0}); give it back instead")]
    Contradiction(&'static str),
    #[error("nothing is left to give back; put it away with `dismiss`")]
    NothingLeft,
    #[error("it is disputed: the bank decides first where the money goes")]
    Disputed,
    #[error("it was paid in another currency or mode; give it back in Stripe's dashboard, then put it away")]
    Foreign,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The payment is the posting's after all: it is recorded as if it had been told by its webhook.
pub async fn adopt(pool: &PgPool, set_aside: &SetAside<'_>) -> Result<PaymentOutcome, QuarantineError> {
    let payment = set_aside.payment;
    if !payment.is_paid {
        return Err(QuarantineError::NotPaid);
    }
    let mut transaction = pool.begin().await?;
    let (posting, session) = open(&mut transaction, set_aside).await?;
    let cost = cost_of(&mut transaction, posting).await?;
    if payment.amount_subtotal != Some(cost) {
        return Err(QuarantineError::Contradiction("the amount is not what its checkpoints cost"));
    }
    // What was recorded as asked for may be what was wrong; what the posting costs is what counts.
    update_subtotal(&mut transaction, session.id, cost).await?;
    let session = PaymentSession { amount_subtotal: cost, ..session };
    if let Some(reason) = payment.contradiction(&session) {
        return Err(QuarantineError::Contradiction(reason));
    }
    conclude(&mut transaction, set_aside, Some(posting), "adopt_payment", "adopted by an operator").await?;
    let outcome = record_in(&mut transaction, payment, set_aside.refunds).await?;
    match outcome {
        // Decided otherwise, with everything above undone.
        PaymentOutcome::Quarantined(reason) => return Err(QuarantineError::Contradiction(reason)),
        PaymentOutcome::NotPaid => return Err(QuarantineError::NotPaid),
        PaymentOutcome::Unknown | PaymentOutcome::AlreadyRecorded | PaymentOutcome::PutAway => {
            return Err(QuarantineError::NotSetAside);
        }
        PaymentOutcome::Published | PaymentOutcome::Refunding(_) | PaymentOutcome::GivenBack => {}
    }
    transaction.commit().await?;
    Ok(outcome)
}

/// The payment goes back, what is left of it; a running server makes the refund.
pub async fn give_back(pool: &PgPool, set_aside: &SetAside<'_>) -> Result<RefundIntentId, QuarantineError> {
    let payment = set_aside.payment;
    let paid = paid_facts(payment).filter(|_| payment.is_paid).ok_or(QuarantineError::NotPaid)?;
    if payment.currency.as_deref() != Some("eur") || payment.live_mode != set_aside.live_mode {
        return Err(QuarantineError::Foreign);
    }
    let mut transaction = pool.begin().await?;
    let (posting, session) = open(&mut transaction, set_aside).await?;
    lock_charge(&mut transaction, paid.charge).await?;
    let (session, is_disputed) = book_charge(&mut transaction, &session, &paid).await?;
    if is_disputed {
        return Err(QuarantineError::Disputed);
    }
    enter_refunds(&mut transaction, None, &session, set_aside.refunds).await?;
    let left = sum_left(&mut transaction, session.id).await?;
    if left.0 <= 0 {
        return Err(QuarantineError::NothingLeft);
    }
    let reason = RefundReason::LatePayment;
    let intent = begin_refund(&mut transaction, session.id, posting, paid.payment_intent, left, reason).await?;
    let intent = intent.ok_or(QuarantineError::NotSetAside)?;
    conclude(&mut transaction, set_aside, Some(posting), "refund_payment", "given back by an operator").await?;
    transaction.commit().await?;
    Ok(intent.id)
}

/// Nothing was paid, or nothing of it is left: it is not shown any more, and the posting can be paid anew. What Stripe
/// tells of it later is recognised by the ids that are kept.
pub async fn dismiss(pool: &PgPool, set_aside: &SetAside<'_>) -> Result<(), QuarantineError> {
    let mut transaction = pool.begin().await?;
    let paid = check_gone(&mut transaction, set_aside).await?;
    let recorded = find_session_of_stripe(&mut transaction, &set_aside.payment.session_id).await?;
    let posting = match &recorded {
        Some(session) => {
            lock_job_posting(&mut transaction, session.job_posting_id).await?;
            let session = lock_session(&mut transaction, session.id).await?;
            let session = session.filter(|session| session.quarantine.is_some());
            let session = session.ok_or(QuarantineError::NotSetAside)?;
            update_dismissed(&mut transaction, session.id).await?;
            Some(session.job_posting_id)
        }
        None => named_posting(set_aside.payment),
    };
    if let Some(paid) = &paid {
        insert_dismissed(&mut transaction, paid).await?;
        // Its refund may have failed since the look, and told of that to nobody.
        let payment_intent = paid.stripe_payment_intent_id.clone();
        enqueue(&mut transaction, &Job::EnterRefunds { payment_intent }).await?;
    }
    conclude(&mut transaction, set_aside, posting, "dismiss_payment", PUT_AWAY).await?;
    transaction.commit().await?;
    Ok(())
}

/// The money never came, was refunded by hand and has arrived, or was taken by the bank. What is kept of one that was
/// paid.
async fn check_gone(
    connection: &mut PgConnection,
    set_aside: &SetAside<'_>,
) -> Result<Option<DismissedPayment>, QuarantineError> {
    let payment = set_aside.payment;
    if !payment.is_paid {
        return Ok(None);
    }
    let paid = paid_facts(payment).ok_or(QuarantineError::IsPaid)?;
    match whereabouts(connection, paid.charge, paid.amount_total, set_aside.refunds).await? {
        Whereabouts::Gone => {}
        Whereabouts::Leaving => return Err(QuarantineError::RefundPending),
        Whereabouts::Here => return Err(QuarantineError::IsPaid),
    }
    Ok(Some(DismissedPayment {
        stripe_payment_intent_id: paid.payment_intent.to_owned(),
        stripe_session_id: payment.session_id.clone(),
        stripe_charge_id: paid.charge.to_owned(),
        amount_total: paid.amount_total,
        dismissed_by: set_aside.operator.to_owned(),
    }))
}

fn named_posting(payment: &ProviderPayment) -> Option<JobPostingId> {
    payment.named_posting.as_deref().and_then(|text| text.parse::<uuid::Uuid>().ok()).map(JobPostingId)
}

/// The posting, locked, and the payment's row: the one that was set aside, or a new one for a session without any.
async fn open(
    connection: &mut PgConnection,
    set_aside: &SetAside<'_>,
) -> Result<(JobPostingId, PaymentSession), QuarantineError> {
    let payment = set_aside.payment;
    if let Some(found) = find_session_of_stripe(connection, &payment.session_id).await? {
        lock_job_posting(connection, found.job_posting_id).await?;
        let session = lock_session(connection, found.id).await?.ok_or(QuarantineError::NotSetAside)?;
        let is_open = session.quarantine.is_some() && !session.status.was_paid();
        return if is_open { Ok((session.job_posting_id, session)) } else { Err(QuarantineError::NotSetAside) };
    }
    let named = named_posting(payment).ok_or(QuarantineError::NoPosting)?;
    let posting = lock_job_posting(connection, named).await?.ok_or(QuarantineError::NoPosting)?;
    // Its metadata names the row that was lost, if it names one.
    let lost = match payment.named_session {
        Some(id) if find_session(connection, id).await?.is_none() => Some(id),
        _ => None,
    };
    let adopted = AdoptedSession {
        id: lost,
        job_posting_id: posting.id,
        company_id: posting.company_id,
        amount_subtotal: payment.amount_subtotal.filter(|amount| amount.0 > 0).ok_or(QuarantineError::NotPaid)?,
        live_mode: set_aside.live_mode,
        title: &posting.title,
        expires_at: set_aside.expires_at,
        stripe_session_id: &payment.session_id,
    };
    Ok((posting.id, insert_adopted_session(connection, &adopted).await?))
}

/// What a payment of the posting has to be over.
async fn cost_of(connection: &mut PgConnection, posting: JobPostingId) -> Result<Cents, sqlx::Error> {
    let checkpoints = list_checkpoints(connection, posting).await?;
    let counts = checkpoints.iter().filter(|checkpoint| checkpoint.status != CheckpointStatus::Canceled);
    Ok(counts.map(crate::checkpoints::Checkpoint::cents).sum())
}

/// The events that told of it say what became of it, and the audit trail who decided.
async fn conclude(
    connection: &mut PgConnection,
    set_aside: &SetAside<'_>,
    posting: Option<JobPostingId>,
    action: &str,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    update_outcome_of_session(connection, &set_aside.payment.session_id, outcome).await?;
    let record = AuditRecord {
        actor: AuditActor::Operator,
        table: "JobPosting",
        action,
        subject_id: posting.map(|id| id.to_string()).or_else(|| Some(set_aside.payment.session_id.clone())),
        client_address: None,
        details: Some(json!({ "operator": set_aside.operator, "session": set_aside.payment.session_id })),
    };
    audit::record(connection, &record).await
}
