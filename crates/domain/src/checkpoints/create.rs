//! Adding a checkpoint to a posting that nobody has begun to pay.

use sqlx::PgPool;

use super::{Checkpoint, CheckpointStatus, queries};
use crate::{
    Cents, Timestamp,
    ids::JobPostingId,
    job_postings::{model::are_checkpoints_open, queries as job_postings},
    money::TransferFees,
};

/// Every reader of a posting loads all of its checkpoints.
pub const MOST_CHECKPOINTS: i64 = 100;

#[derive(Clone, Debug)]
pub struct NewCheckpoint {
    pub name: String,
    pub description: String,
    pub date: Timestamp,
    pub job_posting_id: JobPostingId,
    /// What the author asks for; see [`CheckpointStatus::at_creation`].
    pub status: CheckpointStatus,
    pub amount: Cents,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateCheckpointError {
    /// The fees would eat the amount up: it could never be paid out, and its project never be completed.
    #[error("nothing of the amount would reach the freelance")]
    NothingLeft,
    #[error("the posting does not exist any more")]
    NoJobPosting,
    #[error("the posting is paid or being paid")]
    Frozen,
    #[error("the posting has {MOST_CHECKPOINTS} checkpoints already")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The caller has established that the posting is the author's.
///
/// The posting is only locked against change, so that the checkpoints of one posting can be added in parallel.
pub async fn create(pool: &PgPool, checkpoint: &NewCheckpoint) -> Result<Checkpoint, CreateCheckpointError> {
    if TransferFees::of(checkpoint.amount).net <= Cents(0) {
        return Err(CreateCheckpointError::NothingLeft);
    }
    let mut transaction = pool.begin().await?;
    let posting = job_postings::lock_job_posting_shared(&mut transaction, checkpoint.job_posting_id)
        .await?
        .ok_or(CreateCheckpointError::NoJobPosting)?;
    let payment = job_postings::get_payment_state(&mut transaction, posting.id).await?;
    if !are_checkpoints_open(&posting, payment) {
        return Err(CreateCheckpointError::Frozen);
    }
    // Parallel creations may overshoot a little; that does no harm.
    if queries::count_checkpoints(&mut transaction, posting.id).await? >= MOST_CHECKPOINTS {
        return Err(CreateCheckpointError::TooMany);
    }
    let created = queries::insert_checkpoint(&mut transaction, checkpoint).await?;
    transaction.commit().await?;
    Ok(created)
}
