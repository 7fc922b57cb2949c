//! Taking back an application that waits for its decision.

use sqlx::PgPool;

use super::{Candidate, CandidateStatus, queries};
use crate::{ids::CandidateId, job_postings};

#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    #[error("no such candidate")]
    NotFound,
    #[error("the company has decided")]
    Decided,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Deletes the application and returns what it was. Whose it is was checked before.
pub async fn withdraw(pool: &PgPool, candidate: &Candidate) -> Result<Candidate, WithdrawError> {
    let id: CandidateId = candidate.id;
    let mut transaction = pool.begin().await?;
    // The posting first, as everywhere; a decision that is under way is waited for.
    job_postings::queries::lock_job_posting_shared(&mut transaction, candidate.job_posting_id).await?;
    let locked = queries::lock_candidate(&mut transaction, id).await?.ok_or(WithdrawError::NotFound)?;
    if locked.status != CandidateStatus::Pending {
        return Err(WithdrawError::Decided);
    }
    queries::delete_candidate(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(locked)
}
