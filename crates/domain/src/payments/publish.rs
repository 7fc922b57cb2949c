//! Publishing by hand: for postings the original left at PAID, once a payment is on record.

use sqlx::PgPool;

use super::legacy::is_paid;
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{JobPostingId, UserId},
    job_postings::{
        JobPostingStatus,
        queries::{lock_job_posting, update_status},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the posting does not exist")]
    NotFound,
    #[error("no payment is on record, or the posting is not waiting for its publication")]
    NotPaid,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// PAID → PUBLISHED, when a payment is on record.
pub async fn publish(pool: &PgPool, id: JobPostingId, actor: UserId) -> Result<(), PublishError> {
    let mut transaction = pool.begin().await?;
    let posting = lock_job_posting(&mut transaction, id).await?.ok_or(PublishError::NotFound)?;
    if posting.status != JobPostingStatus::Paid || !is_paid(&mut transaction, id).await? {
        return Err(PublishError::NotPaid);
    }
    update_status(&mut transaction, id, JobPostingStatus::Published).await?;
    let record = AuditRecord {
        actor: AuditActor::User(actor),
        table: "JobPosting",
        action: "publish",
        subject_id: Some(id.to_string()),
        client_address: None,
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(())
}
