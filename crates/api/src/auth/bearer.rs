//! API clients with an access token of the provider. The token is verified here; the provider itself is asked about it
//! only once it is older than its word counts, so that somebody who was deactivated there is out as soon as with a
//! cookie. While the provider is away, such a token reads on for the same time as a session does.

use std::time::Duration;

use freehunt_authentik::oidc::BearerClaims;
use freehunt_domain::{
    sessions::{hash_provider_session, hash_secret, queries},
    users::{self, User, same_email},
};
use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use crate::{error::ApiResult, extract::Session, state::AppState};

pub(super) async fn authenticate(state: &AppState, token: &SecretString) -> ApiResult<Session> {
    Ok(session(state, token).await?)
}

async fn session(state: &AppState, token: &SecretString) -> Result<Session, Failure> {
    let claims = state.oidc.verify_bearer(token.expose_secret()).await?;
    let mut connection = state.connection().await?;
    let user = users::queries::find_user_by_authentik_uid(&mut connection, &claims.subject).await?;
    let user = user.ok_or(Failure::Refused)?;
    agrees(&user, claims.email.as_deref())?;
    if let Some(sid) = &claims.session_id
        && queries::is_upstream_revoked(&mut connection, &[hash_provider_session(sid)]).await?
    {
        return Err(Failure::Refused);
    }
    connection.finish();
    Ok(Session {
        id: None,
        user_id: user.id,
        is_confirmed: is_confirmed(state, token, &claims, &user).await?,
        email: user.email,
        username: user.username,
        role: user.role,
    })
}

/// The address is a second check, also here.
fn agrees(user: &User, email: Option<&str>) -> Result<(), Failure> {
    if email.is_some_and(|email| !email.is_empty() && !same_email(email, &user.email)) {
        tracing::warn!(user = %user.id, "a bearer token names another address than its user's");
        return Err(Failure::Refused);
    }
    Ok(())
}

/// Whether the provider stood by the token within the time its word counts: by issuing it, or by answering now.
async fn is_confirmed(
    state: &AppState,
    token: &SecretString,
    claims: &BearerClaims,
    user: &User,
) -> Result<bool, Failure> {
    let config = &state.config.sessions;
    let age = claims.issued_at.map(|issued| (state.clock.now() - issued).to_std().unwrap_or(Duration::ZERO));
    if age.is_some_and(|age| age < config.revalidate_after) {
        return Ok(true);
    }
    let hash = hash_secret(token.expose_secret());
    let asked = state.sessions.confirm_token(&hash, ask(state, token, claims, user)).await;
    match asked.as_ref().map_err(AsRef::as_ref) {
        Ok(()) => Ok(true),
        Err(Failure::Unavailable(reason)) if age.is_some_and(|age| age <= config.grace) => {
            tracing::warn!(reason, "a bearer token could not be confirmed and reads on for a while");
            Ok(false)
        }
        Err(Failure::Unavailable(reason)) => Err(Failure::Unavailable(reason.clone())),
        Err(_) => Err(Failure::Refused),
    }
}

async fn ask(state: &AppState, token: &SecretString, claims: &BearerClaims, user: &User) -> Result<(), Failure> {
    let info = state.oidc.user_info(token).await?.ok_or(Failure::Refused)?;
    if info.subject != claims.subject {
        return Err(Failure::Refused);
    }
    agrees(user, info.email.as_deref())
}
