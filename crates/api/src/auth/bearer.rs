//! API clients with an access token of the provider: verified here, without a call.

use freehunt_domain::{
    sessions::{hash_provider_session, queries},
    users::{self, same_email},
};
use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use crate::{error::ApiResult, extract::Session, state::AppState};

pub(super) async fn authenticate(state: &AppState, token: &SecretString) -> ApiResult<Session> {
    Ok(session(state, token).await?)
}

async fn session(state: &AppState, token: &SecretString) -> Result<Session, Failure> {
    let claims = state.oidc.verify_bearer(token.expose_secret()).await?;
    let mut connection = state.pool.acquire().await?;
    let user = users::queries::find_user_by_authentik_uid(&mut connection, &claims.subject).await?;
    let user = user.ok_or(Failure::Refused)?;
    if claims.email.is_some_and(|email| !same_email(&email, &user.email)) {
        tracing::warn!(user = %user.id, "a bearer token names another address than its user's");
        return Err(Failure::Refused);
    }
    if let Some(sid) = &claims.session_id
        && queries::is_upstream_revoked(&mut connection, &hash_provider_session(sid)).await?
    {
        return Err(Failure::Refused);
    }
    Ok(Session {
        id: None,
        user_id: user.id,
        email: user.email,
        username: user.username,
        role: user.role,
        is_confirmed: true,
    })
}
