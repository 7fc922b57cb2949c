//! A company gives up a posting: what was paid for it goes back, what could still be paid is ended.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    model::{PaymentSession, RefundReason, SessionStatus},
    queries::{
        disputes::has_open_dispute,
        sessions::{list_sessions, lock_session},
    },
    refunds::{begin_refund, sum_free},
    sessions::release_sessions,
};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{JobId, JobPostingId, PaymentSessionId, RefundIntentId, UserId},
    job_postings::{
        JobPosting, JobPostingStatus,
        queries::{find_project_id, has_accepted_candidate, lock_job_posting, update_canceled},
    },
    jobs::{Job, enqueue},
};

/// What canceling set in motion.
#[derive(Clone, Debug)]
pub struct Cancellation {
    /// Whether the posting had been published, and so perhaps paid before this ledger existed.
    pub was_published: bool,
    /// Run the job, then read the intent.
    pub refund: Option<(RefundIntentId, JobId)>,
    /// Jobs that end what could still be paid.
    pub expiring: Vec<JobId>,
}

#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("the posting does not exist")]
    NotFound,
    #[error("the posting is canceled already")]
    AlreadyCanceled,
    #[error("the posting is expired or rejected")]
    Over,
    #[error("a candidate was accepted")]
    CandidateAccepted,
    #[error("a project exists")]
    ProjectExists,
    #[error("the payment is disputed")]
    Disputed,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Cancels the posting and decides the refund, in one transaction.
pub async fn cancel(
    pool: &PgPool,
    id: JobPostingId,
    actor: UserId,
    reason: Option<&str>,
) -> Result<Cancellation, CancelError> {
    let mut transaction = pool.begin().await?;
    let posting = lock_job_posting(&mut transaction, id).await?.ok_or(CancelError::NotFound)?;
    check(&mut transaction, &posting).await?;
    update_canceled(&mut transaction, id, reason).await?;
    let sessions = list_sessions(&mut transaction, id).await?;
    let refund = match sessions.iter().find(|session| session.status == SessionStatus::Paid) {
        Some(session) => decide_refund(&mut transaction, session).await?,
        None => None,
    };
    release_sessions(&mut transaction, id).await?;
    let mut expiring = Vec::new();
    for session in sessions.iter().filter(|session| session.status == SessionStatus::Open) {
        expiring.push(enqueue_expiry(&mut transaction, session.id).await?);
    }
    let record = AuditRecord {
        actor: AuditActor::User(actor),
        table: "JobPosting",
        action: "cancel",
        subject_id: Some(id.to_string()),
        client_address: None,
        details: Some(json!({ "refundIntent": refund.map(|(intent, _)| intent) })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    let was_published = matches!(posting.status, JobPostingStatus::Published | JobPostingStatus::Paid);
    Ok(Cancellation { was_published, refund, expiring })
}

/// Whether [`cancel`] would succeed now, for the button on the dashboard.
pub async fn is_cancelable(connection: &mut PgConnection, posting: &JobPosting) -> Result<bool, sqlx::Error> {
    match check(connection, posting).await {
        Ok(()) => Ok(true),
        Err(CancelError::Database(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

async fn check(connection: &mut PgConnection, posting: &JobPosting) -> Result<(), CancelError> {
    match posting.status {
        JobPostingStatus::Canceled => return Err(CancelError::AlreadyCanceled),
        JobPostingStatus::Expired | JobPostingStatus::Rejected => return Err(CancelError::Over),
        JobPostingStatus::PendingPayment
        | JobPostingStatus::Draft
        | JobPostingStatus::Paid
        | JobPostingStatus::Published => {}
    }
    if find_project_id(connection, posting.id).await?.is_some() {
        return Err(CancelError::ProjectExists);
    }
    if has_accepted_candidate(connection, posting.id).await? {
        return Err(CancelError::CandidateAccepted);
    }
    if has_open_dispute(connection, posting.id).await? {
        return Err(CancelError::Disputed);
    }
    Ok(())
}

async fn decide_refund(
    connection: &mut PgConnection,
    session: &PaymentSession,
) -> Result<Option<(RefundIntentId, JobId)>, sqlx::Error> {
    lock_session(connection, session.id).await?;
    let amount = sum_free(connection, session.id).await?;
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref().filter(|_| amount.0 > 0) else {
        return Ok(None);
    };
    let (posting, reason) = (session.job_posting_id, RefundReason::Canceled);
    let Some(intent) = begin_refund(connection, session.id, posting, payment_intent, amount, reason).await? else {
        return Ok(None);
    };
    let job = enqueue(connection, &Job::SendRefund { refund_intent_id: intent.id }).await?;
    Ok(Some((intent.id, job)))
}

async fn enqueue_expiry(connection: &mut PgConnection, session: PaymentSessionId) -> Result<JobId, sqlx::Error> {
    enqueue(connection, &Job::ExpireCheckout { payment_session_id: session }).await
}
