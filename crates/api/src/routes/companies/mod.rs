//! `/companies`: the profiles of users with the role COMPANY.

mod access;
mod bodies;
mod views;

use access::VisibleCompany;
use axum::extract::State;
use bodies::{CreateCompany, UpdateCompany};
use freehunt_domain::{
    companies::{Company, queries},
    ids::{CompanyId, UserId},
    profiles::{self, ProfileId},
    users,
};
use sqlx::PgConnection;
pub use views::ProfileOwner;
use views::{CompanyView, OwnCompany};

use crate::{
    error::{ApiError, ApiResult, ErrorBody, NOTHING_TO_UPDATE},
    extract::{Allowed, AllowedBody, ClientAddress, Created, Json, MaybeJson, Session},
    routes::{
        closed,
        profiles::{OwnUserPath, OwnedProfile, ProfileCreator, assert_self},
    },
    state::AppState,
};

/// The company as its owner sees it.
async fn own_view(connection: &mut PgConnection, company: Company) -> ApiResult<OwnCompany> {
    let user = users::queries::find_user(connection, company.user_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(OwnCompany::new(company, user))
}

/// Makes the session's own company; a user has one.
#[utoipa::path(post, path = "/companies", tag = "companies", request_body = CreateCompany,
    security(("session" = [])), responses(
        (status = 201, description = "The company", body = OwnCompany),
        (status = 400, description = "The body breaks rules", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not a company's session, or another user's id", body = ErrorBody),
        (status = 409, description = "The user has a company", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn create_company(
    State(state): State<AppState>,
    AllowedBody(ProfileCreator { session, .. }, body): AllowedBody<ProfileCreator<Company>, CreateCompany>,
) -> ApiResult<Created<OwnCompany>> {
    assert_self(&session, body.user_id)?;
    session.begin_account_change(&state)?;
    let mut connection = state.connection().await?;
    let company = queries::insert_company(&mut connection, session.user_id, &body.into()).await?;
    Ok(Created(own_view(&mut connection, company).await?))
}

/// Closed: nobody lists all companies.
#[utoipa::path(get, path = "/companies", tag = "companies", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn list_companies(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// One company, when it has a published posting or the session works with it; its owner sees more.
#[utoipa::path(get, path = "/companies/{id}", tag = "companies", params(("id" = CompanyId, Path)),
    security((), ("session" = [])), responses(
        (status = 200, description = "The company, with what the asker may see", body = CompanyView),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 404, description = "No such company, or not a public one", body = ErrorBody)))]
pub async fn get_company(
    State(state): State<AppState>,
    Allowed(visible): Allowed<VisibleCompany>,
) -> ApiResult<Json<CompanyView>> {
    let mut connection = state.connection().await?;
    let user = users::queries::find_user(&mut connection, visible.company.user_id).await?;
    let user = user.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Json(CompanyView::new(visible, user)))
}

/// Changes what the body names of the session's own company.
#[utoipa::path(patch, path = "/companies/{id}", tag = "companies", params(("id" = CompanyId, Path)),
    request_body = UpdateCompany, security(("session" = [])), responses(
        (status = 200, description = "The company", body = OwnCompany),
        (status = 400, description = "The body breaks rules", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the owner, or another user's id", body = ErrorBody),
        (status = 404, description = "No such company", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn update_company(
    State(state): State<AppState>,
    AllowedBody(owned, body): AllowedBody<OwnedProfile<Company>, UpdateCompany>,
) -> ApiResult<Json<OwnCompany>> {
    if let Some(user_id) = body.user_id {
        assert_self(&owned.session, user_id)?;
    }
    owned.session.begin_account_change(&state)?;
    let mut connection = state.connection().await?;
    let company = queries::update_company(&mut connection, owned.profile.id, &body.into()).await?;
    let company = company.ok_or_else(|| ApiError::missing_dependency(NOTHING_TO_UPDATE))?;
    Ok(Json(own_view(&mut connection, company).await?))
}

/// Deletes the session's own company, while it has no job posting and no project.
#[utoipa::path(delete, path = "/companies/{id}", tag = "companies", params(("id" = CompanyId, Path)),
    security(("session" = [])), responses(
        (status = 200, description = "The company that was", body = OwnCompany),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the owner", body = ErrorBody),
        (status = 404, description = "No such company", body = ErrorBody),
        (status = 409, description = "It has job postings or projects", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn delete_company(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    Allowed(owned): Allowed<OwnedProfile<Company>>,
) -> ApiResult<Json<OwnCompany>> {
    owned.session.begin_account_change(&state)?;
    let actor = owned.session.audit_actor();
    profiles::delete(&state.pool, ProfileId::Company(owned.profile.id), actor, Some(address.to_string())).await?;
    let mut connection = state.connection().await?;
    Ok(Json(own_view(&mut connection, owned.profile).await?))
}

/// The session's own company; an empty body when there is none.
#[utoipa::path(get, path = "/companies/user/{userId}", tag = "companies", params(("userId" = UserId, Path)),
    security(("session" = [])), responses(
        (status = 200, description = "The company, or nothing", body = OwnCompany),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Another user", body = ErrorBody)))]
pub async fn get_company_of_user(
    State(state): State<AppState>,
    Allowed(OwnUserPath(session)): Allowed<OwnUserPath>,
) -> ApiResult<MaybeJson<OwnCompany>> {
    let mut connection = state.connection().await?;
    let found = match queries::find_company_of_user(&mut connection, session.user_id).await? {
        Some(company) => Some(own_view(&mut connection, company).await?),
        None => None,
    };
    connection.finish();
    Ok(MaybeJson(found))
}
