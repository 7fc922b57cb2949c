//! Code flow, bearer tokens and log-out tokens against a small provider that signs with ES256.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use freehunt_authentik::oidc::{LOGOUT_TOKEN_LIFETIME, Oidc, OidcError, OidcSettings, SigningAlgorithm};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;

struct Key {
    id: &'static str,
    signing: EncodingKey,
    public: Value,
}

fn key(id: &'static str) -> Key {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("key");
    let signing = EncodingKey::from_ec_der(document.as_ref());
    let mut public = Jwk::from_encoding_key(&signing, Algorithm::ES256).expect("public part");
    public.common.key_id = Some(id.to_owned());
    Key { id, signing, public: serde_json::to_value(public).expect("JSON") }
}

fn sign(key: &Key, typ: &str, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id.to_owned());
    header.typ = Some(typ.to_owned());
    jsonwebtoken::encode(&header, claims, &key.signing).expect("signed")
}

#[derive(Default)]
struct Provider {
    base: String,
    keys: Vec<Value>,
    calls: Vec<String>,
    /// Answer of the token endpoint, and the last form it received.
    token: Option<(StatusCode, Value)>,
    form: Vec<(String, String)>,
    down: bool,
}

type Shared = Arc<Mutex<Provider>>;

struct Setup {
    provider: Shared,
    oidc: Oidc,
    issuer: String,
    first: Key,
    clock: Arc<Mutex<DateTime<Utc>>>,
}

async fn setup() -> Setup {
    let first = key("first");
    let provider = Shared::default();
    let router = Router::new()
        .route("/application/o/app/.well-known/openid-configuration", get(discovery))
        .route("/application/o/app/jwks/", get(keys))
        .route("/application/o/token/", post(token))
        .route("/application/o/userinfo/", get(user_info))
        .with_state(Arc::clone(&provider));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    {
        let mut provider = provider.lock().expect("lock");
        provider.base.clone_from(&base);
        provider.keys = vec![first.public.clone(), json!({ "kty": "future", "kid": "unknown kind" })];
    }
    let issuer = format!("{base}/application/o/app/");
    let clock = Arc::new(Mutex::new(DateTime::from_timestamp(NOW, 0).expect("time")));
    let reading = Arc::clone(&clock);
    let oidc = Oidc::with_clock(settings(&issuer), Arc::new(move || *reading.lock().expect("lock"))).expect("client");
    Setup { provider, oidc, issuer, first, clock }
}

fn settings(issuer: &str) -> OidcSettings {
    OidcSettings {
        issuer: issuer.to_owned(),
        client_id: "freehunt".to_owned(),
        client_secret: None,
        redirect_uri: "https://api.example/auth/oidc/callback".parse().expect("URL"),
        audience: "freehunt-api".to_owned(),
        algorithm: SigningAlgorithm::Es256,
        timeout: Duration::from_secs(2),
    }
}

async fn discovery(State(provider): State<Shared>) -> Response {
    let mut provider = provider.lock().expect("lock");
    provider.calls.push("discovery".to_owned());
    if provider.down {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let global = format!("{}/application/o", provider.base);
    Json(json!({
        "issuer": format!("{global}/app/"),
        "authorization_endpoint": format!("{global}/authorize/"),
        "token_endpoint": format!("{global}/token/"),
        "userinfo_endpoint": format!("{global}/userinfo/"),
        "end_session_endpoint": format!("{global}/app/end-session/"),
        "jwks_uri": format!("{global}/app/jwks/"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"]
    }))
    .into_response()
}

async fn keys(State(provider): State<Shared>) -> Json<Value> {
    let mut provider = provider.lock().expect("lock");
    provider.calls.push("keys".to_owned());
    Json(json!({ "keys": provider.keys }))
}

async fn token(State(provider): State<Shared>, Form(form): Form<Vec<(String, String)>>) -> Response {
    let mut provider = provider.lock().expect("lock");
    provider.form = form;
    let (status, body) = provider.token.clone().expect("an answer");
    (status, Json(body)).into_response()
}

async fn user_info(headers: HeaderMap) -> Response {
    if headers["authorization"] == "Bearer good" {
        return Json(json!({ "sub": "alice", "email": "alice@example.com", "preferred_username": "alice" }))
            .into_response();
    }
    StatusCode::UNAUTHORIZED.into_response()
}

impl Setup {
    fn answer_tokens(&self, status: StatusCode, body: Value) {
        self.provider.lock().expect("lock").token = Some((status, body));
    }

    fn calls(&self, name: &str) -> usize {
        self.provider.lock().expect("lock").calls.iter().filter(|call| *call == name).count()
    }

    fn form(&self, name: &str) -> Option<String> {
        let provider = self.provider.lock().expect("lock");
        provider.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn claims(&self, audience: &str) -> Value {
        json!({ "iss": self.issuer, "aud": audience, "sub": "alice", "iat": NOW, "exp": NOW + 300, "sid": "session" })
    }

    fn id_token(&self, changes: &Value) -> String {
        let mut claims = self.claims("freehunt");
        claims["nonce"] = "nonce".into();
        claims["email"] = "alice@example.com".into();
        claims["preferred_username"] = "alice".into();
        sign(&self.first, "JWT", &changed(claims, changes))
    }

    fn bearer(&self, changes: &Value) -> String {
        let mut claims = self.claims("freehunt-api");
        claims["scope"] = "openid email".into();
        claims["email"] = "alice@example.com".into();
        sign(&self.first, "JWT", &changed(claims, changes))
    }

    fn logout_token(&self, changes: &Value) -> String {
        let mut claims = self.claims("freehunt");
        claims["jti"] = "once".into();
        claims["events"] = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        sign(&self.first, "logout+jwt", &changed(claims, changes))
    }
}

/// `null` removes a claim.
fn changed(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("object") {
        if value.is_null() {
            claims.as_object_mut().expect("object").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn reason<T>(result: Result<T, OidcError>) -> &'static str {
    match result.err().expect("must be refused") {
        OidcError::Invalid(reason) => reason,
        other => panic!("another error: {other}"),
    }
}

fn verifier() -> SecretString {
    SecretString::from("v".repeat(43))
}

#[tokio::test]
async fn the_authorization_request_asks_for_a_code_with_pkce() {
    let setup = setup().await;
    let request = setup.oidc.authorization_request().await.expect("request");
    let query: std::collections::HashMap<_, _> = request.url.query_pairs().into_owned().collect();
    assert!(request.url.as_str().contains("/application/o/authorize/?"));
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["client_id"], "freehunt");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["redirect_uri"], "https://api.example/auth/oidc/callback");
    assert_eq!(query["scope"], "openid profile email offline_access");
    assert_eq!((query["state"].as_str(), query["nonce"].as_str()), (request.state.as_str(), request.nonce.as_str()));
    let other = setup.oidc.authorization_request().await.expect("request");
    assert!(other.state != request.state && other.nonce != request.nonce);
    assert_ne!(other.pkce_verifier.expose_secret(), request.pkce_verifier.expose_secret());
    assert_eq!((setup.calls("discovery"), setup.calls("keys")), (1, 1), "discovery is cached");
}

#[tokio::test]
async fn a_code_is_exchanged_and_its_id_token_verified() {
    let setup = setup().await;
    let body = |id_token: &str| json!({ "access_token": "access", "token_type": "Bearer", "expires_in": 300, "refresh_token": "refresh", "id_token": id_token });
    setup.answer_tokens(StatusCode::OK, body(&setup.id_token(&json!({}))));
    let tokens = setup.oidc.exchange("code", &verifier(), "nonce").await.expect("tokens");
    assert_eq!(tokens.subject, "alice");
    assert_eq!(tokens.email.as_deref(), Some("alice@example.com"));
    assert_eq!(tokens.username.as_deref(), Some("alice"));
    assert_eq!(tokens.session_id.as_deref(), Some("session"));
    assert_eq!(tokens.access_token.expose_secret(), "access");
    assert_eq!(tokens.refresh_token.expect("refresh token").expose_secret(), "refresh");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(300)));
    assert_eq!(setup.form("code_verifier"), Some(verifier().expose_secret().to_owned()));
    assert_eq!(setup.form("client_id").as_deref(), Some("freehunt"), "a public client names itself in the form");

    assert_eq!(reason(setup.oidc.exchange("code", &verifier(), "other").await), "it answers another request");
    for (changes, expected) in [
        (json!({ "aud": "somebody" }), "it is for another audience"),
        (json!({ "aud": ["freehunt", "somebody"] }), "it is for another audience"),
        (json!({ "iss": "https://evil.example/" }), "it is from another issuer"),
        (json!({ "exp": NOW - 61 }), "it has expired"),
        (json!({ "nonce": null }), "it answers another request"),
        (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), "it belongs to another access token"),
    ] {
        setup.answer_tokens(StatusCode::OK, body(&setup.id_token(&changes)));
        assert_eq!(reason(setup.oidc.exchange("code", &verifier(), "nonce").await), expected, "{changes}");
    }
    setup.answer_tokens(StatusCode::OK, json!({ "access_token": "access", "token_type": "Bearer" }));
    assert_eq!(reason(setup.oidc.exchange("code", &verifier(), "nonce").await), "there is no ID token");
}

#[tokio::test]
async fn refusals_and_refreshes() {
    let setup = setup().await;
    setup.answer_tokens(StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant", "error_description": "canary" }));
    let refused = setup.oidc.refresh(&SecretString::from("canary")).await.err().expect("refused");
    assert!(matches!(&refused, OidcError::Refused { code } if code == "invalid_grant"));
    assert!(!format!("{refused:?} {refused}").contains("canary"));
    setup.answer_tokens(StatusCode::SERVICE_UNAVAILABLE, json!({}));
    let down = setup.oidc.exchange("code", &verifier(), "nonce").await.err().expect("down");
    assert!(matches!(down, OidcError::Unavailable(_)));
    let id_token = setup.id_token(&json!({ "nonce": null }));
    setup.answer_tokens(StatusCode::OK, json!({ "access_token": "new", "token_type": "Bearer", "id_token": id_token }));
    let refreshed = setup.oidc.refresh(&SecretString::from("refresh")).await.expect("tokens");
    assert_eq!(refreshed.subject.as_deref(), Some("alice"));
    assert_eq!(refreshed.access_token.expose_secret(), "new");
    assert_eq!(setup.form("grant_type").as_deref(), Some("refresh_token"));
    setup.answer_tokens(StatusCode::OK, json!({ "access_token": "new", "token_type": "Bearer" }));
    assert!(setup.oidc.refresh(&SecretString::from("refresh")).await.expect("tokens").subject.is_none());
}

#[tokio::test]
async fn bearer_tokens_are_verified_here() {
    let setup = setup().await;
    let claims = setup.oidc.verify_bearer(&setup.bearer(&json!({}))).await.expect("valid");
    assert_eq!((claims.subject.as_str(), claims.email.as_deref()), ("alice", Some("alice@example.com")));
    assert_eq!(claims.scopes, ["openid", "email"]);
    assert_eq!(claims.expires_at.timestamp(), NOW + 300);
    for changes in [json!({ "exp": NOW - 59 }), json!({ "nonce": "x" }), json!({ "aud": ["other", "freehunt-api"] })] {
        assert!(setup.oidc.verify_bearer(&setup.bearer(&changes)).await.is_ok(), "{changes}");
    }
    for (changes, expected) in [
        (json!({ "exp": NOW - 60 }), "it has expired"),
        (json!({ "exp": 300_000_000_000_i64 }), "its times are not times"),
        (json!({ "exp": null }), "its claims are not acceptable"),
        (json!({ "nbf": NOW + 61 }), "it is not valid yet"),
        (json!({ "aud": "freehunt" }), "it is for another audience"),
        (json!({ "aud": null }), "its claims are not acceptable"),
        (json!({ "iss": "https://evil.example/" }), "it is from another issuer"),
        (json!({ "sub": null }), "its claims are not acceptable"),
        (json!({ "nonce": "x", "scope": null }), "it is not an access token"),
        (json!({ "at_hash": "x" }), "it is not an access token"),
        (json!({ "events": {} }), "it is not an access token"),
    ] {
        assert_eq!(reason(setup.oidc.verify_bearer(&setup.bearer(&changes)).await), expected, "{changes}");
    }
    assert_eq!((setup.calls("discovery"), setup.calls("keys")), (1, 1));
    *setup.clock.lock().expect("lock") += TimeDelta::minutes(10);
    assert_eq!(reason(setup.oidc.verify_bearer(&setup.bearer(&json!({}))).await), "it has expired");
}

#[tokio::test]
async fn the_algorithm_and_kind_of_a_token_are_not_its_own_choice() {
    let setup = setup().await;
    let claims = setup.claims("freehunt-api");
    let forged =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"public key"));
    let refused = setup.oidc.verify_bearer(&forged.expect("signed")).await;
    assert_eq!(reason(refused), "its algorithm is not the agreed one");
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.";
    for text in [unsigned, "", "a.b.c", "opaque"] {
        assert_eq!(reason(setup.oidc.verify_bearer(text).await), "it is not a signed token");
    }
    let logout = sign(&setup.first, "logout+jwt", &claims);
    assert_eq!(reason(setup.oidc.verify_bearer(&logout).await), "it is a token of another kind");
    let impostor = sign(&key("first"), "at+jwt", &claims);
    assert_eq!(reason(setup.oidc.verify_bearer(&impostor).await), "its signature is wrong");
    assert_eq!(reason(setup.oidc.verify_bearer(&"x".repeat(20_000)).await), "it is too long");
}

#[tokio::test]
async fn rotated_keys_are_fetched_once_and_made_up_ones_cause_no_storm() {
    let setup = setup().await;
    setup.oidc.verify_bearer(&setup.bearer(&json!({}))).await.expect("valid");
    let second = key("second");
    setup.provider.lock().expect("lock").keys = vec![second.public.clone()];
    let token = sign(&second, "JWT", &setup.claims("freehunt-api"));
    let results = tokio::join!(setup.oidc.verify_bearer(&token), setup.oidc.verify_bearer(&token));
    assert!(results.0.is_ok() && results.1.is_ok());
    assert_eq!(setup.calls("keys"), 2, "one refresh for both");
    for _ in 0..5 {
        let made_up = sign(&key("made-up"), "JWT", &setup.claims("freehunt-api"));
        assert_eq!(reason(setup.oidc.verify_bearer(&made_up).await), "its key is not one of the provider's");
    }
    assert_eq!(
        reason(setup.oidc.verify_bearer(&setup.bearer(&json!({}))).await),
        "its key is not one of the provider's"
    );
    assert_eq!(setup.calls("keys"), 2);
}

#[tokio::test]
async fn an_id_token_signed_with_a_rotated_key_is_accepted() {
    let mut setup = setup().await;
    setup.oidc.check().await.expect("set up");
    setup.first = key("second");
    setup.provider.lock().expect("lock").keys = vec![setup.first.public.clone()];
    let id_token = setup.id_token(&json!({}));
    setup.answer_tokens(StatusCode::OK, json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token }));
    assert_eq!(setup.oidc.exchange("code", &verifier(), "nonce").await.expect("tokens").subject, "alice");
}

#[tokio::test]
async fn a_provider_that_is_down_or_another_is_told_apart() {
    let setup = setup().await;
    setup.provider.lock().expect("lock").down = true;
    assert!(matches!(setup.oidc.check().await, Err(OidcError::Unavailable(_))));
    assert!(matches!(setup.oidc.check().await, Err(OidcError::Unavailable(_))));
    assert_eq!(setup.calls("discovery"), 1, "a failure is not repeated at once");
    let no_slash = setup.issuer.trim_end_matches('/').to_owned();
    setup.provider.lock().expect("lock").down = false;
    let other = Oidc::new(settings(&no_slash)).expect("client");
    assert!(matches!(other.check().await, Err(OidcError::Misconfigured(_))));
    let mut rsa = settings(&setup.issuer);
    rsa.algorithm = SigningAlgorithm::Rs256;
    assert!(matches!(Oidc::new(rsa).expect("client").check().await, Err(OidcError::Misconfigured(_))));
}

#[tokio::test]
async fn log_out_tokens_follow_the_rules() {
    let setup = setup().await;
    let claims = setup.oidc.verify_logout_token(&setup.logout_token(&json!({}))).await.expect("valid");
    assert_eq!((claims.subject.as_deref(), claims.session_id.as_deref()), (Some("alice"), Some("session")));
    assert_eq!(claims.jti, "once");
    assert!(setup.oidc.verify_logout_token(&setup.logout_token(&json!({ "sub": null, "exp": null }))).await.is_ok());
    let too_old = NOW - LOGOUT_TOKEN_LIFETIME.num_seconds() - 1;
    for (changes, expected) in [
        (json!({ "events": null }), "its claims are not acceptable"),
        (json!({ "events": {} }), "it is not a log-out token"),
        (json!({ "nonce": "x" }), "a log-out token has no nonce"),
        (json!({ "sub": null, "sid": null }), "it names no session"),
        (json!({ "jti": null }), "its claims are not acceptable"),
        (json!({ "iat": too_old }), "it was not issued just now"),
        (json!({ "iat": NOW + 61 }), "it was not issued just now"),
        (json!({ "exp": NOW - 60 }), "it has expired"),
        (json!({ "aud": "freehunt-api" }), "it is for another audience"),
        (json!({ "iss": "https://evil.example/" }), "it is from another issuer"),
    ] {
        assert_eq!(reason(setup.oidc.verify_logout_token(&setup.logout_token(&changes)).await), expected, "{changes}");
    }
    let access = setup.oidc.verify_logout_token(&setup.bearer(&json!({ "aud": "freehunt" }))).await;
    assert_eq!(reason(access), "its claims are not acceptable");
}

#[tokio::test]
async fn user_info_and_the_log_out_page() {
    let setup = setup().await;
    let info = setup.oidc.user_info(&SecretString::from("good")).await.expect("available").expect("valid");
    assert_eq!((info.subject.as_str(), info.username.as_deref()), ("alice", Some("alice")));
    assert!(setup.oidc.user_info(&SecretString::from("revoked")).await.expect("available").is_none());
    let back = "https://freehunt.example/login".parse().expect("URL");
    let hint = SecretString::from("hint");
    let url = setup.oidc.end_session_url(Some(&hint), Some(&back)).await.expect("available").expect("there is one");
    let expected = "/application/o/app/end-session/?client_id=freehunt&id_token_hint=hint&post_logout_redirect_uri=https%3A%2F%2Ffreehunt.example%2Flogin";
    assert!(url.as_str().ends_with(expected), "{url}");
}

/// Handlers of a server need futures they can move between threads.
#[test]
fn futures_can_move_between_threads() {
    fn movable<T: Send>(_future: T) {}
    let oidc = Oidc::new(settings("https://id.example/application/o/app/")).expect("client");
    let secret = SecretString::from("x");
    movable(oidc.authorization_request());
    movable(oidc.exchange("code", &secret, "nonce"));
    movable(oidc.refresh(&secret));
    movable(oidc.confirm(&secret, Some(&secret)));
    movable(oidc.verify_bearer("x"));
    movable(oidc.verify_logout_token("x"));
    movable(oidc.user_info(&secret));
}
