//! Deleting a posting that was never paid, with everything that belongs to it, in one transaction.

use sqlx::{PgConnection, PgPool};

use super::{model::was_ever_paid, queries};
use crate::{
    Violation,
    audit::{self, AuditActor, AuditRecord},
    ids::JobPostingId,
    jobs::{self, Job},
};

#[derive(Debug, thiserror::Error)]
pub enum DeleteJobPostingError {
    #[error("the posting does not exist any more")]
    Gone,
    #[error("a candidate was accepted")]
    CandidateAccepted,
    /// It has to be canceled, which gives the money back.
    #[error("the posting was paid")]
    Paid,
    /// A project or an old quote refers to it.
    #[error("the posting is referred to")]
    Referenced,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The caller has established that the posting is the actor's.
///
/// A payment page that is still open is expired afterwards. Every session that Stripe may know stays on record, also an
/// expired one, so that a payment that slips through or is told late is known and given back.
pub async fn delete(
    pool: &PgPool,
    actor: AuditActor,
    client_address: String,
    id: JobPostingId,
) -> Result<(), DeleteJobPostingError> {
    let mut transaction = pool.begin().await?;
    let posting = queries::lock_job_posting(&mut transaction, id).await?.ok_or(DeleteJobPostingError::Gone)?;
    if queries::has_accepted_candidate(&mut transaction, id).await? {
        return Err(DeleteJobPostingError::CandidateAccepted);
    }
    let payment = queries::get_payment_state(&mut transaction, id).await?;
    if was_ever_paid(&posting, payment) {
        return Err(DeleteJobPostingError::Paid);
    }
    for payment_session_id in queries::list_open_payment_sessions(&mut transaction, id).await? {
        jobs::enqueue(&mut transaction, &Job::ExpireCheckout { payment_session_id }).await?;
    }
    delete_rows(&mut transaction, id).await.map_err(|error| match Violation::of(&error) {
        Some(Violation::ForeignKey { .. }) => DeleteJobPostingError::Referenced,
        _ => DeleteJobPostingError::Database(error),
    })?;
    let record = AuditRecord {
        actor,
        table: "JobPosting",
        action: "delete",
        subject_id: Some(id.to_string()),
        client_address: Some(client_address),
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(())
}

/// Children first; the links to skills go with the row.
async fn delete_rows(connection: &mut PgConnection, id: JobPostingId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Candidate" WHERE "jobPostingId" = $1"#, id.0).execute(&mut *connection).await?;
    sqlx::query!(r#"DELETE FROM "Checkpoint" WHERE "jobPostingId" = $1"#, id.0).execute(&mut *connection).await?;
    sqlx::query!(
        r#"DELETE FROM payment_session
           WHERE job_posting_id = $1 AND status = 'EXPIRED' AND stripe_session_id IS NULL AND key_used_at IS NULL
             AND key_number = 1"#,
        id.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(r#"DELETE FROM "JobPosting" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}
