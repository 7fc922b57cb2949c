//! OpenID Connect for browsers: discovery, keys, the authorization endpoint with its login form, end of session.
//!
//! Stricter than Authentik in one thing: a code is only given for a PKCE challenge with S256.

use std::sync::Arc;

use axum::{
    Form, Json,
    extract::{Path, Query, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    pages,
    state::{Grant, PendingCode, Shared, hash, random_hex, session_cookie, session_key},
    tokens, users,
};

/// An authorization code is good for this many seconds.
const CODE_SECONDS: i64 = 60;

pub(super) async fn discovery(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    if slug != shared.settings.application_slug {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (issuer, base) = (shared.issuer(), format!("{}/application/o", shared.base_url));
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize/"),
        "token_endpoint": format!("{base}/token/"),
        "userinfo_endpoint": format!("{base}/userinfo/"),
        "end_session_endpoint": format!("{issuer}end-session/"),
        "revocation_endpoint": format!("{base}/revoke/"),
        "jwks_uri": format!("{issuer}jwks/"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "acr_values_supported": ["goauthentik.io/providers/oauth2/default"],
        "scopes_supported": ["openid", "email", "profile", "offline_access"],
        "request_parameter_supported": false,
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "sid", "email", "email_verified",
            "name", "given_name", "preferred_username", "nickname", "groups"
        ],
        "claims_parameter_supported": false,
        "code_challenge_methods_supported": ["S256"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    }))
    .into_response()
}

/// `/application/o/<slug>/` redirects to the discovery document.
pub(super) async fn application(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    if slug != shared.settings.application_slug {
        return StatusCode::NOT_FOUND.into_response();
    }
    found(&format!("/application/o/{slug}/.well-known/openid-configuration"), None)
}

pub(super) async fn jwks(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    if slug != shared.settings.application_slug {
        return StatusCode::NOT_FOUND.into_response();
    }
    let generation = shared.store().key_generation;
    Json(tokens::key_set(generation)).into_response()
}

#[derive(Deserialize)]
pub(super) struct AuthorizeRequest {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
}

/// An authorization request whose answer may go to its redirect address.
struct Accepted {
    redirect_uri: Url,
    /// The redirect address as it was written, which the token request must repeat.
    written_redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    scope: String,
    code_challenge: String,
    prompt: String,
}

impl Accepted {
    /// The redirect that answers the request, with `state` when there was one.
    fn answer(&self, parameters: &[(&str, &str)]) -> String {
        answer_to(&self.redirect_uri, self.state.as_deref(), parameters)
    }

    /// Keeps a code for this user and session and returns the redirect that carries it.
    fn grant_code(&self, shared: &Shared, user: i64, session: String) -> String {
        let now = Utc::now().timestamp();
        let code = random_hex();
        let expires_at = now + CODE_SECONDS;
        let grant = Grant { user, session: Some(session), scope: self.scope.clone(), auth_time: now, expires_at };
        let pending = PendingCode {
            grant,
            redirect_uri: self.written_redirect_uri.clone(),
            nonce: self.nonce.clone(),
            code_challenge: self.code_challenge.clone(),
        };
        shared.store().codes.insert(hash(&code), pending);
        self.answer(&[("code", &code)])
    }
}

fn answer_to(redirect_uri: &Url, state: Option<&str>, parameters: &[(&str, &str)]) -> String {
    let mut address = redirect_uri.clone();
    {
        let mut query = address.query_pairs_mut();
        query.extend_pairs(parameters);
        if let Some(state) = state {
            query.append_pair("state", state);
        }
    }
    address.into()
}

/// Checks the request; what is wrong before the redirect address is trusted is shown, the rest is redirected.
#[expect(clippy::result_large_err, reason = "the error is the response that is sent")]
fn accept(shared: &Shared, request: AuthorizeRequest) -> Result<Accepted, Response> {
    if request.client_id.as_deref() != Some(shared.settings.client_id.as_str()) {
        return Err(pages::bad_request("The client identifier (client_id) is missing or invalid."));
    }
    let written_redirect_uri = request.redirect_uri.unwrap_or_default();
    let Some(redirect_uri) = allowed(&shared.settings.redirect_uris, &written_redirect_uri) else {
        return Err(pages::bad_request("The request fails due to a missing, invalid, or mismatching redirection URI."));
    };
    let refuse = |error: &str, description: &str| {
        let parameters = [("error", error), ("error_description", description)];
        Err(found(&answer_to(&redirect_uri, request.state.as_deref(), &parameters), None))
    };
    if request.response_type.as_deref() != Some("code") {
        return refuse("unsupported_response_type", "The authorization server only supports the code flow.");
    }
    let scope = request.scope.unwrap_or_default();
    if !scope.split_whitespace().any(|scope| scope == "openid") {
        return refuse("invalid_scope", "The scope openid is missing.");
    }
    if request.code_challenge_method.as_deref() != Some("S256") {
        return refuse("invalid_request", "A PKCE code challenge with S256 is required.");
    }
    let Some(code_challenge) = request.code_challenge.filter(|challenge| challenge.len() == 43) else {
        return refuse("invalid_request", "A PKCE code challenge with S256 is required.");
    };
    let (state, nonce, prompt) = (request.state, request.nonce, request.prompt.unwrap_or_default());
    Ok(Accepted { redirect_uri, written_redirect_uri, state, nonce, scope, code_challenge, prompt })
}

/// The address, when the list names it exactly (an empty list names every http(s) address).
fn allowed(list: &[String], address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let known = match list {
        [] => matches!(url.scheme(), "http" | "https"),
        known => known.iter().any(|known| known == address),
    };
    known.then_some(url)
}

/// `GET /application/o/authorize/`: a code at once for a browser with a session, else the login form.
pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    Query(request): Query<AuthorizeRequest>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let accepted = match accept(&shared, request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal,
    };
    let (signed_in, denied) = {
        let store = shared.store();
        (store.signed_in(&headers).map(|(session, user)| (session, user.public.pk)), store.behaviour.deny)
    };
    match signed_in {
        Some(_) if denied => found(&accepted.answer(&[("error", "access_denied")]), None),
        Some((session, user)) if accepted.prompt != "login" => {
            found(&accepted.grant_code(&shared, user, session), None)
        }
        None if accepted.prompt == "none" => found(&accepted.answer(&[("error", "login_required")]), None),
        _ => pages::login_form(&form_action(query.as_deref()), None),
    }
}

fn form_action(query: Option<&str>) -> String {
    format!("/application/o/authorize/?{}", query.unwrap_or_default())
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    uid_field: String,
    #[serde(default)]
    password: String,
}

/// `POST /application/o/authorize/`: the login form; a session and the code.
pub(super) async fn log_in_and_authorize(
    State(shared): State<Arc<Shared>>,
    Query(request): Query<AuthorizeRequest>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Response {
    let accepted = match accept(&shared, request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal,
    };
    let Some(user) = users::authenticate(&shared, &form.uid_field, &form.password) else {
        let error = "Identifiant ou mot de passe incorrect.";
        return pages::login_form(&form_action(query.as_deref()), Some(error));
    };
    if shared.store().behaviour.deny {
        return found(&accepted.answer(&[("error", "access_denied")]), None);
    }
    let cookie = {
        let mut store = shared.store();
        if let Some(old) = session_cookie(&headers) {
            store.close_session(&session_key(&old));
        }
        let cookie = store.open_session(Some(user.pk));
        shared.save(&store);
        cookie
    };
    found(&accepted.grant_code(&shared, user.pk, session_key(&cookie)), Some(shared.set_cookie(&cookie)))
}

#[derive(Deserialize)]
pub(super) struct EndSessionRequest {
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// `/application/o/<slug>/end-session/`: ends the browser's session and sends it back where it may go.
pub(super) async fn end_session(
    State(shared): State<Arc<Shared>>,
    Path(slug): Path<String>,
    Query(request): Query<EndSessionRequest>,
    headers: HeaderMap,
) -> Response {
    if slug != shared.settings.application_slug {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Some(cookie) = session_cookie(&headers) {
        let mut store = shared.store();
        store.close_session(&session_key(&cookie));
        shared.save(&store);
    }
    let back = request
        .post_logout_redirect_uri
        .and_then(|address| allowed(&shared.settings.post_logout_redirect_uris, &address));
    match back {
        Some(address) => found(&answer_to_logout(&address, request.state.as_deref()), Some(shared.clear_cookie())),
        None => ([(header::SET_COOKIE, shared.clear_cookie())], pages::logged_out()).into_response(),
    }
}

fn answer_to_logout(address: &Url, state: Option<&str>) -> String {
    // Without a state the address stays as it is: touching its query would leave a bare `?`.
    if state.is_some() { answer_to(address, state, &[]) } else { address.to_string() }
}

fn found(to: &str, cookie: Option<String>) -> Response {
    let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
