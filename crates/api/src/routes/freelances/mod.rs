//! `/freelances`: the profiles of users with the role FREELANCE, and their public search.

mod bodies;
pub mod views;

use axum::extract::State;
use bodies::{CreateFreelance, SearchFreelances, UpdateFreelance};
use freehunt_domain::{
    freelances::{self, Freelance, SaveFreelanceError, queries},
    ids::{FreelanceId, UserId},
    profiles::{self, ProfileId},
    skills::{
        Skill,
        queries::{list_freelance_skills, skills_of},
    },
    users::{self, User},
};
use sqlx::PgConnection;
use views::{FreelancePage, FreelanceView, OwnFreelance};

use crate::{
    error::{ApiError, ApiResult, ErrorBody, NOTHING_TO_UPDATE},
    extract::{Allowed, AllowedBody, ClientAddress, Created, Json, MaybeSession, PathId, Session, ValidBody},
    routes::{
        closed,
        profiles::{OwnUserPath, OwnedProfile, ProfileCreator, assert_self},
    },
    state::AppState,
};

impl From<SaveFreelanceError> for ApiError {
    fn from(error: SaveFreelanceError) -> Self {
        match error {
            SaveFreelanceError::NotFound => Self::missing_dependency(NOTHING_TO_UPDATE),
            SaveFreelanceError::UnknownSkills { expected, found } => {
                Self::missing_dependency(format!("Expected {expected} records to be connected, found only {found}."))
            }
            SaveFreelanceError::PayoutAccountChanged => {
                Self::forbidden("The Stripe account can only be changed by connecting it at Stripe")
            }
            SaveFreelanceError::Database(error) => error.into(),
        }
    }
}

/// The user and the skills of one profile.
async fn relations(connection: &mut PgConnection, freelance: &Freelance) -> ApiResult<(User, Vec<Skill>)> {
    let user = users::queries::find_user(connection, freelance.user_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let skills = list_freelance_skills(connection, &[freelance.id.0]).await?;
    Ok((user, skills_of(&skills, freelance.id.0)))
}

/// The profile as its owner sees it.
pub async fn own_view(connection: &mut PgConnection, freelance: Freelance) -> ApiResult<OwnFreelance> {
    let (user, skills) = relations(connection, &freelance).await?;
    Ok(OwnFreelance::new(freelance, user, skills))
}

/// Makes the session's own profile; a user has one.
#[utoipa::path(post, path = "/freelances", tag = "freelances", request_body = CreateFreelance,
    security(("session" = [])), responses(
        (status = 201, description = "The profile", body = OwnFreelance),
        (status = 400, description = "The body breaks rules", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not a freelance's session, or another user's id", body = ErrorBody),
        (status = 404, description = "A skill does not exist", body = ErrorBody),
        (status = 409, description = "The user has a profile", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn create_freelance(
    State(state): State<AppState>,
    AllowedBody(ProfileCreator { session, .. }, body): AllowedBody<ProfileCreator<Freelance>, CreateFreelance>,
) -> ApiResult<Created<OwnFreelance>> {
    assert_self(&session, body.user_id)?;
    session.begin_account_change(&state)?;
    let freelance = freelances::create(&state.pool, session.user_id, &body.into()).await?;
    let mut connection = state.connection().await?;
    Ok(Created(own_view(&mut connection, freelance).await?))
}

/// Closed: freelances are found by searching.
#[utoipa::path(get, path = "/freelances", tag = "freelances", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn list_freelances(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// One freelance's public profile; its owner sees more.
#[utoipa::path(get, path = "/freelances/{id}", tag = "freelances", params(("id" = FreelanceId, Path)),
    security((), ("session" = [])), responses(
        (status = 200, description = "The profile, with what the asker may see", body = FreelanceView),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 404, description = "No such profile", body = ErrorBody)))]
pub async fn get_freelance(
    State(state): State<AppState>,
    reader: MaybeSession,
    PathId(id): PathId<FreelanceId>,
) -> ApiResult<Json<FreelanceView>> {
    let mut connection = state.connection().await?;
    let freelance = queries::find_freelance(&mut connection, id).await?;
    let freelance = freelance.ok_or_else(|| ApiError::not_found("Freelance not found"))?;
    let (user, skills) = relations(&mut connection, &freelance).await?;
    Ok(Json(FreelanceView::new(freelance, user, skills, reader.session.map(|session| session.user_id))))
}

/// Changes what the body names of the session's own profile.
#[utoipa::path(patch, path = "/freelances/{id}", tag = "freelances", params(("id" = FreelanceId, Path)),
    request_body = UpdateFreelance, security(("session" = [])), responses(
        (status = 200, description = "The profile", body = OwnFreelance),
        (status = 400, description = "The body breaks rules", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the owner, or another payout account", body = ErrorBody),
        (status = 404, description = "No such profile, or a skill does not exist", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn update_freelance(
    State(state): State<AppState>,
    AllowedBody(owned, body): AllowedBody<OwnedProfile<Freelance>, UpdateFreelance>,
) -> ApiResult<Json<OwnFreelance>> {
    owned.session.begin_account_change(&state)?;
    let freelance = freelances::update(&state.pool, owned.profile.id, &body.into()).await?;
    let mut connection = state.connection().await?;
    Ok(Json(own_view(&mut connection, freelance).await?))
}

/// Deletes the session's own profile, while it has no application and no project.
#[utoipa::path(delete, path = "/freelances/{id}", tag = "freelances", params(("id" = FreelanceId, Path)),
    security(("session" = [])), responses(
        (status = 200, description = "The profile that was", body = OwnFreelance),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Not the owner", body = ErrorBody),
        (status = 404, description = "No such profile", body = ErrorBody),
        (status = 409, description = "It has applications or projects", body = ErrorBody),
        (status = 503, description = "The session cannot be confirmed now", body = ErrorBody)))]
pub async fn delete_freelance(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    Allowed(owned): Allowed<OwnedProfile<Freelance>>,
) -> ApiResult<Json<OwnFreelance>> {
    owned.session.begin_account_change(&state)?;
    let OwnedProfile { profile: freelance, session } = owned;
    let mut connection = state.connection().await?;
    let view = own_view(&mut connection, freelance.clone()).await?;
    connection.finish();
    let profile = ProfileId::Freelance(freelance.id);
    profiles::delete(&state.pool, profile, session.audit_actor(), Some(address.to_string())).await?;
    Ok(Json(view))
}

/// The session's own profile; 404 when there is none.
#[utoipa::path(get, path = "/freelances/user/{userId}", tag = "freelances", params(("userId" = UserId, Path)),
    security(("session" = [])), responses(
        (status = 200, description = "The profile", body = OwnFreelance),
        (status = 400, description = "The id is no UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Another user", body = ErrorBody),
        (status = 404, description = "The user has no profile", body = ErrorBody)))]
pub async fn get_freelance_of_user(
    State(state): State<AppState>,
    Allowed(OwnUserPath(session)): Allowed<OwnUserPath>,
) -> ApiResult<Json<OwnFreelance>> {
    let mut connection = state.connection().await?;
    let freelance = queries::find_freelance_of_user(&mut connection, session.user_id).await?;
    let freelance = freelance
        .ok_or_else(|| ApiError::not_found(format!("Freelance profile not found for user ID: {}", session.user_id)))?;
    let view = own_view(&mut connection, freelance).await?;
    connection.finish();
    Ok(Json(view))
}

/// Searches the public profiles, newest first.
#[utoipa::path(post, path = "/freelances/search", tag = "freelances", request_body = SearchFreelances, responses(
        (status = 200, description = "One page", body = FreelancePage),
        (status = 400, description = "The body breaks rules", body = ErrorBody)))]
pub async fn search_freelances(
    State(state): State<AppState>,
    ValidBody(body): ValidBody<SearchFreelances>,
) -> ApiResult<Json<FreelancePage>> {
    let skills = state.skills.get(&state).await?;
    let mut connection = state.connection().await?;
    let found = freelances::search(&mut connection, &skills.catalog, &body.into(), &state.searching).await?;
    connection.finish();
    Ok(Json(found.into()))
}
