//! The freelance says that a checkpoint is done.

use sqlx::PgPool;

use super::queries::projects::lock_project_of_posting;
use crate::{
    audit::{self, AuditActor, AuditRecord},
    checkpoints::{
        Checkpoint, CheckpointStatus,
        queries::{find_checkpoint, lock_checkpoint, update_checkpoint_submitted},
    },
    ids::{CheckpointId, UserId},
    job_postings::queries::lock_job_posting,
};

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the checkpoint does not exist")]
    NotFound,
    #[error("the posting has no project")]
    NoProject,
    #[error("the project is over")]
    ProjectOver,
    #[error("the checkpoint is done or canceled")]
    Settled,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Submits once; a repetition answers the row as it is.
pub async fn submit_checkpoint(
    pool: &PgPool,
    checkpoint: CheckpointId,
    submitter: UserId,
) -> Result<Checkpoint, SubmitError> {
    let mut transaction = pool.begin().await?;
    let found = find_checkpoint(&mut transaction, checkpoint).await?.ok_or(SubmitError::NotFound)?;
    lock_job_posting(&mut transaction, found.job_posting_id).await?.ok_or(SubmitError::NotFound)?;
    let project = lock_project_of_posting(&mut transaction, found.job_posting_id).await?;
    let project = project.ok_or(SubmitError::NoProject)?;
    let checkpoint = lock_checkpoint(&mut transaction, checkpoint).await?.ok_or(SubmitError::NotFound)?;
    match checkpoint.status {
        CheckpointStatus::PendingCompanyApproval => return Ok(checkpoint),
        CheckpointStatus::Done | CheckpointStatus::Canceled => return Err(SubmitError::Settled),
        CheckpointStatus::Todo | CheckpointStatus::InProgress | CheckpointStatus::Delayed => {}
    }
    if !project.is_in_progress {
        return Err(SubmitError::ProjectOver);
    }
    let submitted = update_checkpoint_submitted(&mut transaction, checkpoint.id, submitter).await?;
    let record = AuditRecord {
        actor: AuditActor::User(submitter),
        table: "Checkpoint",
        action: "submit",
        subject_id: Some(checkpoint.id.to_string()),
        client_address: None,
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(submitted)
}
