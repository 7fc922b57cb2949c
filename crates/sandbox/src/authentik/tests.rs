//! Drives the stand-in over HTTP the way a browser, the API and an administrator do.

use std::{collections::HashMap, time::Duration};

use axum::{Form, Router, extract::State, routing::post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;

use super::{
    AuthentikStandIn, AuthentikStandInSettings, Behaviour, NewUser, StandInUser, TokenOptions, TokenSignature,
    state::SESSION_COOKIE,
};

const LOGIN: &str = "default-authentication-flow";
const ENROLMENT: &str = "freehunt-enrollment";
const PASSWORD: &str = "Freehunt-demo-1";
const CALLBACK: &str = "http://localhost:3000/auth/oidc/callback";
const VERIFIER: &str = "a-verifier-of-at-least-43-characters-0123456789";

async fn start() -> AuthentikStandIn {
    start_with(AuthentikStandInSettings::default()).await
}

async fn start_with(settings: AuthentikStandInSettings) -> AuthentikStandIn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    AuthentikStandIn::start(listener, settings).await.unwrap()
}

fn alice(authentik: &AuthentikStandIn) -> StandInUser {
    let new = NewUser {
        username: "alice".to_owned(),
        email: "alice@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        ..NewUser::default()
    };
    authentik.add_user(new).unwrap()
}

/// A client with a cookie jar, like a browser's; it follows redirects only when told to.
fn browser(policy: redirect::Policy) -> Client {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(10)).cookie_store(true).redirect(policy).build().unwrap()
}

fn following() -> Client {
    browser(redirect::Policy::limited(5))
}

fn not_following() -> Client {
    browser(redirect::Policy::none())
}

fn executor(authentik: &AuthentikStandIn, slug: &str) -> String {
    format!("{}/api/v3/flows/executor/{slug}/?query=", authentik.url())
}

/// The value of the session cookie that an answer sets.
fn new_cookie(response: &Response) -> Option<String> {
    response.cookies().find(|cookie| cookie.name() == SESSION_COOKIE).map(|cookie| cookie.value().to_owned())
}

async fn get_flow(client: &Client, authentik: &AuthentikStandIn, slug: &str) -> Value {
    client.get(executor(authentik, slug)).send().await.unwrap().json().await.unwrap()
}

/// Posts an answer and follows to the next challenge.
async fn answer(client: &Client, authentik: &AuthentikStandIn, slug: &str, answer: Value) -> Value {
    let response = client.post(executor(authentik, slug)).json(&answer).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

fn credentials(identifier: &str, password: &str) -> Value {
    json!({ "component": "ak-stage-identification", "uid_field": identifier, "password": password })
}

fn enrolment(username: &str, email: &str) -> Value {
    json!({
        "component": "ak-stage-prompt", "username": username, "email": email,
        "password": PASSWORD, "password_repeat": PASSWORD,
    })
}

fn error(challenge: &Value, field: &str) -> String {
    challenge["response_errors"][field][0]["string"].as_str().unwrap_or_default().to_owned()
}

async fn me(authentik: &AuthentikStandIn, cookie: &str) -> (StatusCode, Value) {
    let request = not_following().get(format!("{}/api/v3/core/users/me/", authentik.url()));
    let response = request.header("cookie", format!("{SESSION_COOKIE}={cookie}")).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_login_goes_through_302_and_rotates_the_session() {
    let authentik = start().await;
    let user = alice(&authentik);
    let client = not_following();
    let first = client.get(executor(&authentik, LOGIN)).send().await.unwrap();
    let anonymous = new_cookie(&first).unwrap();
    let challenge: Value = first.json().await.unwrap();
    assert_eq!(challenge["component"], "ak-stage-identification");
    assert_eq!(challenge["password_fields"], true);
    assert_eq!(challenge["flow_info"]["cancel_url"], "/flows/-/cancel/");
    assert!(challenge.get("response_errors").is_none());

    let login = credentials("Alice@Example.com", PASSWORD);
    let solved = client.post(executor(&authentik, LOGIN)).json(&login).send().await.unwrap();
    assert_eq!(solved.status(), StatusCode::FOUND);
    assert_eq!(solved.headers()["location"], format!("/api/v3/flows/executor/{LOGIN}/?query="));
    let last = client.get(executor(&authentik, LOGIN)).send().await.unwrap();
    let signed_in = new_cookie(&last).unwrap();
    assert_eq!(last.json::<Value>().await.unwrap(), json!({ "component": "xak-flow-redirect", "to": "/" }));

    assert_ne!(anonymous, signed_in);
    assert_eq!(me(&authentik, &anonymous).await.0, StatusCode::FORBIDDEN);
    let (status, body) = me(&authentik, &signed_in).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["user"]["uid"], &body["user"]["email"]), (&json!(user.uid), &json!("alice@example.com")));
    assert_eq!(user.uid.len(), 64);
    // Signed in already: the flow is over at once.
    assert_eq!(get_flow(&client, &authentik, LOGIN).await["component"], "xak-flow-redirect");
}

#[tokio::test]
async fn wrong_credentials_repeat_the_challenge_with_an_error() {
    let authentik = start().await;
    alice(&authentik);
    let client = following();
    get_flow(&client, &authentik, LOGIN).await;
    for (identifier, password) in [("alice", "wrong"), ("nobody", PASSWORD), ("alice", "")] {
        let challenge = answer(&client, &authentik, LOGIN, credentials(identifier, password)).await;
        assert_eq!(challenge["component"], "ak-stage-identification");
        assert_eq!(error(&challenge, "non_field_errors"), "Failed to authenticate.");
    }
    let challenge = answer(&client, &authentik, LOGIN, credentials("", PASSWORD)).await;
    assert_eq!(error(&challenge, "non_field_errors"), "No identification data provided.");
    assert_eq!(authentik.open_sessions("alice"), 0);
}

#[tokio::test]
async fn unknown_flows_and_other_media_types_are_refused() {
    let authentik = start().await;
    let client = following();
    let unknown = client.get(executor(&authentik, "nothing")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let form = client.post(executor(&authentik, LOGIN)).form(&[("uid_field", "alice")]).send().await.unwrap();
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_separate_password_stage_does_not_tell_who_exists() {
    let authentik = start().await;
    alice(&authentik);
    authentik.set_behaviour(Behaviour { separate_password_stage: true, ..Behaviour::default() });
    let client = following();
    assert_eq!(get_flow(&client, &authentik, LOGIN).await["password_fields"], false);
    for identifier in ["nobody", "alice"] {
        let client = following();
        let challenge = answer(&client, &authentik, LOGIN, json!({ "uid_field": identifier })).await;
        assert_eq!(
            (&challenge["component"], &challenge["pending_user"]),
            (&json!("ak-stage-password"), &json!(identifier))
        );
        let challenge = answer(&client, &authentik, LOGIN, json!({ "password": "wrong" })).await;
        assert_eq!(error(&challenge, "password"), "Invalid password");
        let end = answer(&client, &authentik, LOGIN, json!({ "password": PASSWORD })).await;
        let expected = if identifier == "alice" { "xak-flow-redirect" } else { "ak-stage-password" };
        assert_eq!(end["component"], expected);
    }
}

#[tokio::test]
async fn second_factor_denial_and_breakage_end_without_a_login() {
    let authentik = start().await;
    alice(&authentik);
    let cases = [
        (Behaviour { require_mfa: true, ..Behaviour::default() }, "ak-stage-authenticator-validate"),
        (Behaviour { deny: true, ..Behaviour::default() }, "ak-stage-access-denied"),
        (Behaviour { flow_error: true, ..Behaviour::default() }, "ak-stage-flow-error"),
    ];
    for (behaviour, component) in cases {
        authentik.set_behaviour(behaviour);
        let client = following();
        let challenge = answer(&client, &authentik, LOGIN, credentials("alice", PASSWORD)).await;
        assert_eq!(challenge["component"], component);
    }
    let elsewhere = "http://elsewhere.example/".to_owned();
    authentik.set_behaviour(Behaviour { redirect_flow_to: Some(elsewhere.clone()), ..Behaviour::default() });
    let login = credentials("alice", PASSWORD);
    let solved = not_following().post(executor(&authentik, LOGIN)).json(&login).send().await.unwrap();
    assert_eq!(solved.headers()["location"], elsewhere);
    assert_eq!(authentik.open_sessions("alice"), 0);
}

#[tokio::test]
async fn an_enrolment_writes_one_user_who_can_log_in() {
    let authentik = start().await;
    let client = following();
    let challenge = get_flow(&client, &authentik, ENROLMENT).await;
    let keys: Vec<&str> =
        challenge["fields"].as_array().unwrap().iter().map(|field| field["field_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["username", "email", "password", "password_repeat"]);
    let end = answer(&client, &authentik, ENROLMENT, enrolment("bob", "bob@example.com")).await;
    assert_eq!(end["component"], "xak-flow-redirect");
    assert_eq!((authentik.enrolments(), authentik.open_sessions("bob")), (1, 1));
    let denied = get_flow(&client, &authentik, ENROLMENT).await;
    assert_eq!(denied["component"], "ak-stage-access-denied");

    authentik.set_behaviour(Behaviour { enrolment_logs_in: false, ..Behaviour::default() });
    let client = following();
    let end = answer(&client, &authentik, ENROLMENT, enrolment("carol", "carol@example.com")).await;
    assert_eq!(end["component"], "xak-flow-redirect");
    assert_eq!((authentik.enrolments(), authentik.open_sessions("carol")), (2, 0));
    let end = answer(&client, &authentik, LOGIN, credentials("carol", PASSWORD)).await;
    assert_eq!((&end["component"], authentik.open_sessions("carol")), (&json!("xak-flow-redirect"), 1));
}

/// The rules behind fault cases 7 and 8.
#[tokio::test]
async fn enrolment_rules_report_by_field() {
    let authentik = start().await;
    alice(&authentik);
    let client = following();
    let refused = async |body: Value| answer(&client, &authentik, ENROLMENT, body).await;
    let taken = refused(enrolment("ALICE", "ALICE@example.com")).await;
    assert_eq!(error(&taken, "username"), "Username is already taken.");
    assert_eq!(error(&taken, "email"), "Email already taken");
    assert_eq!(taken["fields"].as_array().unwrap().len(), 4);
    let hijack = refused(enrolment("alice@example.com", "eve@example.com")).await;
    assert_eq!(error(&hijack, "username"), "Username must not contain '@'.");
    let mut differing = enrolment("bob", "bob@example.com");
    differing["password_repeat"] = json!("other");
    assert_eq!(error(&refused(differing).await, "non_field_errors"), "Passwords don't match.");
    let missing = refused(json!({ "username": "", "email": "no-email" })).await;
    assert_eq!(error(&missing, "username"), "This field may not be blank.");
    assert_eq!(error(&missing, "email"), "Enter a valid email address.");
    assert_eq!(missing["response_errors"]["password"][0]["code"], "required");

    authentik.set_behaviour(Behaviour { rules_report_without_field: true, ..Behaviour::default() });
    let taken = refused(enrolment("bob", "alice@example.com")).await;
    assert_eq!(error(&taken, "non_field_errors"), "Email already taken");
    assert_eq!((authentik.enrolments(), authentik.users().len()), (0, 1));
}

/// The setting of fault case 6: two users of Authentik with one e-mail.
#[tokio::test]
async fn an_administrator_may_break_the_rules() {
    let authentik = start().await;
    let first = alice(&authentik);
    let mut second = NewUser {
        username: "mallory".to_owned(),
        email: "alice@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        ..NewUser::default()
    };
    assert!(authentik.add_user(second.clone()).is_err());
    second.skip_rules = true;
    let mallory = authentik.add_user(second.clone()).unwrap();
    assert_ne!((first.pk, first.uid), (mallory.pk, mallory.uid));
    assert!(authentik.add_user(second).is_err(), "a user name is never given twice");
    let (status, body) = me(&authentik, &authentik.session_for("mallory")).await;
    assert_eq!((status, &body["user"]["email"]), (StatusCode::OK, &json!("alice@example.com")));
}

#[tokio::test]
async fn logout_deactivation_and_ended_sessions_leave_no_session() {
    let authentik = start().await;
    alice(&authentik);
    let forbidden = json!({ "detail": "Authentication credentials were not provided." });
    assert_eq!(me(&authentik, "made-up").await, (StatusCode::FORBIDDEN, forbidden.clone()));
    let client = following();
    answer(&client, &authentik, LOGIN, credentials("alice", PASSWORD)).await;
    assert_eq!(authentik.open_sessions("alice"), 1);
    let out = get_flow(&client, &authentik, "default-invalidation-flow").await;
    assert_eq!((&out["component"], authentik.open_sessions("alice")), (&json!("xak-flow-redirect"), 0));
    let again = get_flow(&client, &authentik, "default-invalidation-flow").await;
    assert_eq!(again["component"], "ak-stage-access-denied");

    let cookie = authentik.session_for("alice");
    authentik.end_all_sessions("alice");
    assert_eq!(me(&authentik, &cookie).await.0, StatusCode::FORBIDDEN);
    let cookie = authentik.session_for("alice");
    authentik.deactivate("alice");
    assert_eq!(me(&authentik, &cookie).await.1, forbidden);
    let refused = answer(&following(), &authentik, LOGIN, credentials("alice", PASSWORD)).await;
    assert_eq!(error(&refused, "non_field_errors"), "Failed to authenticate.");
    authentik.reactivate("alice");
    let end = answer(&following(), &authentik, LOGIN, credentials("alice", PASSWORD)).await;
    assert_eq!(end["component"], "xak-flow-redirect");
}

#[tokio::test]
async fn only_the_administrator_lists_users_page_by_page() {
    let authentik = start().await;
    for username in ["c", "a", "b"] {
        let email = format!("{username}@example.com");
        authentik.add_user(NewUser { username: username.to_owned(), email, ..NewUser::default() }).unwrap();
    }
    authentik.set_behaviour(Behaviour { max_page_size: 2, ..Behaviour::default() });
    let list = async |token: Option<&str>, query: &str| {
        let mut request = following().get(format!("{}/api/v3/core/users/?{query}", authentik.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let admin = Some(authentik.settings().admin_token.as_str());
    assert_eq!(list(None, "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(list(Some("wrong"), "").await.0, StatusCode::FORBIDDEN);
    let (_, first) = list(admin, "page_size=100").await;
    let pagination = json!({
        "next": 2, "previous": 0, "count": 3, "current": 1, "total_pages": 2, "start_index": 1, "end_index": 2
    });
    assert_eq!((&first["pagination"], &first["results"][0]["username"]), (&pagination, &json!("a")));
    let (_, second) = list(admin, "page_size=100&page=2").await;
    assert_eq!((&second["pagination"]["next"], &second["results"][0]["username"]), (&json!(0), &json!("c")));
    assert_eq!(list(admin, "page=3").await.0, StatusCode::NOT_FOUND);
    assert_eq!(list(admin, "email=b@example.com").await.1["results"][0]["uid"], authentik.user("b").unwrap().uid);
}

#[tokio::test]
async fn a_second_start_keeps_users_and_sessions_but_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state").join("authentik.json");
    let settings = AuthentikStandInSettings { persist: Some(path.clone()), ..AuthentikStandInSettings::default() };
    let authentik = start_with(settings.clone()).await;
    let before = alice(&authentik);
    let cookie = authentik.session_for("alice");
    authentik.running.stop().await;
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(!file.contains(PASSWORD) && !file.contains(&cookie));

    let authentik = start_with(settings.clone()).await;
    assert_eq!(authentik.ensure_user(NewUser { username: "alice".to_owned(), ..NewUser::default() }).unwrap(), before);
    assert_eq!(me(&authentik, &cookie).await.1["user"]["uid"], before.uid);
    let end = answer(&following(), &authentik, LOGIN, credentials("alice", PASSWORD)).await;
    assert_eq!(end["component"], "xak-flow-redirect");

    std::fs::write(&path, "{").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = AuthentikStandIn::start(listener, settings).await.err().unwrap();
    assert!(refused.to_string().contains("authentik.json"), "{refused}");
}

fn authorize_url(authentik: &AuthentikStandIn, changes: &[(&str, &str)]) -> Url {
    let digest = ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(digest.as_ref());
    let mut parameters = HashMap::from([
        ("client_id", "freehunt"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid email profile offline_access"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    parameters.extend(changes.iter().copied());
    Url::parse_with_params(&format!("{}/application/o/authorize/", authentik.url()), parameters).unwrap()
}

/// The parameters of a redirect back to the client.
fn redirected(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), StatusCode::FOUND);
    let location = response.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(CALLBACK), "{location}");
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

async fn token_request(authentik: &AuthentikStandIn, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
    let request = following().post(format!("{}/application/o/token/", authentik.url())).form(parameters);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn exchange(authentik: &AuthentikStandIn, code: &str, verifier: &str) -> (StatusCode, Value) {
    let parameters = [
        ("grant_type", "authorization_code"),
        ("client_id", "freehunt"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
    ];
    token_request(authentik, &parameters).await
}

/// A code for alice, through a session that Authentik knows already.
async fn code_for_alice(authentik: &AuthentikStandIn) -> String {
    let cookie = format!("{SESSION_COOKIE}={}", authentik.session_for("alice"));
    let response = not_following().get(authorize_url(authentik, &[])).header("cookie", cookie).send().await.unwrap();
    redirected(&response)["code"].clone()
}

/// The claims of a token that a careful receiver accepts.
async fn verified(authentik: &AuthentikStandIn, token: &str) -> Result<Value, String> {
    let client = following();
    let discovery = format!("{}.well-known/openid-configuration", authentik.issuer());
    let discovery: Value = client.get(discovery).send().await.unwrap().json().await.unwrap();
    assert_eq!(discovery["issuer"], authentik.issuer());
    let keys: JwkSet = client.get(discovery["jwks_uri"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let key = header.kid.and_then(|kid| keys.find(&kid).cloned()).ok_or("unknown key")?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[authentik.issuer()]);
    validation.set_audience(&["freehunt"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&key).unwrap(), &validation)
        .map(|token| token.claims)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_login_form_leads_to_a_code_and_to_tokens() {
    let authentik = start().await;
    let user = alice(&authentik);
    let client = not_following();
    let url = authorize_url(&authentik, &[]);
    let form = client.get(url.clone()).send().await.unwrap().text().await.unwrap();
    assert!(form.contains("Se connecter") && form.contains("name=\"uid_field\""));
    let wrong = client.post(url.clone()).form(&[("uid_field", "alice"), ("password", "no")]).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let right = [("uid_field", "alice"), ("password", PASSWORD)];
    let answer = redirected(&client.post(url).form(&right).send().await.unwrap());
    assert_eq!(answer["state"], "the-state");

    let (status, tokens) = exchange(&authentik, &answer["code"], VERIFIER).await;
    assert_eq!((status, &tokens["token_type"]), (StatusCode::OK, &json!("Bearer")));
    let id_claims = verified(&authentik, tokens["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!((&id_claims["sub"], &id_claims["nonce"]), (&json!(user.uid), &json!("the-nonce")));
    assert!(id_claims["sid"].is_string() && id_claims["email"] == "alice@example.com");
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(verified(&authentik, access_token).await.unwrap()["sid"], id_claims["sid"]);

    let userinfo = format!("{}/application/o/userinfo/", authentik.url());
    let claims: Value = client.get(&userinfo).bearer_auth(access_token).send().await.unwrap().json().await.unwrap();
    assert_eq!((&claims["sub"], &claims["email"]), (&json!(user.uid), &json!("alice@example.com")));
    let anonymous = client.get(&userinfo).bearer_auth("nothing").send().await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);

    let (used_again, body) = exchange(&authentik, &answer["code"], VERIFIER).await;
    assert_eq!((used_again, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
}

#[tokio::test]
async fn codes_need_their_verifier_and_refresh_tokens_rotate() {
    let authentik = start().await;
    alice(&authentik);
    let code = code_for_alice(&authentik).await;
    assert_eq!(exchange(&authentik, &code, "another-verifier").await.1["error"], "invalid_grant");
    assert_eq!(exchange(&authentik, &code, VERIFIER).await.1["error"], "invalid_grant", "a code has one try");

    let (_, tokens) = exchange(&authentik, &code_for_alice(&authentik).await, VERIFIER).await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("client_id", "freehunt"), ("refresh_token", refresh_token)];
    let (status, renewed) = token_request(&authentik, &refresh).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    assert_eq!(token_request(&authentik, &refresh).await.1["error"], "invalid_grant");

    let renewed = renewed["refresh_token"].as_str().unwrap();
    let revoke = format!("{}/application/o/revoke/", authentik.url());
    let form = [("client_id", "freehunt"), ("token", renewed)];
    assert_eq!(following().post(revoke).form(&form).send().await.unwrap().status(), StatusCode::OK);
    let refresh = [("grant_type", "refresh_token"), ("client_id", "freehunt"), ("refresh_token", renewed)];
    assert_eq!(token_request(&authentik, &refresh).await.1["error"], "invalid_grant");
    let stranger = [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", renewed)];
    assert_eq!(token_request(&authentik, &stranger).await.1["error"], "invalid_client");
}

#[tokio::test]
async fn a_confidential_client_must_show_its_secret() {
    let client_secret = Some("the secret".to_owned());
    let authentik = start_with(AuthentikStandInSettings { client_secret, ..Default::default() }).await;
    alice(&authentik);
    let code = code_for_alice(&authentik).await;
    assert_eq!(exchange(&authentik, &code, VERIFIER).await.1["error"], "invalid_client");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let request = following().post(format!("{}/application/o/token/", authentik.url())).form(&form);
    let response = request.basic_auth("freehunt", Some("the%20secret")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn bad_authorization_requests_are_never_redirected_elsewhere() {
    let redirect_uris = vec![CALLBACK.to_owned()];
    let authentik = start_with(AuthentikStandInSettings { redirect_uris, ..Default::default() }).await;
    let client = not_following();
    for change in [("redirect_uri", "http://localhost:3000/elsewhere"), ("client_id", "other")] {
        let response = client.get(authorize_url(&authentik, &[change])).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let cases = [
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "email"), "invalid_scope"),
        (("response_type", "token"), "unsupported_response_type"),
        (("prompt", "none"), "login_required"),
    ];
    for (change, error) in cases {
        let response = client.get(authorize_url(&authentik, &[change])).send().await.unwrap();
        let answer = redirected(&response);
        assert_eq!((answer["error"].as_str(), answer["state"].as_str()), (error, "the-state"));
    }
}

#[tokio::test]
async fn end_session_ends_the_session_and_goes_back() {
    let authentik = start().await;
    alice(&authentik);
    let cookie = authentik.session_for("alice");
    let url = format!("{}end-session/?post_logout_redirect_uri=http%3A%2F%2Flocalhost%3A3030%2F", authentik.issuer());
    let request = not_following().get(url).header("cookie", format!("{SESSION_COOKIE}={cookie}"));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["location"], "http://localhost:3030/");
    assert_eq!((authentik.open_sessions("alice"), me(&authentik, &cookie).await.0), (0, StatusCode::FORBIDDEN));
}

#[tokio::test]
async fn a_careful_receiver_takes_only_the_good_token() {
    let authentik = start().await;
    alice(&authentik);
    let good = authentik.access_token_for("alice");
    assert!(verified(&authentik, &good).await.is_ok());
    let signed = |signature| TokenOptions { signature, ..TokenOptions::default() };
    let bad = [
        TokenOptions { issuer: Some("https://evil.example/".to_owned()), ..TokenOptions::default() },
        TokenOptions { audience: Some("other".to_owned()), ..TokenOptions::default() },
        TokenOptions { lifetime_seconds: -3600, ..TokenOptions::default() },
        TokenOptions { without: vec!["exp"], ..TokenOptions::default() },
        signed(TokenSignature::Forged),
        signed(TokenSignature::UnknownKeyId),
        signed(TokenSignature::HmacWithPublicKey),
        signed(TokenSignature::Unsigned),
    ];
    for options in bad {
        let token = authentik.access_token_with("alice", &options);
        assert!(verified(&authentik, &token).await.is_err(), "{options:?}");
    }
    authentik.rotate_signing_key();
    assert_eq!(verified(&authentik, &good).await.unwrap_err(), "unknown key");
    assert!(verified(&authentik, &authentik.access_token_for("alice")).await.is_ok());
}

#[tokio::test]
async fn a_back_channel_logout_posts_a_signed_logout_token() {
    let authentik = start().await;
    let user = alice(&authentik);
    authentik.session_for("alice");
    let (sender, mut received) = mpsc::unbounded_channel();
    let router = Router::new().route("/logout", post(receive_logout)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = crate::stand_in::serve(listener, router, crate::stand_in::Controls::new()).unwrap();
    assert!(authentik.send_back_channel_logout("alice").await.is_err(), "no address is set yet");
    authentik.set_back_channel_logout_url(Some(format!("{}/logout", receiver.url())));
    assert_eq!(authentik.send_back_channel_logout("alice").await.unwrap(), [StatusCode::OK]);
    let claims = verified(&authentik, &received.recv().await.unwrap()).await.unwrap();
    assert_eq!(claims["sub"], user.uid);
    assert!(claims["sid"].is_string() && claims.get("nonce").is_none());
    assert!(claims["events"].get("http://schemas.openid.net/event/backchannel-logout").is_some());
    assert_eq!(receiver.controls.calls_to(Method::POST, "/logout").len(), 1);
}

async fn receive_logout(
    State(sender): State<mpsc::UnboundedSender<String>>,
    Form(mut form): Form<HashMap<String, String>>,
) {
    sender.send(form.remove("logout_token").unwrap()).unwrap();
}
