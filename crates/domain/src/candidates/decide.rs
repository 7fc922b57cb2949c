//! The company's decision on a candidate. A decision is final; repeating it answers what it did.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{Candidate, CandidateStatus, accept, queries};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{CandidateId, ProjectId, UserId},
    job_postings,
};

/// What a company may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Accept,
    Reject,
}

impl Decision {
    fn status(self) -> CandidateStatus {
        match self {
            Self::Accept => CandidateStatus::Accepted,
            Self::Reject => CandidateStatus::Rejected,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub candidate: Candidate,
    /// The project that the acceptance made.
    pub project_id: Option<ProjectId>,
}

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("no such candidate")]
    NotFound,
    /// Another candidate of the posting was accepted.
    #[error("a candidate has been accepted")]
    AlreadyAccepted,
    /// The candidate was decided otherwise.
    #[error("the candidate has been decided")]
    Final,
    #[error("the job posting is not published")]
    NotPublished,
    #[error("the job posting is not paid")]
    NotPaid,
    #[error("the job posting has no checkpoint")]
    NoCheckpoint,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Decides on the candidate. Whose posting it is was checked before.
pub async fn decide(
    pool: &PgPool,
    company_user: UserId,
    id: CandidateId,
    decision: Decision,
    client_address: Option<String>,
) -> Result<Decided, DecideError> {
    let mut transaction = pool.begin().await?;
    let unlocked = queries::find_candidate(&mut transaction, id).await?.ok_or(DecideError::NotFound)?;
    // A decision is final, so a repetition needs no lock.
    if unlocked.status == decision.status() {
        return repeat(&mut transaction, unlocked).await;
    }
    let job_posting = job_postings::queries::lock_job_posting(&mut transaction, unlocked.job_posting_id)
        .await?
        .ok_or(DecideError::NotFound)?;
    let candidates = queries::lock_candidates_of_job_posting(&mut transaction, job_posting.id).await?;
    let candidate = candidates.iter().find(|candidate| candidate.id == id).cloned().ok_or(DecideError::NotFound)?;
    if candidate.status == decision.status() {
        return repeat(&mut transaction, candidate).await;
    }
    let is_chosen = candidates.iter().any(|other| other.status == CandidateStatus::Accepted && other.id != id);
    let project_id = match decision {
        Decision::Accept if is_chosen => return Err(DecideError::AlreadyAccepted),
        _ if candidate.status != CandidateStatus::Pending => return Err(DecideError::Final),
        Decision::Accept => Some(accept::accept(&mut transaction, company_user, &candidate, &job_posting).await?),
        Decision::Reject => {
            queries::update_status(&mut transaction, id, CandidateStatus::Rejected).await?;
            None
        }
    };
    let act = Act { company_user, candidate: &candidate, decision, project_id };
    record(&mut transaction, &act, client_address).await?;
    let candidate = queries::find_candidate(&mut transaction, id).await?.ok_or(DecideError::NotFound)?;
    transaction.commit().await?;
    Ok(Decided { candidate, project_id })
}

/// What an earlier, same decision made.
async fn repeat(connection: &mut PgConnection, candidate: Candidate) -> Result<Decided, DecideError> {
    let project_id = match candidate.status {
        CandidateStatus::Accepted => {
            job_postings::queries::find_project_id(connection, candidate.job_posting_id).await?
        }
        CandidateStatus::Pending | CandidateStatus::Rejected => None,
    };
    Ok(Decided { candidate, project_id })
}

/// What the audit trail keeps.
struct Act<'a> {
    company_user: UserId,
    candidate: &'a Candidate,
    decision: Decision,
    project_id: Option<ProjectId>,
}

async fn record(
    connection: &mut PgConnection,
    act: &Act<'_>,
    client_address: Option<String>,
) -> Result<(), sqlx::Error> {
    let record = AuditRecord {
        actor: AuditActor::User(act.company_user),
        table: "Candidate",
        action: match act.decision {
            Decision::Accept => "accept",
            Decision::Reject => "reject",
        },
        subject_id: Some(act.candidate.id.to_string()),
        client_address,
        details: Some(json!({
            "jobPostingId": act.candidate.job_posting_id,
            "freelanceId": act.candidate.freelance_id,
            "projectId": act.project_id,
        })),
    };
    audit::record(connection, &record).await
}
