//! Statements on "Checkpoint".

use chrono::NaiveDateTime;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    NewCheckpoint,
    model::{Checkpoint, CheckpointStatus},
};
use crate::{
    Timestamp,
    ids::{CheckpointId, JobPostingId, UserId},
};

/// A statement that yields whole rows of "Checkpoint": a head, the columns, a tail.
macro_rules! checkpoints {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Checkpoint,
            $head + r#""id" AS "id: CheckpointId", "name", "description", "amount", "date" AS "date: Timestamp",
                   "status" AS "status: CheckpointStatus", "submittedAt" AS "submitted_at: Timestamp",
                   "validatedAt" AS "validated_at: Timestamp", "submittedBy" AS "submitted_by: UserId",
                   "validatedBy" AS "validated_by: UserId", "jobPostingId" AS "job_posting_id: JobPostingId",
                   "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp" "# + $tail
            $(, $argument)*
        )
    };
}

/// A checkpoint among the columns of another statement, in two parts because drivers read records of nine fields at
/// most: `id`, `name`, `description`, `amount`, `date`, `status` as text; `submittedAt`, `validatedAt`, `submittedBy`,
/// `validatedBy`, `createdAt`, `updatedAt`.
pub(crate) type CheckpointRecord = (Plan, Progress);
type Plan = (Uuid, String, String, f64, NaiveDateTime, String);
type Progress =
    (Option<NaiveDateTime>, Option<NaiveDateTime>, Option<Uuid>, Option<Uuid>, NaiveDateTime, NaiveDateTime);

/// The checkpoint of `job_posting_id` that the record holds.
pub(crate) fn checkpoint_of(record: CheckpointRecord, job_posting_id: JobPostingId) -> Result<Checkpoint, sqlx::Error> {
    let ((id, name, description, amount, date, status), progress) = record;
    let (submitted_at, validated_at, submitted_by, validated_by, created_at, updated_at) = progress;
    let status = CheckpointStatus::from_name(&status)
        .ok_or_else(|| sqlx::Error::Decode(format!("{status} is no status of a checkpoint").into()))?;
    Ok(Checkpoint {
        id: CheckpointId(id),
        name,
        description,
        amount,
        date: Timestamp(date),
        status,
        submitted_at: submitted_at.map(Timestamp),
        validated_at: validated_at.map(Timestamp),
        submitted_by: submitted_by.map(UserId),
        validated_by: validated_by.map(UserId),
        job_posting_id,
        created_at: Timestamp(created_at),
        updated_at: Timestamp(updated_at),
    })
}

pub async fn find_checkpoint(
    connection: &mut PgConnection,
    id: CheckpointId,
) -> Result<Option<Checkpoint>, sqlx::Error> {
    checkpoints!("SELECT ", r#"FROM "Checkpoint" WHERE "id" = $1"#, id.0).fetch_optional(connection).await
}

/// Reads the row and keeps other writers away until the transaction ends; lock its posting first.
pub async fn lock_checkpoint(
    connection: &mut PgConnection,
    id: CheckpointId,
) -> Result<Option<Checkpoint>, sqlx::Error> {
    checkpoints!("SELECT ", r#"FROM "Checkpoint" WHERE "id" = $1 FOR UPDATE"#, id.0).fetch_optional(connection).await
}

/// A posting's checkpoints in the order of their dates, which does not change when one of them does.
pub async fn list_checkpoints(
    connection: &mut PgConnection,
    job_posting_id: JobPostingId,
) -> Result<Vec<Checkpoint>, sqlx::Error> {
    // One id rather than a list of one: for lists of unknown length PostgreSQL plans anew each time.
    checkpoints!(
        "SELECT ",
        r#"FROM "Checkpoint" WHERE "jobPostingId" = $1 ORDER BY "date", "createdAt", "id""#,
        job_posting_id.0
    )
    .fetch_all(connection)
    .await
}

/// The checkpoints of several postings at once, each posting's in the order of [`list_checkpoints`].
pub async fn list_checkpoints_of(
    connection: &mut PgConnection,
    job_posting_ids: &[Uuid],
) -> Result<Vec<Checkpoint>, sqlx::Error> {
    checkpoints!(
        "SELECT ",
        r#"FROM "Checkpoint" WHERE "jobPostingId" = ANY($1) ORDER BY "date", "createdAt", "id""#,
        job_posting_ids
    )
    .fetch_all(connection)
    .await
}

pub async fn insert_checkpoint(
    connection: &mut PgConnection,
    checkpoint: &NewCheckpoint,
) -> Result<Checkpoint, sqlx::Error> {
    checkpoints!(
        r#"INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "status", "amount")
           VALUES ($1, $2, $3, $4, $5, $6) RETURNING "#,
        "",
        checkpoint.name,
        checkpoint.description,
        checkpoint.date.0,
        checkpoint.job_posting_id.0,
        checkpoint.status.at_creation() as CheckpointStatus,
        checkpoint.amount.to_euros()
    )
    .fetch_one(connection)
    .await
}

pub async fn delete_checkpoint(connection: &mut PgConnection, id: CheckpointId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Checkpoint" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}

pub async fn update_checkpoint_status(
    connection: &mut PgConnection,
    id: CheckpointId,
    status: CheckpointStatus,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Checkpoint" SET "status" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        status as CheckpointStatus,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The freelance says it is done; returns the row as it is now.
pub async fn update_checkpoint_submitted(
    connection: &mut PgConnection,
    id: CheckpointId,
    submitter: UserId,
) -> Result<Checkpoint, sqlx::Error> {
    checkpoints!(
        r#"UPDATE "Checkpoint"
           SET "status" = 'PENDING_COMPANY_APPROVAL', "submittedAt" = (now() AT TIME ZONE 'UTC'), "submittedBy" = $2,
               "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1 RETURNING "#,
        "",
        id.0,
        submitter.0
    )
    .fetch_one(connection)
    .await
}

/// The company's approval was paid out; returns the row as it is now.
pub async fn update_checkpoint_validated(
    connection: &mut PgConnection,
    id: CheckpointId,
    validator: UserId,
    validated_at: Timestamp,
) -> Result<Checkpoint, sqlx::Error> {
    checkpoints!(
        r#"UPDATE "Checkpoint"
           SET "status" = 'DONE', "validatedAt" = $3, "validatedBy" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1 RETURNING "#,
        "",
        id.0,
        validator.0,
        validated_at.0
    )
    .fetch_one(connection)
    .await
}

/// How many checkpoints a posting has.
pub async fn count_checkpoints(connection: &mut PgConnection, job_posting: JobPostingId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM "Checkpoint" WHERE "jobPostingId" = $1"#, job_posting.0,)
        .fetch_one(connection)
        .await
}

/// Cancels what is not done; the ids of what was canceled. Lock the posting and its project first.
pub async fn cancel_open_checkpoints(
    connection: &mut PgConnection,
    job_posting: JobPostingId,
) -> Result<Vec<CheckpointId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE "Checkpoint" SET "status" = 'CANCELED', "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "jobPostingId" = $1 AND "status" NOT IN ('DONE', 'CANCELED') RETURNING "id" AS "id: CheckpointId""#,
        job_posting.0,
    )
    .fetch_all(connection)
    .await
}
