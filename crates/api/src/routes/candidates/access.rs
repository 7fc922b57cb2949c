//! Permission on candidates.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    candidates::{Candidate, queries},
    freelances,
    ids::{CandidateId, CompanyId, FreelanceId, JobPostingId},
    job_postings,
    policy::{self, CandidateAction, Decision, JobPostingAction},
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, PathIds, Session},
    routes::projects::access::CompanyOwner,
    state::AppState,
};

/// The same for a candidate that does not exist and for one that must look so.
pub const NO_CANDIDATE: &str = "Candidate not found";
/// The same for a posting that does not exist and for one that must look so.
pub fn no_job_posting(id: JobPostingId) -> String {
    format!("Annonce avec l'ID {id} introuvable")
}

type ById = (Session, CandidateId);

async fn claim_by_id(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
    let session = Session::from_request_parts(parts, state).await?;
    let PathId(id) = PathId::from_request_parts(parts, state).await?;
    Ok((session, id))
}

/// The candidate, when the policy allows `action`; a forbidden one is refused with `forbidden`.
async fn load(
    (session, id): &ById,
    action: CandidateAction,
    forbidden: &'static str,
    state: &AppState,
) -> ApiResult<Candidate> {
    let missing = || ApiError::not_found(NO_CANDIDATE);
    let mut connection = state.connection().await?;
    let facts = queries::find_candidate_facts(&mut connection, *id).await?.ok_or_else(missing)?;
    match policy::candidate(session.actor(), action, &facts) {
        Decision::Forbidden => return Err(ApiError::forbidden(forbidden)),
        decision => ApiError::check(decision, NO_CANDIDATE)?,
    }
    queries::find_candidate(&mut connection, *id).await?.ok_or_else(missing)
}

/// An application that the session may read: its own, or one to its company.
#[derive(Clone, Debug)]
pub struct VisibleCandidate(pub Candidate);

impl Access for VisibleCandidate {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant(claim: ById, state: &AppState) -> ApiResult<Self> {
        load(&claim, CandidateAction::View, crate::error::FORBIDDEN, state).await.map(Self)
    }
}

/// An application to a posting of the session's company.
#[derive(Clone, Debug)]
pub struct CandidateToDecide {
    pub candidate: Candidate,
    pub session: Session,
}

impl Access for CandidateToDecide {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant(claim: ById, state: &AppState) -> ApiResult<Self> {
        let forbidden = "Unauthorized: You can only update candidates for your own job postings";
        let candidate = load(&claim, CandidateAction::Decide, forbidden, state).await?;
        Ok(Self { candidate, session: claim.0 })
    }
}

/// An application of the session's own.
#[derive(Clone, Debug)]
pub struct OwnCandidate {
    pub candidate: Candidate,
    pub session: Session,
}

impl Access for OwnCandidate {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant(claim: ById, state: &AppState) -> ApiResult<Self> {
        let candidate = load(&claim, CandidateAction::Withdraw, crate::error::FORBIDDEN, state).await?;
        Ok(Self { candidate, session: claim.0 })
    }
}

/// The applications to the postings of the session's own company.
#[derive(Clone, Debug)]
pub struct OwnCompanyCandidates(pub CompanyOwner);

impl Access for OwnCompanyCandidates {
    type Claim = (Session, CompanyId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let refusal = "Unauthorized: You can only view candidates for your own company";
        CompanyOwner::find(session, id, refusal, state).await.map(Self)
    }
}

/// The applications to one posting of the session's own company.
#[derive(Clone, Copy, Debug)]
pub struct OwnPostingCandidates(pub JobPostingId);

impl Access for OwnPostingCandidates {
    type Claim = (Session, JobPostingId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let found = job_postings::queries::find_facts(&mut connection, id, Some(session.user_id)).await?;
        connection.finish();
        let (_, facts) = found.ok_or_else(|| ApiError::not_found(no_job_posting(id)))?;
        let decision = policy::job_posting(Some(session.actor()), JobPostingAction::ViewCandidates, &facts);
        ApiError::check(decision, no_job_posting(id))?;
        Ok(Self(id))
    }
}

/// The session's own application to a posting.
#[derive(Clone, Copy, Debug)]
pub struct OwnApplicationTo {
    pub freelance_id: FreelanceId,
    pub job_posting_id: JobPostingId,
}

impl Access for OwnApplicationTo {
    type Claim = (Session, FreelanceId, JobPostingId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathIds(freelance_id, job_posting_id) = PathIds::from_request_parts(parts, state).await?;
        Ok((session, freelance_id, job_posting_id))
    }

    async fn grant((session, freelance_id, job_posting_id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let own = freelances::queries::find_freelance_of_user(&mut connection, session.user_id).await?;
        connection.finish();
        if own.is_none_or(|own| own.id != freelance_id) {
            return Err(ApiError::forbidden(crate::error::FORBIDDEN));
        }
        Ok(Self { freelance_id, job_posting_id })
    }
}
