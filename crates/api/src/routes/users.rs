//! `/users`: one's own account. Everybody else's does not exist, as far as these answers tell.

use axum::extract::{Path, State, rejection::PathRejection};
use freehunt_domain::{
    Timestamp,
    ids::{CompanyId, FreelanceId, UserId},
    policy,
    skills::Skill,
    users::{self, Account, CompanyProfile, FreelanceProfile, RenameError, Role, User, same_email},
};
use serde::{Deserialize, Serialize};

use crate::{
    answer_cache::ReadyAnswer,
    error::{ApiError, ApiResult, ErrorBody},
    extract::{Access, Allowed, AllowedBody, ClientAddress, Field, Json, PathId, Rule, Session, Validate},
    number::Number,
    routes::closed,
    state::AppState,
};

pub const NOT_FOUND: &str = "User not found";

/// A user, as they see themselves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    id: UserId,
    #[schema(example = "alice@example.com")]
    email: String,
    #[schema(example = "alice")]
    username: String,
    role: Role,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A user with their profile, as they see themselves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    #[serde(flatten)]
    user: UserView,
    /// `null` until the profile is made, and for freelances.
    company: Option<OwnCompanyView>,
    /// `null` until the profile is made, and for companies.
    freelance: Option<OwnFreelanceView>,
}

/// A company's profile, as its owner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnCompanyView {
    id: CompanyId,
    user_id: UserId,
    #[schema(example = "Acme")]
    name: String,
    description: String,
    #[schema(example = "1 rue de la Paix, Paris")]
    address: String,
    #[schema(example = "123456789")]
    siren: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A freelance's profile, as its owner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnFreelanceView {
    id: FreelanceId,
    user_id: UserId,
    #[schema(example = "Alice")]
    first_name: String,
    #[schema(example = "Martin")]
    last_name: String,
    #[schema(example = "Développeuse Rust")]
    job_title: String,
    /// Euros a day.
    average_daily_rate: Number,
    /// Years.
    #[schema(example = 5)]
    seniority: i32,
    #[schema(example = "Paris")]
    location: String,
    /// The payout account, once one was made.
    #[schema(example = "acct_1Example")]
    stripe_account_id: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    skills: Vec<Skill>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User { id, email, username, role, created_at, updated_at } = user;
        Self { id, email, username, role, created_at, updated_at }
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let user_id = account.user.id;
        Self {
            company: account.company.map(|profile| OwnCompanyView::of(user_id, profile)),
            freelance: account.freelance.map(|profile| OwnFreelanceView::of(user_id, profile)),
            user: account.user.into(),
        }
    }
}

impl OwnCompanyView {
    fn of(user_id: UserId, profile: CompanyProfile) -> Self {
        let CompanyProfile { id, name, description, address, siren, created_at, updated_at } = profile;
        Self { id, user_id, name, description, address, siren, created_at, updated_at }
    }
}

impl OwnFreelanceView {
    fn of(user_id: UserId, profile: FreelanceProfile) -> Self {
        Self {
            id: profile.id,
            user_id,
            first_name: profile.first_name,
            last_name: profile.last_name,
            job_title: profile.job_title,
            average_daily_rate: Number(profile.average_daily_rate),
            seniority: profile.seniority,
            location: profile.location,
            stripe_account_id: profile.stripe_account_id,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            skills: profile.skills,
        }
    }
}

/// What a user may send about themselves; only the name can be changed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct UpdateUser {
    /// Without an `@`; unique.
    #[schema(example = "alice", max_length = 150)]
    username: Option<String>,
    /// Refused: the address belongs to the account at Authentik.
    email: Option<String>,
    /// Refused: chosen at registration.
    role: Option<String>,
}

impl Validate for UpdateUser {
    const FIELDS: &'static [Field] = &[
        Field::not_null("email", &[Rule::IsEmail]),
        Field::not_null("username", &[Rule::IsString, Rule::NotBlank, Rule::Limit(150)]),
        Field::not_null("role", &[Rule::IsEnum(Role::NAMES)]),
    ];
}

impl From<RenameError> for ApiError {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::Taken => Self::already_exists("username"),
            RenameError::NotFound => Self::not_found(NOT_FOUND),
            RenameError::Database(error) => error.into(),
        }
    }
}

/// The user of the path, who is the one who asks.
pub struct OwnUser(Session);

impl Access for OwnUser {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut axum::http::request::Parts, state: &AppState) -> ApiResult<Self::Claim> {
        use axum::extract::FromRequestParts;
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, _state: &AppState) -> ApiResult<Self> {
        ApiError::check(policy::view_user(session.actor(), id), NOT_FOUND)?;
        Ok(Self(session))
    }
}

/// One's own account, to be changed. Everybody knows that an account has an owner, so others are refused with 403.
pub struct ChangedUser(Session);

impl Access for ChangedUser {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut axum::http::request::Parts, state: &AppState) -> ApiResult<Self::Claim> {
        OwnUser::claim(parts, state).await
    }

    async fn grant((session, id): Self::Claim, _state: &AppState) -> ApiResult<Self> {
        ApiError::check(policy::is_self(session.actor(), id), NOT_FOUND)?;
        Ok(Self(session))
    }
}

/// Closed: users come from registration.
#[utoipa::path(post, path = "/users", tag = "users", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody), (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn create_user(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: nobody lists everybody.
#[utoipa::path(get, path = "/users", tag = "users", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody), (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn list_users(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// One's own account.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = UserId, Path)), security(("session" = [])),
    responses((status = 200, description = "The account", body = AccountView),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "Somebody else's, or none", body = ErrorBody)))]
pub async fn get_user(
    State(state): State<AppState>,
    Allowed(OwnUser(session)): Allowed<OwnUser>,
) -> ApiResult<ReadyAnswer> {
    state.accounts.get(&state, session.user_id).await
}

/// One's own account, by one's own address.
#[utoipa::path(get, path = "/users/email/{email}", tag = "users", params(("email" = String, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The account", body = AccountView),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "Somebody else's, or nobody's", body = ErrorBody)))]
pub async fn get_user_by_email(
    State(state): State<AppState>,
    session: Session,
    email: Result<Path<String>, PathRejection>,
) -> ApiResult<ReadyAnswer> {
    let Path(email) = email.map_err(|_| ApiError::bad_request("Failed to decode param"))?;
    if !same_email(&email, &session.email) {
        return Err(ApiError::not_found(NOT_FOUND));
    }
    state.accounts.get(&state, session.user_id).await
}

/// Changes one's own user name. Address and role are fixed.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", params(("id" = UserId, Path)), request_body = UpdateUser,
    security(("session" = [])),
    responses((status = 200, description = "The user", body = UserView),
        (status = 400, description = "The body breaks a rule", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Somebody else's; or address or role, which cannot be changed", body = ErrorBody),
        (status = 404, description = "The account is gone", body = ErrorBody),
        (status = 409, description = "The user name is taken", body = ErrorBody),
        (status = 503, description = "Authentik cannot confirm the session now", body = ErrorBody)))]
pub async fn update_user(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    AllowedBody(ChangedUser(session), body): AllowedBody<ChangedUser, UpdateUser>,
) -> ApiResult<Json<UserView>> {
    if body.email.is_some() || body.role.is_some() {
        return Err(ApiError::forbidden(crate::error::FORBIDDEN));
    }
    session.begin_account_change(&state)?;
    let username = body.username.unwrap_or_else(|| session.username.clone());
    if username.contains('@') {
        return Err(ApiError::rules(vec!["username must not contain '@'".to_owned()]));
    }
    Ok(Json(users::rename(&state.pool, session.user_id, &username, Some(address.to_string())).await?.into()))
}

/// Closed: an account is ended at Authentik.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = UserId, Path)), security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody), (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn delete_user(session: Session) -> ApiResult<()> {
    closed(&session)
}
