//! The owner changes a checkpoint's texts, date or amount: before payment only (I10).

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{
    Cents, Timestamp,
    checkpoints::{
        Checkpoint, CheckpointStatus,
        queries::{find_checkpoint, lock_checkpoint},
    },
    ids::CheckpointId,
    job_postings::{
        model::are_checkpoints_open,
        queries::{get_payment_state, lock_job_posting},
    },
    money::TransferFees,
};

/// What is to change; absent fields stay.
#[derive(Clone, Debug, Default)]
pub struct CheckpointChanges {
    pub name: Option<String>,
    pub description: Option<String>,
    pub date: Option<DateTime<Utc>>,
    pub amount: Option<Cents>,
    /// To do, in progress or delayed; anything else is a transition of its own.
    pub status: Option<CheckpointStatus>,
}

#[derive(Debug, thiserror::Error)]
pub enum EditCheckpointError {
    #[error("the checkpoint does not exist")]
    NotFound,
    #[error("the status is reached by other ways")]
    Status,
    #[error("nothing would be left after fees")]
    TooSmall,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Applies the changes before payment. Afterwards they are ignored, and a change of the status is refused.
pub async fn edit_checkpoint(
    pool: &PgPool,
    checkpoint: CheckpointId,
    changes: &CheckpointChanges,
) -> Result<Checkpoint, EditCheckpointError> {
    let mut transaction = pool.begin().await?;
    let found = find_checkpoint(&mut transaction, checkpoint).await?.ok_or(EditCheckpointError::NotFound)?;
    let posting = lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let posting = posting.ok_or(EditCheckpointError::NotFound)?;
    let payment = get_payment_state(&mut transaction, posting.id).await?;
    let current = lock_checkpoint(&mut transaction, checkpoint).await?.ok_or(EditCheckpointError::NotFound)?;
    if !are_checkpoints_open(&posting, payment) {
        let asks_for_other_status = changes.status.is_some_and(|status| status != current.status);
        return if asks_for_other_status { Err(EditCheckpointError::Status) } else { Ok(current) };
    }
    check(changes)?;
    update_checkpoint(&mut transaction, checkpoint, changes).await?;
    let changed = find_checkpoint(&mut transaction, checkpoint).await?.ok_or(EditCheckpointError::NotFound)?;
    transaction.commit().await?;
    Ok(changed)
}

fn check(changes: &CheckpointChanges) -> Result<(), EditCheckpointError> {
    use CheckpointStatus::{Delayed, InProgress, Todo};
    if changes.status.is_some_and(|status| !matches!(status, Todo | InProgress | Delayed)) {
        return Err(EditCheckpointError::Status);
    }
    if changes.amount.is_some_and(|amount| TransferFees::of(amount).net.0 <= 0) {
        return Err(EditCheckpointError::TooSmall);
    }
    Ok(())
}

async fn update_checkpoint(
    connection: &mut PgConnection,
    id: CheckpointId,
    changes: &CheckpointChanges,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Checkpoint"
           SET "name" = coalesce($2, "name"), "description" = coalesce($3, "description"), "date" = coalesce($4, "date"),
               "amount" = coalesce($5, "amount"), "status" = coalesce($6, "status"),
               "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1"#,
        id.0,
        changes.name,
        changes.description,
        changes.date.map(|date| Timestamp::from_utc(date).0),
        changes.amount.map(Cents::to_euros),
        changes.status as Option<CheckpointStatus>,
    )
    .execute(connection)
    .await?;
    Ok(())
}
