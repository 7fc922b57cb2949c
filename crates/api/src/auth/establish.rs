//! Beginning a session for somebody whom Authentik has just named: whose user it is, the new token, its cookies.

use std::net::IpAddr;

use axum::http::HeaderMap;
use freehunt_authentik::{Identity, SessionCookie};
use freehunt_domain::{
    audit::{self, AuditActor, AuditRecord},
    ids::UserId,
    sessions::{self, NewSession, SessionOrigin, Token, hash_upstream_session},
    users::{IdentityRules, ProviderIdentity, Refusal, RegistrationProof, Resolution, User, resolve_identity},
};
use serde_json::json;

use super::{cookies::SetCookies, credentials::Credential, failure::Failure, secrets::UpstreamSecret};
use crate::state::AppState;

/// A browser that has proved to Authentik who it is.
pub(super) struct SignIn<'a> {
    pub(super) user: &'a User,
    pub(super) origin: SessionOrigin,
    pub(super) secret: UpstreamSecret,
    pub(super) upstream_session_hash: Option<Vec<u8>>,
    /// The request's, whose earlier sessions end.
    pub(super) headers: &'a HeaderMap,
    pub(super) address: IpAddr,
}

impl<'a> SignIn<'a> {
    /// After the login or registration form, where Authentik gave a cookie of its own.
    pub(super) fn by_form(user: &'a User, cookie: &SessionCookie, headers: &'a HeaderMap, address: IpAddr) -> Self {
        Self {
            user,
            origin: SessionOrigin::Form,
            secret: UpstreamSecret::Cookie { value: cookie.expose().to_owned() },
            upstream_session_hash: Some(hash_upstream_session(cookie.expose())),
            headers,
            address,
        }
    }
}

/// Begins the session with a fresh token; whatever token the browser came with is worth nothing any more.
pub(super) async fn begin(state: &AppState, sign_in: SignIn<'_>) -> Result<SetCookies, Failure> {
    let no_randomness = Failure::Internal("the system has no randomness to give");
    let Ok(token) = Token::random() else { return Err(no_randomness) };
    let secret = sign_in.secret.seal(token.as_str()).ok_or(no_randomness)?;
    let frontend = &state.config.frontend;
    let mut earlier = Credential::all_cookies(sign_in.headers, frontend.secure_cookies);
    // Behind OpenID Connect, Authentik's own cookie may be the very one that has just signed in, on the same host.
    earlier.retain(|cookie| sign_in.origin == SessionOrigin::Form || matches!(cookie, Credential::Session(_)));
    let replaces: Vec<Vec<u8>> = earlier.iter().map(Credential::hash).collect();
    let ticket = super::secrets::socket_ticket(token.as_str());
    let ticket_secret = sign_in.secret.seal(ticket.as_str());
    let lifetime = state.config.sessions.lifetime;
    let session = NewSession {
        token_hash: &token.hash(),
        ticket_hash: &ticket.hash(),
        user_id: sign_in.user.id,
        origin: sign_in.origin,
        upstream_secret: Some(&secret),
        ticket_secret: ticket_secret.as_deref(),
        upstream_session_hash: sign_in.upstream_session_hash.as_deref(),
        lifetime,
        replaces: &replaces,
        client_address: Some(sign_in.address.to_string()),
    };
    let (_, ended) = sessions::open(&state.pool, &session).await?.ok_or(Failure::Refused)?;
    state.sessions.forget(&ended).await;
    metrics::counter!("freehunt_sessions_begun_total", "origin" => sign_in.origin.name()).increment(1);
    let cookies = SetCookies::begin(frontend, &token, &ticket, lifetime);
    let replaced_original = !ended.is_empty() && earlier.iter().any(|cookie| matches!(cookie, Credential::Upstream(_)));
    Ok(if replaced_original { cookies.and(SetCookies::forget_original()) } else { cookies })
}

/// Makes Authentik's own cookie a session here. The cookie itself is the token, so that nothing is stored beside it.
pub(super) async fn adopt(
    state: &AppState,
    cookie: &SessionCookie,
    key: &[u8],
    identity: &Identity,
    address: IpAddr,
) -> Result<(), Failure> {
    let user = resolve(state, provider_identity(identity, address), None).await?;
    let ticket = super::secrets::socket_ticket(cookie.expose());
    let ticket_secret = UpstreamSecret::Cookie { value: cookie.expose().to_owned() }.seal(ticket.as_str());
    let session = NewSession {
        token_hash: key,
        ticket_hash: &ticket.hash(),
        user_id: user.id,
        origin: SessionOrigin::Authentik,
        upstream_secret: None,
        ticket_secret: ticket_secret.as_deref(),
        upstream_session_hash: Some(&hash_upstream_session(cookie.expose())),
        lifetime: state.config.sessions.lifetime,
        replaces: &[],
        client_address: Some(address.to_string()),
    };
    sessions::open(&state.pool, &session).await?.ok_or(Failure::Refused)?;
    Ok(())
}

pub(super) fn provider_identity(identity: &Identity, address: IpAddr) -> ProviderIdentity<'_> {
    ProviderIdentity {
        uid: &identity.uid,
        email: Some(&identity.email),
        username: Some(&identity.username),
        client_address: Some(address),
    }
}

/// Whose user this is; a refusal leaves its reason in the audit trail. `registration_proof` may finish an interrupted
/// registration.
pub(super) async fn resolve(
    state: &AppState,
    identity: ProviderIdentity<'_>,
    registration_proof: Option<RegistrationProof<'_>>,
) -> Result<User, Failure> {
    let rules = IdentityRules { trust_on_first_use: state.config.sessions.trust_on_first_use, registration_proof };
    match resolve_identity(&state.pool, identity, rules).await? {
        Resolution::User(user) => Ok(user),
        Resolution::Refused(refusal) => {
            note_refusal(state, refusal.name(), refusal.user_id(), identity.client_address).await?;
            if refusal != Refusal::Unknown {
                tracing::warn!(reason = refusal.name(), user = ?refusal.user_id(), "an account of Authentik was refused");
            }
            Err(Failure::Refused)
        }
    }
}

/// A login that did not succeed, whoever it was. `user_id` is the account that was aimed at, when there is one.
pub(super) async fn note_refusal(
    state: &AppState,
    reason: &str,
    user_id: Option<UserId>,
    address: Option<IpAddr>,
) -> Result<(), sqlx::Error> {
    metrics::counter!("freehunt_log_ins_refused_total").increment(1);
    let record = AuditRecord {
        actor: AuditActor::Anonymous,
        table: "session",
        action: "log_in_refused",
        subject_id: user_id.map(|id| id.to_string()),
        client_address: address.map(|address| address.to_string()),
        details: Some(json!({ "reason": reason })),
    };
    let mut connection = state.connection().await?;
    audit::record(&mut connection, &record).await
}

/// Ends a session at Authentik that is of no use here. Best effort, and bounded.
pub(super) async fn end_upstream(state: &AppState, cookie: &SessionCookie) {
    let ended = tokio::time::timeout(state.config.authentik.timeout, state.authentik.end_session(cookie)).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a session could not be ended at Authentik"),
        Err(_) => tracing::warn!("a session could not be ended at Authentik in time"),
    }
}
