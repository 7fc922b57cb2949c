//! `/job-postings`: drafts, the public search, and a company's own lists. Payment, publication and cancellation are in
//! `job_posting_payments`.

pub mod access;
pub mod bodies;
pub mod views;

use std::collections::HashMap;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use freehunt_domain::{
    ids::{JobPostingId, UserId},
    job_postings::{
        self, CreateJobPostingError, DeleteJobPostingError, JobPosting, JobPostingStatus, PostingCandidate,
        UpdateJobPostingError, queries, relations, search,
    },
    retry::retrying,
    users::Role,
};
use sqlx::PgConnection;

use self::{
    access::{CompanyUser, JobPostingToViewProject, OwnedJobPosting, PathStatus, ShownJobPosting},
    bodies::{CreateJobPosting, SearchJobPostings, UpdateJobPosting},
    views::{
        FoundJobPostingView, FoundJobPostingsView, JobPostingView, ListedJobPosting, OwnJobPosting, ProjectOfJobPosting,
    },
};
use crate::{
    error::{ApiError, ApiResult, ErrorBody, FORBIDDEN},
    extract::{Allowed, AllowedBody, ClientAddress, Created, Json, MaybeSession, Session, ValidBody},
    routes::profiles::OwnUserPath,
    state::AppState,
};

/// How many published postings the unfiltered list shows at most; the search has pages.
const NEWEST: i64 = 100;

/// The original's text for skills that do not exist.
fn missing_skills(expected: usize, found: i64) -> ApiError {
    ApiError::missing_dependency(format!("Expected {expected} records to be connected, found only {found}."))
}

const GONE: &str = "Annonce introuvable";

impl From<CreateJobPostingError> for ApiError {
    fn from(error: CreateJobPostingError) -> Self {
        match error {
            CreateJobPostingError::TooMany => Self::too_many_requests(86_400),
            CreateJobPostingError::MissingSkills { expected, found } => missing_skills(expected, found),
            CreateJobPostingError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateJobPostingError> for ApiError {
    fn from(error: UpdateJobPostingError) -> Self {
        match error {
            UpdateJobPostingError::Gone => Self::not_found(GONE),
            UpdateJobPostingError::MoneyFrozen => Self::conflict(
                "Les montants de cette annonce ne peuvent plus être modifiés car son paiement a commencé.",
            ),
            UpdateJobPostingError::TextFrozen => Self::conflict(
                "Cette annonce ne peut plus être modifiée car une candidature a déjà été acceptée ou elle est close.",
            ),
            UpdateJobPostingError::MissingSkills { expected, found } => missing_skills(expected, found),
            UpdateJobPostingError::Database(error) => error.into(),
        }
    }
}

impl From<DeleteJobPostingError> for ApiError {
    fn from(error: DeleteJobPostingError) -> Self {
        match error {
            DeleteJobPostingError::Gone => Self::not_found(GONE),
            DeleteJobPostingError::CandidateAccepted => {
                Self::conflict("Cette annonce ne peut pas être supprimée car une candidature a déjà été acceptée.")
            }
            DeleteJobPostingError::Paid => Self::conflict(
                "Cette annonce a été payée et ne peut pas être supprimée. Utilisez l'annulation (cancel) pour être remboursé.",
            ),
            DeleteJobPostingError::Referenced => {
                Self::conflict("Cette annonce ne peut pas être supprimée car d'autres données en dépendent.")
            }
            DeleteJobPostingError::Database(error) => error.into(),
        }
    }
}

/// Drafts a posting for one's own company, at most 50 a day; it waits for its payment.
#[utoipa::path(post, path = "/job-postings", tag = "job-postings", request_body = CreateJobPosting,
    security(("session" = [])),
    responses((status = 201, description = "The posting", body = OwnJobPosting),
        (status = 400, description = "Refused body", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not a company, or not one's own", body = ErrorBody),
        (status = 404, description = "Some of the skills do not exist", body = ErrorBody),
        (status = 429, description = "The daily limit is reached", body = ErrorBody)))]
pub async fn create_job_posting(
    State(state): State<AppState>,
    AllowedBody(company, body): AllowedBody<CompanyUser, CreateJobPosting>,
) -> ApiResult<Created<OwnJobPosting>> {
    company.assert_own(body.company_id)?;
    company.session.require_confirmed()?;
    let created = job_postings::create(&state.pool, company.session.user_id, &body.into_posting()).await?;
    let mut connection = state.connection().await?;
    let loaded = relations::load_one(&mut connection, created).await?;
    Ok(Created(OwnJobPosting::of(loaded)))
}

/// A company's own postings with their candidates; for a freelance, the newest published ones with its own applications.
#[utoipa::path(get, path = "/job-postings", tag = "job-postings", security(("session" = [])),
    responses((status = 200, description = "The postings, newest first", body = Vec<ListedJobPosting>),
        (status = 401, description = "No session", body = ErrorBody)))]
pub async fn list_job_postings(
    State(state): State<AppState>,
    session: Session,
) -> ApiResult<Json<Vec<ListedJobPosting>>> {
    let mut connection = state.connection().await?;
    let (rows, applicant) = match session.role {
        Role::Company => (list_own(&mut connection, session.user_id, None).await?, None),
        Role::Freelance => {
            (queries::list_published_job_postings(&mut connection, NEWEST).await?, Some(session.user_id))
        }
    };
    let ids: Vec<_> = rows.iter().map(|posting| posting.id.0).collect();
    let mut candidates: HashMap<JobPostingId, Vec<PostingCandidate>> = HashMap::new();
    for candidate in relations::list_candidates(&mut connection, &ids, applicant).await? {
        candidates.entry(candidate.job_posting_id).or_default().push(candidate);
    }
    let loaded = relations::load(&mut connection, rows).await?;
    let listed = loaded.into_iter().map(|posting| {
        let candidates = candidates.remove(&posting.posting.id).unwrap_or_default();
        match session.role {
            Role::Company => ListedJobPosting::for_owner(posting, candidates),
            Role::Freelance => ListedJobPosting::for_freelance(posting, candidates),
        }
    });
    Ok(Json(listed.collect()))
}

/// One posting, with what the reader may see of it.
#[utoipa::path(get, path = "/job-postings/{id}", tag = "job-postings", params(("id" = JobPostingId, Path)),
    responses((status = 200, description = "The posting", body = JobPostingView),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 404, description = "No such posting, or one that is not shown", body = ErrorBody)))]
pub async fn get_job_posting(
    State(state): State<AppState>,
    Allowed(shown): Allowed<ShownJobPosting>,
) -> ApiResult<Response> {
    let visible = match shown {
        ShownJobPosting::ToEverybody(answer) => return Ok(answer.into_response()),
        ShownJobPosting::ToSomebody(visible) => visible,
    };
    let mut connection = state.connection().await?;
    let loaded = visible.posting.with_company(&mut connection).await?;
    connection.finish();
    Ok(Json(JobPostingView::of(loaded, visible.audience)).into_response())
}

/// Changes a posting: amounts until its payment begins, texts until a candidate is accepted.
#[utoipa::path(patch, path = "/job-postings/{id}", tag = "job-postings", params(("id" = JobPostingId, Path)),
    request_body = UpdateJobPosting, security(("session" = [])),
    responses((status = 200, description = "The posting", body = OwnJobPosting),
        (status = 400, description = "Not a UUID, or a refused body", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "The posting of another company", body = ErrorBody),
        (status = 404, description = "No such posting, or no such skills", body = ErrorBody),
        (status = 409, description = "Too late for this change", body = ErrorBody)))]
pub async fn update_job_posting(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    AllowedBody(owned, body): AllowedBody<OwnedJobPosting, UpdateJobPosting>,
) -> ApiResult<Json<OwnJobPosting>> {
    if body.company_id.is_some_and(|claimed| claimed != owned.job_posting.company_id) {
        return Err(ApiError::forbidden(FORBIDDEN));
    }
    owned.session.require_confirmed()?;
    let (actor, id) = (owned.session.audit_actor(), owned.job_posting.id);
    let updated = job_postings::update(&state.pool, actor, address.to_string(), id, &body.into_changes()).await?;
    let mut connection = state.connection().await?;
    Ok(Json(OwnJobPosting::of(relations::load_one(&mut connection, updated).await?)))
}

/// Deletes a posting that was never paid, with its checkpoints and candidates.
#[utoipa::path(delete, path = "/job-postings/{id}", tag = "job-postings", params(("id" = JobPostingId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The posting as it was, without its checkpoints", body = OwnJobPosting),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "The posting of another company", body = ErrorBody),
        (status = 404, description = "No such posting", body = ErrorBody),
        (status = 409, description = "Paid, or a candidate was accepted", body = ErrorBody)))]
pub async fn delete_job_posting(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    Allowed(owned): Allowed<OwnedJobPosting>,
) -> ApiResult<Json<OwnJobPosting>> {
    owned.session.require_confirmed()?;
    let mut connection = state.connection().await?;
    let id = owned.job_posting.id;
    let mut loaded = relations::load_one(&mut connection, owned.job_posting).await?;
    connection.finish();
    let actor = owned.session.audit_actor();
    retrying(|| job_postings::delete(&state.pool, actor, address.to_string(), id)).await?;
    loaded.checkpoints.clear();
    Ok(Json(OwnJobPosting::of(loaded)))
}

/// Searches the published postings that can be applied to; a freelance's skills decide what is recommended first.
#[utoipa::path(post, path = "/job-postings/search", tag = "job-postings", request_body = SearchJobPostings,
    responses((status = 200, description = "A page of results", body = FoundJobPostingsView),
        (status = 400, description = "Refused body", body = ErrorBody)))]
pub async fn search_job_postings(
    State(state): State<AppState>,
    reader: MaybeSession,
    ValidBody(body): ValidBody<SearchJobPostings>,
) -> ApiResult<Json<FoundJobPostingsView>> {
    let seeker = reader.session.filter(|session| session.role == Role::Freelance).map(|session| session.user_id);
    let skills = state.skills.get(&state).await?;
    let mut connection = state.connection().await?;
    let found = search::search(&mut connection, &skills.catalog, &body.into_search(), seeker, &state.searching).await?;
    connection.finish();
    let data = found.page.into_iter().map(FoundJobPostingView::of).collect();
    Ok(Json(FoundJobPostingsView { data, total: found.total }))
}

/// One posting of one's own company. The path says company; the id is the posting's.
#[utoipa::path(get, path = "/job-postings/company/{id}", tag = "job-postings", params(("id" = JobPostingId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The posting", body = OwnJobPosting),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "The posting of another company", body = ErrorBody),
        (status = 404, description = "No such posting", body = ErrorBody)))]
pub async fn list_job_postings_of_company(
    State(state): State<AppState>,
    Allowed(owned): Allowed<OwnedJobPosting>,
) -> ApiResult<Json<OwnJobPosting>> {
    let mut connection = state.connection().await?;
    Ok(Json(OwnJobPosting::of(relations::load_one(&mut connection, owned.job_posting).await?)))
}

/// The postings of one's own company, newest first.
#[utoipa::path(get, path = "/job-postings/user/{userId}", tag = "job-postings", params(("userId" = UserId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The postings", body = Vec<OwnJobPosting>),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Somebody else", body = ErrorBody)))]
pub async fn list_job_postings_of_user(
    State(state): State<AppState>,
    Allowed(OwnUserPath(session)): Allowed<OwnUserPath>,
) -> ApiResult<Json<Vec<OwnJobPosting>>> {
    let mut connection = state.connection().await?;
    let rows = list_own(&mut connection, session.user_id, None).await?;
    let loaded = relations::load(&mut connection, rows).await?;
    connection.finish();
    Ok(Json(loaded.into_iter().map(OwnJobPosting::of).collect()))
}

/// The postings of one's own company in one status, newest first.
#[utoipa::path(get, path = "/job-postings/user/{userId}/status/{status}", tag = "job-postings",
    params(("userId" = UserId, Path), ("status" = JobPostingStatus, Path)), security(("session" = [])),
    responses((status = 200, description = "The postings", body = Vec<OwnJobPosting>),
        (status = 400, description = "Not a UUID, or not a status", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Somebody else", body = ErrorBody)))]
pub async fn list_job_postings_of_user_by_status(
    State(state): State<AppState>,
    Allowed(OwnUserPath(session)): Allowed<OwnUserPath>,
    PathStatus(status): PathStatus,
) -> ApiResult<Json<Vec<OwnJobPosting>>> {
    let mut connection = state.connection().await?;
    let rows = list_own(&mut connection, session.user_id, Some(status)).await?;
    let loaded = relations::load(&mut connection, rows).await?;
    connection.finish();
    Ok(Json(loaded.into_iter().map(OwnJobPosting::of).collect()))
}

/// Which project came of a posting: for its company and the project's freelance.
#[utoipa::path(get, path = "/job-postings/{id}/project", tag = "job-postings", params(("id" = JobPostingId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The project's id, or null", body = ProjectOfJobPosting),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No such posting, or one of others", body = ErrorBody)))]
pub async fn get_project_of_job_posting(
    State(state): State<AppState>,
    Allowed(visible): Allowed<JobPostingToViewProject>,
) -> ApiResult<Json<ProjectOfJobPosting>> {
    let mut connection = state.connection().await?;
    let project_id = queries::find_project_id(&mut connection, visible.job_posting.id).await?;
    Ok(Json(ProjectOfJobPosting { project_id }))
}

/// The postings of the user's company; none without a company.
async fn list_own(
    connection: &mut PgConnection,
    user_id: UserId,
    status: Option<JobPostingStatus>,
) -> Result<Vec<JobPosting>, sqlx::Error> {
    match queries::find_company_id_of_user(connection, user_id).await? {
        Some(company_id) => queries::list_job_postings_of_company(connection, company_id, status).await,
        None => Ok(Vec::new()),
    }
}
