//! `/auth/oidc`: OpenID Connect for browsers, and the provider's own log-out.

use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Json, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{
        log_out as ending,
        oidc::{self, Callback, Redirection},
    },
    error::{ApiError, ApiResult, ErrorBody},
    extract::ClientAddress,
    state::AppState,
};

/// See Other: the browser goes on with a GET, and keeps the cookies.
fn redirect(redirection: Redirection) -> ApiResult<Response> {
    let location = HeaderValue::from_str(redirection.to.as_str()).map_err(ApiError::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)], redirection.cookies, ()).into_response())
}

#[derive(Deserialize)]
pub struct LoginQuery {
    return_to: Option<String>,
}

/// Sends the browser to Authentik to sign in.
#[utoipa::path(get, path = "/auth/oidc/login", tag = "auth",
    params(("return_to" = Option<String>, Query, description = "Where to go afterwards: a page of the frontend")),
    responses((status = 303, description = "To Authentik"),
        (status = 429, description = "Too many logins begun from this address", body = ErrorBody),
        (status = 503, description = "Authentik is away", body = ErrorBody)))]
pub async fn begin_login(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    query: Result<Query<LoginQuery>, QueryRejection>,
) -> ApiResult<Response> {
    let return_to = query.ok().and_then(|Query(query)| query.return_to);
    redirect(oidc::begin(&state, &headers, address, return_to.as_deref()).await?)
}

#[derive(Deserialize)]
pub struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
}

/// Where Authentik sends the browser back to; on to the frontend, signed in or with `error` in the query.
#[utoipa::path(get, path = "/auth/oidc/callback", tag = "auth",
    params(("code" = Option<String>, Query), ("state" = Option<String>, Query)),
    responses((status = 303, description = "To the frontend")))]
pub async fn finish_login(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    query: Result<Query<CallbackQuery>, QueryRejection>,
) -> ApiResult<Response> {
    let query = query.map_or(CallbackQuery { code: None, state: None }, |Query(query)| query);
    let callback = Callback { code: query.code.as_deref(), state: query.state.as_deref(), headers: &headers, address };
    redirect(oidc::finish(&state, callback).await?)
}

/// Where to go on after signing out here.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LogOutAnswer {
    /// Authentik's log-out page, which ends the session there and returns to the frontend; `null` when there is none.
    #[schema(example = "https://authentik.example/application/o/freehunt/end-session/")]
    to: Option<String>,
}

/// Signs out here, and says where the browser signs out of Authentik.
#[utoipa::path(post, path = "/auth/oidc/logout", tag = "auth",
    responses((status = 201, description = "Signed out here", body = LogOutAnswer)))]
pub async fn log_out(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let ended = ending::log_out(&state, &headers, address).await?;
    let to = oidc::end_session_url(&state, ended.id_token.as_ref()).await.map(String::from);
    Ok((StatusCode::CREATED, ended.cookies, Json(LogOutAnswer { to })).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct LogOutNotice {
    /// A signed logout token.
    logout_token: String,
}

/// Authentik says that somebody's session has ended (OpenID Connect Back-Channel Logout 1.0).
#[utoipa::path(post, path = "/auth/oidc/back-channel-logout", tag = "auth",
    request_body(content = LogOutNotice, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The sessions have ended"),
        (status = 400, description = "The token is not acceptable, or was used before", body = ErrorBody),
        (status = 503, description = "The provider's keys cannot be fetched", body = ErrorBody)))]
pub async fn provider_log_out(State(state): State<AppState>, headers: HeaderMap, body: Bytes) -> ApiResult<StatusCode> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        let text = "Content-Type must be application/x-www-form-urlencoded";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let notice: LogOutNotice =
        serde_urlencoded::from_bytes(&body).map_err(|_| ApiError::bad_request("logout_token is missing"))?;
    oidc::provider_log_out(&state, &notice.logout_token).await?;
    Ok(StatusCode::OK)
}
