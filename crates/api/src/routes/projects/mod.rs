//! `/projects`: what accepted applications became, for their two parties. Nobody makes or changes one here.

pub mod access;
pub mod views;

use axum::extract::State;
use freehunt_domain::{
    ids::{CompanyId, FreelanceId, JobPostingId, ProjectId},
    projects::{self, queries},
};

use self::{
    access::{OwnCompanyProjects, OwnFreelanceProjects, PostingToAskAbout, ProjectMember},
    views::{ListedProject, ProjectView},
};
use crate::{
    error::{ApiResult, ErrorBody},
    extract::{Allowed, Json, Session, Text},
    routes::closed,
    state::AppState,
};

/// Closed: a project is made by accepting a candidate.
#[utoipa::path(post, path = "/projects", tag = "projects", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn create_project(session: Session) -> ApiResult<()> {
    closed(&session)
}

async fn list(session: &Session, state: &AppState) -> ApiResult<Json<Vec<ListedProject>>> {
    let skills = state.skills.get(state).await?;
    let mut connection = state.connection().await?;
    let projects = projects::list_details_of_user(&mut connection, &skills.catalog, session.user_id).await?;
    connection.finish();
    Ok(Json(projects.into_iter().map(|project| ListedProject::new(project, session.user_id)).collect()))
}

/// The session's own projects, newest first.
#[utoipa::path(get, path = "/projects", tag = "projects", security(("session" = [])),
    responses((status = 200, description = "The projects", body = Vec<ListedProject>),
        (status = 401, description = "No session", body = ErrorBody)))]
pub async fn list_projects(State(state): State<AppState>, session: Session) -> ApiResult<Json<Vec<ListedProject>>> {
    list(&session, &state).await
}

/// One project, for its two parties.
#[utoipa::path(get, path = "/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The project", body = ProjectView),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not a party", body = ErrorBody),
        (status = 404, description = "There is none", body = ErrorBody)))]
pub async fn get_project(Allowed(member): Allowed<ProjectMember>) -> Json<ProjectView> {
    Json(ProjectView::new(member.details, member.session.user_id))
}

/// Closed: amount and parties are fixed.
#[utoipa::path(patch, path = "/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn update_project(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: money hangs on it.
#[utoipa::path(delete, path = "/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn delete_project(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// The projects of the session's own company, newest first.
#[utoipa::path(get, path = "/projects/company/{companyId}", tag = "projects",
    params(("companyId" = CompanyId, Path)), security(("session" = [])),
    responses((status = 200, description = "The projects", body = Vec<ListedProject>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the session's company", body = ErrorBody)))]
pub async fn list_projects_of_company(
    State(state): State<AppState>,
    Allowed(OwnCompanyProjects(session)): Allowed<OwnCompanyProjects>,
) -> ApiResult<Json<Vec<ListedProject>>> {
    list(&session, &state).await
}

/// The projects of the session's own profile, newest first.
#[utoipa::path(get, path = "/projects/freelance/{freelanceId}", tag = "projects",
    params(("freelanceId" = FreelanceId, Path)), security(("session" = [])),
    responses((status = 200, description = "The projects", body = Vec<ListedProject>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the session's profile", body = ErrorBody)))]
pub async fn list_projects_of_freelance(
    State(state): State<AppState>,
    Allowed(OwnFreelanceProjects(session)): Allowed<OwnFreelanceProjects>,
) -> ApiResult<Json<Vec<ListedProject>>> {
    list(&session, &state).await
}

/// Whether a posting became a project. `false` also for a posting that the session may not see, as for one that does
/// not exist.
#[utoipa::path(get, path = "/projects/exists/job-posting/{jobPostingId}", tag = "projects",
    params(("jobPostingId" = JobPostingId, Path)), security(("session" = [])),
    responses((status = 200, description = "Whether it did", body = bool),
        (status = 401, description = "No session", body = ErrorBody)))]
pub async fn project_exists(
    State(state): State<AppState>,
    Allowed(PostingToAskAbout(posting)): Allowed<PostingToAskAbout>,
) -> ApiResult<Text> {
    let Some(id) = posting else { return Ok(Text(false)) };
    let mut connection = state.connection().await?;
    Ok(Text(queries::exists_for_job_posting(&mut connection, id).await?))
}
