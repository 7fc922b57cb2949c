//! Taking a checkpoint away from a posting that nobody has begun to pay.

use sqlx::PgPool;

use super::{Checkpoint, queries};
use crate::{
    Violation,
    audit::{self, AuditActor, AuditRecord},
    ids::JobPostingId,
    job_postings::{model::are_checkpoints_open, queries as job_postings},
};

#[derive(Debug, thiserror::Error)]
pub enum DeleteCheckpointError {
    #[error("the checkpoint does not exist any more")]
    Gone,
    #[error("the posting is paid or being paid")]
    Frozen,
    /// An old quote refers to it.
    #[error("the checkpoint is referred to")]
    Referenced,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The caller has established that the posting is the actor's.
pub async fn delete(
    pool: &PgPool,
    actor: AuditActor,
    client_address: String,
    checkpoint: &Checkpoint,
) -> Result<Checkpoint, DeleteCheckpointError> {
    let mut transaction = pool.begin().await?;
    let JobPostingId(job_posting_id) = checkpoint.job_posting_id;
    let posting = job_postings::lock_job_posting(&mut transaction, checkpoint.job_posting_id)
        .await?
        .ok_or(DeleteCheckpointError::Gone)?;
    let current =
        queries::lock_checkpoint(&mut transaction, checkpoint.id).await?.ok_or(DeleteCheckpointError::Gone)?;
    let payment = job_postings::get_payment_state(&mut transaction, posting.id).await?;
    if !are_checkpoints_open(&posting, payment) {
        return Err(DeleteCheckpointError::Frozen);
    }
    queries::delete_checkpoint(&mut transaction, current.id).await.map_err(|error| match Violation::of(&error) {
        Some(Violation::ForeignKey { .. }) => DeleteCheckpointError::Referenced,
        _ => DeleteCheckpointError::Database(error),
    })?;
    audit::record(
        &mut transaction,
        &AuditRecord {
            actor,
            table: "Checkpoint",
            action: "delete",
            subject_id: Some(current.id.to_string()),
            client_address: Some(client_address),
            details: Some(serde_json::json!({ "jobPostingId": job_posting_id, "cents": current.cents().0 })),
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(current)
}
