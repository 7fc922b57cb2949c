//! OpenID Connect for servers: the token endpoint (code and refresh), userinfo, revocation.

use std::sync::Arc;

use axum::{
    Form, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    state::{Grant, Shared, Store, bearer, hash, random_hex},
    tokens::{self, TokenOptions},
    users::profile_claims,
};

/// A refresh token is good for this many days.
const REFRESH_DAYS: i64 = 30;

#[derive(Deserialize)]
pub(super) struct TokenRequest {
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// The token to revoke.
    token: Option<String>,
}

/// An OAuth error code with its description.
type Refusal = (&'static str, &'static str);

const INVALID_GRANT: Refusal = ("invalid_grant", "The provided authorization grant or refresh token is invalid.");
const INVALID_CLIENT: Refusal = ("invalid_client", "Client authentication failed.");

/// `POST /application/o/token/`.
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    let answer = check_client(&shared, &headers, &request).and_then(|()| match request.grant_type.as_deref() {
        Some("authorization_code") => exchange_code(&shared, &request),
        Some("refresh_token") => refresh(&shared, &request),
        _ => Err(("unsupported_grant_type", "The authorization grant type is not supported.")),
    });
    match answer {
        Ok(tokens) => ([(header::CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
        Err(refusal) => refuse(refusal),
    }
}

fn refuse((error, description): Refusal) -> Response {
    let body = json!({ "error": error, "error_description": description });
    (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The client by HTTP Basic or in the body; a public client only names itself.
fn check_client(shared: &Shared, headers: &HeaderMap, request: &TokenRequest) -> Result<(), Refusal> {
    let (id, secret) = match basic(headers) {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (request.client_id.clone(), request.client_secret.clone()),
    };
    let secret_fits = shared.settings.client_secret.is_none() || shared.settings.client_secret == secret;
    let known = id.as_ref() == Some(&shared.settings.client_id);
    if known && secret_fits { Ok(()) } else { Err(INVALID_CLIENT) }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        url::form_urlencoded::parse(format!("value={text}").as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn exchange_code(shared: &Shared, request: &TokenRequest) -> Result<Value, Refusal> {
    let mut store = shared.store();
    let code = request.code.as_deref().ok_or(INVALID_GRANT)?;
    // Removed before it is checked: a code has one try.
    let pending = store.codes.remove(&hash(code)).ok_or(INVALID_GRANT)?;
    let verifier = request.code_verifier.as_deref().unwrap_or_default();
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let proven = URL_SAFE_NO_PAD.encode(digest.as_ref()) == pending.code_challenge;
    let same_address = request.redirect_uri.as_deref() == Some(pending.redirect_uri.as_str());
    if !proven || !same_address || pending.grant.expires_at < Utc::now().timestamp() {
        return Err(INVALID_GRANT);
    }
    issue(shared, &mut store, pending.grant, pending.nonce.as_deref())
}

fn refresh(shared: &Shared, request: &TokenRequest) -> Result<Value, Refusal> {
    let mut store = shared.store();
    let token = request.refresh_token.as_deref().ok_or(INVALID_GRANT)?;
    // Rotated at each use: the old one is gone.
    let mut grant = store.refresh_tokens.remove(&hash(token)).ok_or(INVALID_GRANT)?;
    if grant.expires_at < Utc::now().timestamp() {
        return Err(INVALID_GRANT);
    }
    if let Some(scope) = &request.scope {
        if !scope.split_whitespace().all(|scope| grant.has_scope(scope)) {
            return Err(("invalid_scope", "The requested scope exceeds what was granted."));
        }
        grant.scope.clone_from(scope);
    }
    issue(shared, &mut store, grant, None)
}

/// New tokens for what was granted; a refresh token only with the scope `offline_access`.
fn issue(shared: &Shared, store: &mut Store, mut grant: Grant, nonce: Option<&str>) -> Result<Value, Refusal> {
    let user = store.user(grant.user).filter(|user| user.public.is_active).ok_or(INVALID_GRANT)?.public.clone();
    let now = Utc::now();
    let refresh_token = grant.has_scope("offline_access").then(random_hex);
    if let Some(token) = &refresh_token {
        let expires_at = (now + TimeDelta::days(REFRESH_DAYS)).timestamp();
        store.refresh_tokens.insert(hash(token), Grant { expires_at, ..grant.clone() });
    }
    grant.expires_at = now.timestamp() + shared.settings.access_token_seconds;
    let generation = store.key_generation;
    let access_token = tokens::access_token(shared, generation, &user, &grant, &TokenOptions::default());
    let mut answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "scope": grant.scope,
        "expires_in": shared.settings.access_token_seconds,
        "id_token": tokens::id_token(shared, generation, &user, &grant, nonce, &access_token),
    });
    if let Some(token) = refresh_token {
        answer["refresh_token"] = json!(token);
    }
    store.access_tokens.insert(hash(&access_token), grant);
    shared.save(store);
    Ok(answer)
}

/// `/application/o/userinfo/`: the claims of the access token's scopes.
pub(super) async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let store = shared.store();
    let now = Utc::now().timestamp();
    let grant = bearer(&headers)
        .and_then(|token| store.access_tokens.get(&hash(token)))
        .filter(|grant| grant.expires_at >= now);
    let user = grant.and_then(|grant| store.user(grant.user)).filter(|user| user.public.is_active);
    let (Some(grant), Some(user)) = (grant, user) else {
        let challenge = "error=\"invalid_token\", error_description=\"The access token is expired or invalid\"";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    let mut claims = profile_claims(&user.public, |scope| grant.has_scope(scope));
    claims.insert("sub".to_owned(), json!(user.public.uid));
    Json(claims).into_response()
}

/// `POST /application/o/revoke/`: 200 also for a token nobody knows.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    if let Err(refusal) = check_client(&shared, &headers, &request) {
        return refuse(refusal);
    }
    let mut store = shared.store();
    let token = hash(request.token.as_deref().unwrap_or_default());
    store.access_tokens.remove(&token);
    store.refresh_tokens.remove(&token);
    shared.save(&store);
    Json(json!({})).into_response()
}
