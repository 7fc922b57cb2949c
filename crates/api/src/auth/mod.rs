//! Turns a request's cookie into a session.

use axum::http::request::Parts;
use freehunt_domain::sessions::{Token, queries};

use crate::{
    error::{ApiError, ApiResult, NO_SESSION},
    extract::Session,
    state::AppState,
};

/// The session the request carries, or 401.
pub async fn authenticate(parts: &Parts, state: &AppState) -> ApiResult<Session> {
    let token = parts
        .headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == "freehunt_session" || *name == "__Host-freehunt_session")
        .and_then(|(_, value)| Token::parse(value))
        .ok_or_else(|| ApiError::unauthorized(NO_SESSION))?;
    let mut connection = state.pool.acquire().await?;
    let row = queries::find_session(&mut connection, &token.hash()).await?;
    let row = row.ok_or_else(|| ApiError::unauthorized(NO_SESSION))?;
    Ok(Session {
        id: Some(row.id),
        user_id: row.user_id,
        email: row.email,
        username: row.username,
        role: row.role,
        is_confirmed: true,
    })
}
