//! An operator ends a project that will not be finished: what was charged and not paid out goes back to the company, and
//! what was not done is not done any more. What was paid out stays with the freelance.

use std::time::Duration;

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    model::{RefundReason, SessionStatus, TransferStatus},
    queries::{
        disputes::has_open_dispute,
        keys::find_now,
        ledger::sum_left,
        projects::{find_posting_of_project, lock_project_of_posting, update_project_canceled},
        sessions::{list_sessions, lock_session},
        transfers::list_transfers,
    },
    refunds::begin_refund,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    checkpoints::queries::cancel_open_checkpoints,
    ids::{CheckpointId, JobPostingId, ProjectId, RefundIntentId},
    job_postings::queries::lock_job_posting,
};

/// What canceling set in motion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectCancellation {
    pub job_posting_id: JobPostingId,
    /// Checkpoints that are canceled now.
    pub checkpoints: Vec<CheckpointId>,
    /// The refund that a running server makes; none when nothing is left, or no payment is on record.
    pub refund: Option<RefundIntentId>,
    pub refund_cents: Cents,
}

#[derive(Debug, thiserror::Error)]
pub enum CancelProjectError {
    #[error("the project does not exist")]
    NotFound,
    #[error("the project is over")]
    Over,
    #[error("a transfer is on its way: wait until it is settled")]
    TransferPending,
    #[error("a transfer that failed may still be carried out: ask again in {} seconds", .0.as_secs())]
    TransferResting(Duration),
    #[error("the payment is disputed: the bank decides where the money goes")]
    Disputed,
    #[error("the payment has a refund already")]
    RefundExists,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Ends the project, cancels what is open and decides the refund of what is left, in one transaction.
pub async fn cancel_project(
    pool: &PgPool,
    id: ProjectId,
    operator: &str,
    reason: &str,
) -> Result<ProjectCancellation, CancelProjectError> {
    let mut transaction = pool.begin().await?;
    let posting = find_posting_of_project(&mut transaction, id).await?.ok_or(CancelProjectError::NotFound)?;
    lock_job_posting(&mut transaction, posting).await?.ok_or(CancelProjectError::NotFound)?;
    let project = lock_project_of_posting(&mut transaction, posting).await?.ok_or(CancelProjectError::NotFound)?;
    if !project.is_in_progress {
        return Err(CancelProjectError::Over);
    }
    let checkpoints = cancel_open_checkpoints(&mut transaction, posting).await?;
    // The checkpoints' locks came first, as everywhere; a pending transfer ends all of this again.
    check_transfers(&mut transaction, posting).await?;
    let refund = decide_refund(&mut transaction, posting).await?;
    update_project_canceled(&mut transaction, id).await?;
    let (refund, refund_cents) = refund.map_or((None, Cents(0)), |(intent, amount)| (Some(intent), amount));
    let record = AuditRecord {
        actor: AuditActor::Operator,
        table: "Project",
        action: "cancel_project",
        subject_id: Some(id.to_string()),
        client_address: None,
        details: Some(json!({
            "operator": operator, "reason": reason, "jobPosting": posting, "checkpoints": checkpoints,
            "refundIntent": refund, "refundCents": refund_cents.0,
        })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(ProjectCancellation { job_posting_id: posting, checkpoints, refund, refund_cents })
}

/// What may still leave Stripe is not free: a transfer that waits, and one that was refused a moment ago, of which an
/// earlier request may have gone unanswered.
async fn check_transfers(connection: &mut PgConnection, posting: JobPostingId) -> Result<(), CancelProjectError> {
    let now = find_now(connection).await?;
    for transfer in list_transfers(connection, posting).await? {
        match transfer.status {
            TransferStatus::Pending => return Err(CancelProjectError::TransferPending),
            TransferStatus::Failed => {
                if let Some(rest) = transfer.key_use().rest(now) {
                    return Err(CancelProjectError::TransferResting(rest));
                }
            }
            TransferStatus::Succeeded | TransferStatus::Reversed => {}
        }
    }
    Ok(())
}

/// What was charged and neither paid out, given back nor lost, as booked: no transfer is on its way.
async fn decide_refund(
    connection: &mut PgConnection,
    posting: JobPostingId,
) -> Result<Option<(RefundIntentId, Cents)>, CancelProjectError> {
    if has_open_dispute(connection, posting).await? {
        return Err(CancelProjectError::Disputed);
    }
    let sessions = list_sessions(connection, posting).await?;
    let Some(paid) = sessions.iter().find(|session| session.status == SessionStatus::Paid) else { return Ok(None) };
    lock_session(connection, paid.id).await?;
    let left = sum_left(connection, paid.id).await?;
    let Some(payment_intent) = paid.stripe_payment_intent_id.as_deref().filter(|_| left.0 > 0) else {
        return Ok(None);
    };
    let reason = RefundReason::ProjectCanceled;
    let intent = begin_refund(connection, paid.id, posting, payment_intent, left, reason).await?;
    let intent = intent.ok_or(CancelProjectError::RefundExists)?;
    Ok(Some((intent.id, left)))
}
