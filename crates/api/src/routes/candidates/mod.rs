//! `/candidates`: applications of freelances to job postings, and the companies' decisions.

mod access;
mod errors;
mod views;

use axum::extract::State;
use freehunt_domain::{
    candidates::{self, ApplyError, Candidate, CandidateStatus, Decision, NewCandidate, queries},
    ids::{CandidateId, CompanyId, FreelanceId, JobPostingId},
    retry::retrying,
};
use serde::Deserialize;

use self::{
    access::{
        CandidateToDecide, NO_CANDIDATE, OwnApplicationTo, OwnCandidate, OwnCompanyCandidates, OwnPostingCandidates,
        VisibleCandidate,
    },
    views::{CandidateView, CreatedCandidate, DecidedCandidate},
};
use crate::{
    error::{ApiError, ApiResult, ErrorBody},
    extract::{Allowed, AllowedBody, ClientAddress, Created, Field, Json, Rule, Session, ValidBody, Validate},
    routes::{closed, stripe::refresh_account},
    state::AppState,
};

/// An application.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "jobPostingId": "550e8400-e29b-41d4-a716-446655440000",
    "freelanceId": "7b2d3e7a-5c1f-4b0e-9d7e-3f1a2b4c5d6e",
    "status": "PENDING",
}))]
pub struct CreateCandidate {
    job_posting_id: JobPostingId,
    /// The session's own profile.
    freelance_id: FreelanceId,
    /// Must be `PENDING`.
    status: CandidateStatus,
}

impl Validate for CreateCandidate {
    const FIELDS: &'static [Field] = &[
        Field::required("jobPostingId", &[Rule::IsUuid, Rule::NotEmpty]),
        Field::required("freelanceId", &[Rule::IsUuid, Rule::NotEmpty]),
        Field::required("status", &[Rule::IsEnum(CandidateStatus::NAMES), Rule::NotEmpty]),
    ];
}

/// Applies to a published job posting.
#[utoipa::path(post, path = "/candidates", tag = "candidates", request_body = CreateCandidate,
    security(("session" = [])),
    responses((status = 201, description = "The application", body = CreatedCandidate),
        (status = 400, description = "A broken rule, no payout account, applied already, or a freelance is selected",
            body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not a freelance, not the own profile, or the own company's posting", body = ErrorBody),
        (status = 404, description = "No such posting for this session", body = ErrorBody),
        (status = 409, description = "The posting does not take applications", body = ErrorBody)))]
pub async fn create_candidate(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<CreateCandidate>,
) -> ApiResult<Created<CreatedCandidate>> {
    if body.status != CandidateStatus::Pending {
        return Err(ApiError::rules(vec!["status must be PENDING".to_owned()]));
    }
    session.require_confirmed()?;
    let new = NewCandidate { freelance_id: body.freelance_id, job_posting_id: body.job_posting_id };
    let apply = || candidates::apply(&state.pool, session.actor(), new);
    let applied = match retrying(apply).await {
        Err(ApplyError::PayoutAccountNotReady { account }) => {
            refresh_account(&state, &account).await?;
            retrying(apply).await
        }
        other => other,
    };
    let (candidate, freelance, job_posting) = applied?;
    Ok(Created(CreatedCandidate::new(candidate, freelance, job_posting, session.user_id)))
}

/// The applications to all postings of the session's own company, newest first.
#[utoipa::path(get, path = "/candidates/company/{companyId}", tag = "candidates",
    params(("companyId" = CompanyId, Path)), security(("session" = [])),
    responses((status = 200, description = "The applications", body = Vec<CandidateView>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the session's company", body = ErrorBody)))]
pub async fn list_candidates_of_company(
    State(state): State<AppState>,
    Allowed(OwnCompanyCandidates(own)): Allowed<OwnCompanyCandidates>,
) -> ApiResult<Json<Vec<CandidateView>>> {
    let skills = state.skills.get(&state).await?;
    let mut connection = state.connection().await?;
    let candidates = candidates::list_details_of_company(&mut connection, &skills.catalog, own.company_id).await?;
    connection.finish();
    let viewer = own.session.user_id;
    Ok(Json(candidates.into_iter().map(|candidate| CandidateView::new(candidate, viewer)).collect()))
}

/// The applications to one posting of the session's own company, oldest first.
#[utoipa::path(get, path = "/candidates/job-posting/{jobPostingId}", tag = "candidates",
    params(("jobPostingId" = JobPostingId, Path)), security(("session" = [])),
    responses((status = 200, description = "The applications", body = Vec<Candidate>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No such posting of the session's company", body = ErrorBody)))]
pub async fn list_candidates_of_job_posting(
    State(state): State<AppState>,
    Allowed(OwnPostingCandidates(job_posting)): Allowed<OwnPostingCandidates>,
) -> ApiResult<Json<Vec<Candidate>>> {
    let mut connection = state.connection().await?;
    Ok(Json(queries::list_candidates_of_job_posting(&mut connection, job_posting).await?))
}

/// One application, for the applicant and the posting's company.
#[utoipa::path(get, path = "/candidates/{id}", tag = "candidates", params(("id" = CandidateId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The application", body = Candidate),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "There is none for this session", body = ErrorBody)))]
pub async fn get_candidate(
    Allowed(VisibleCandidate(candidate)): Allowed<VisibleCandidate>,
) -> ApiResult<Json<Candidate>> {
    Ok(Json(candidate))
}

/// Closed: the company decides at `/candidates/{id}/company`.
#[utoipa::path(put, path = "/candidates/{id}", tag = "candidates", params(("id" = CandidateId, Path)),
    security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn update_candidate(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Takes back an own application that is not decided yet.
#[utoipa::path(delete, path = "/candidates/{id}", tag = "candidates", params(("id" = CandidateId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The application that was", body = Candidate),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "There is none of the session's own", body = ErrorBody),
        (status = 409, description = "The company has decided", body = ErrorBody)))]
pub async fn delete_candidate(
    State(state): State<AppState>,
    Allowed(own): Allowed<OwnCandidate>,
) -> ApiResult<Json<Candidate>> {
    own.session.require_confirmed()?;
    Ok(Json(retrying(|| candidates::withdraw(&state.pool, &own.candidate)).await?))
}

/// The session's own application to a posting.
#[utoipa::path(get, path = "/candidates/freelance/{freelanceId}/job-posting/{jobPostingId}", tag = "candidates",
    params(("freelanceId" = FreelanceId, Path), ("jobPostingId" = JobPostingId, Path)), security(("session" = [])),
    responses((status = 200, description = "The application", body = Candidate),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the session's profile", body = ErrorBody),
        (status = 404, description = "Not applied", body = ErrorBody)))]
pub async fn get_candidate_of_freelance(
    State(state): State<AppState>,
    Allowed(own): Allowed<OwnApplicationTo>,
) -> ApiResult<Json<Candidate>> {
    let mut connection = state.connection().await?;
    let found = queries::find_candidate_of_freelance(&mut connection, own.freelance_id, own.job_posting_id).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found(NO_CANDIDATE))
}

/// A company's decision.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({ "status": "ACCEPTED" }))]
pub struct DecideCandidate {
    /// `ACCEPTED` or `REJECTED`.
    status: CandidateStatus,
}

impl Validate for DecideCandidate {
    const FIELDS: &'static [Field] = &[
        Field::ignored("jobPostingId"),
        Field::ignored("freelanceId"),
        Field::required("status", &[Rule::IsEnum(CandidateStatus::NAMES)]),
    ];
}

/// Accepts or rejects. Accepting rejects the others and makes the project, its conversation and the welcome message.
#[utoipa::path(put, path = "/candidates/{id}/company", tag = "candidates", params(("id" = CandidateId, Path)),
    request_body = DecideCandidate, security(("session" = [])),
    responses((status = 200, description = "The decided application", body = DecidedCandidate),
        (status = 400, description = "A broken rule, or another candidate is accepted", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the posting's company", body = ErrorBody),
        (status = 404, description = "There is none", body = ErrorBody),
        (status = 409, description = "Decided otherwise, or the posting is not published or not paid",
            body = ErrorBody)))]
pub async fn decide_candidate(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    AllowedBody(access, body): AllowedBody<CandidateToDecide, DecideCandidate>,
) -> ApiResult<Json<DecidedCandidate>> {
    let (session, id) = (access.session, access.candidate.id);
    session.require_confirmed()?;
    let decision = match body.status {
        CandidateStatus::Accepted => Decision::Accept,
        CandidateStatus::Rejected => Decision::Reject,
        CandidateStatus::Pending => return Err(ApiError::conflict("A candidate cannot be set back to PENDING")),
    };
    let address = Some(address.to_string());
    let decide = || candidates::decide(&state.pool, session.user_id, id, decision, address.clone());
    let decided = retrying(decide).await?;
    let skills = state.skills.get(&state).await?;
    let mut connection = state.connection().await?;
    let details = candidates::find_details(&mut connection, &skills.catalog, id).await?;
    let details = details.ok_or(sqlx::Error::RowNotFound)?;
    let candidate = CandidateView::new(details, session.user_id);
    Ok(Json(DecidedCandidate { candidate, project_id: decided.project_id }))
}
