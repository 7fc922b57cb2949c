//! Log-in, enrolment and session checks over HTTP, against answers in Authentik's shapes.

mod support;

use std::time::{Duration, Instant};

use freehunt_authentik::{
    Authentik, AuthentikSettings, BuildError, DEFAULT_INVALIDATION_FLOW, Enrolled, Enrollment, FlowErrors, LogIn,
    SessionCookie, Unavailable, UnavailableKind,
};
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use support::{Reply, Server, html, json as answer, redirect, with_cookie};

const LOGIN: &str = "/api/v3/flows/executor/log-in/?query=";
const ENROL: &str = "/api/v3/flows/executor/enrol/?query=";
const ME: &str = "/api/v3/core/users/me/";

fn settings(url: &str) -> AuthentikSettings {
    AuthentikSettings {
        url: url.parse().expect("URL"),
        login_flow: "log-in".to_owned(),
        enrollment_flow: "enrol".to_owned(),
        invalidation_flow: DEFAULT_INVALIDATION_FLOW.to_owned(),
        timeout: Duration::from_millis(500),
    }
}

async fn start() -> (Server, Authentik) {
    let server = Server::start().await;
    let authentik = Authentik::new(settings(&server.url())).expect("client");
    (server, authentik)
}

async fn log_in(authentik: &Authentik) -> Result<LogIn, Unavailable> {
    authentik.log_in("alice@example.com", &SecretString::from("canary-password")).await
}

fn enrollment() -> Enrollment {
    Enrollment {
        username: "alice".to_owned(),
        email: "alice@example.com".to_owned(),
        password: SecretString::from("canary-password"),
        password_repeat: SecretString::from("canary-password"),
        role: Some("FREELANCE".to_owned()),
    }
}

fn identification(password_fields: bool) -> Value {
    json!({ "component": "ak-stage-identification", "user_fields": ["email", "username"], "password_fields": password_fields })
}

fn prompt() -> Value {
    json!({ "component": "ak-stage-prompt", "fields": [
        { "field_key": "username", "type": "username", "required": true },
        { "field_key": "email", "type": "email", "required": true },
        { "field_key": "password", "type": "password", "required": true },
        { "field_key": "password_repeat", "type": "password", "required": true }
    ] })
}

fn done() -> Value {
    json!({ "component": "xak-flow-redirect", "to": "/" })
}

fn me(is_active: bool) -> Value {
    json!({ "user": {
        "pk": 7, "uid": "uid-alice", "username": "alice", "name": "Alice", "email": "alice@example.com", "is_active": is_active,
        "is_superuser": false, "groups": [], "avatar": "", "settings": {}, "type": "external", "system_permissions": []
    } })
}

fn anonymous() -> Value {
    json!({ "detail": "Authentication credentials were not provided." })
}

fn kind<T: std::fmt::Debug>(result: Result<T, Unavailable>) -> UnavailableKind {
    let error = result.expect_err("must be unavailable");
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    error.kind()
}

/// Fault cases 10 and 11: the session is the one issued last, wherever in the chain.
#[tokio::test]
async fn log_in_follows_the_chain_and_keeps_the_rotated_session() {
    let (server, authentik) = start().await;
    server
        .then(with_cookie(answer(200, identification(true)), "authentik_session=before; HttpOnly; Path=/"))
        .then(with_cookie(redirect(LOGIN), "authentik_session=after; HttpOnly; Path=/"))
        .then(answer(200, json!({ "component": "ak-stage-user-login" })))
        .then(redirect(LOGIN))
        .then(answer(200, done()))
        .then(answer(200, me(true)));
    let LogIn::Success { session, identity } = log_in(&authentik).await.expect("available") else {
        panic!("must succeed");
    };
    assert_eq!(session.expose(), "after");
    assert_eq!((identity.uid.as_str(), identity.email.as_str()), ("uid-alice", "alice@example.com"));
    assert!(!format!("{identity:?}").contains('@'));

    let calls = server.calls();
    let targets: Vec<_> = calls.iter().map(|call| (call.method.clone(), call.target.as_str())).collect();
    let (get, post) = (Method::GET, Method::POST);
    let expected = [(&get, LOGIN), (&post, LOGIN), (&get, LOGIN), (&post, LOGIN), (&get, LOGIN), (&get, ME)];
    assert_eq!(targets, expected.map(|(method, target)| (method.clone(), target)));
    let first = json!({
        "component": "ak-stage-identification", "uid_field": "alice@example.com", "password": "canary-password"
    });
    assert_eq!(calls[1].json(), first);
    assert_eq!(calls[3].json(), json!({ "component": "ak-stage-user-login", "remember_me": false }));
    assert!(calls[0].cookies().is_empty());
    assert_eq!(calls[1].cookies(), ["authentik_session=before"]);
    assert_eq!(calls[2].cookies(), ["authentik_session=after"]);
    assert_eq!(calls[5].cookies(), ["authentik_session=after"]);
}

#[tokio::test]
async fn log_in_answers_a_password_stage_of_its_own() {
    let (server, authentik) = start().await;
    server
        .then(with_cookie(answer(200, identification(false)), "authentik_session=x; Path=/"))
        .then(redirect(LOGIN))
        .then(answer(200, json!({ "component": "ak-stage-password", "pending_user": "alice" })))
        .then(redirect(LOGIN))
        .then(answer(200, done()))
        .then(answer(200, me(true)));
    assert!(matches!(log_in(&authentik).await, Ok(LogIn::Success { .. })));
    let calls = server.calls();
    assert_eq!(calls[1].json(), json!({ "component": "ak-stage-identification", "uid_field": "alice@example.com" }));
    assert_eq!(calls[3].json(), json!({ "component": "ak-stage-password", "password": "canary-password" }));
}

/// Fault case 9.
#[tokio::test]
async fn wrong_credentials_are_refused_however_the_flow_says_so() {
    let failed = FlowErrors::of("non_field_errors", "Failed to authenticate.", "invalid");
    let (server, authentik) = start().await;
    let mut complaint = identification(true);
    complaint["response_errors"] = serde_json::to_value(&failed).expect("JSON");
    server.then(answer(200, identification(true))).then(answer(200, complaint));
    assert!(matches!(log_in(&authentik).await, Ok(LogIn::Refused(errors)) if errors == failed));
    // A flow set to restart shows its first stage again.
    server.then(answer(200, identification(true))).then(redirect(LOGIN)).then(answer(200, identification(true)));
    assert!(matches!(log_in(&authentik).await, Ok(LogIn::Refused(errors)) if errors == failed));
}

#[tokio::test]
async fn denied_and_inactive_people_get_no_session() {
    let (server, authentik) = start().await;
    let denied = json!({ "component": "ak-stage-access-denied", "pending_user": "alice", "error_message": "Locked." });
    server.then(answer(200, identification(true))).then(answer(200, denied));
    let outcome = log_in(&authentik).await.expect("available");
    assert!(matches!(outcome, LogIn::Denied { message: Some(message) } if message == "Locked."));
    server
        .then(with_cookie(answer(200, identification(true)), "authentik_session=x; Path=/"))
        .then(answer(200, done()))
        .then(answer(200, me(false)));
    assert!(matches!(log_in(&authentik).await, Ok(LogIn::NotAnswerableHere { .. })));
}

/// Fault case 23.
#[tokio::test]
async fn a_second_factor_is_not_answerable_here() {
    let (server, authentik) = start().await;
    let factor = json!({ "component": "ak-stage-authenticator-validate", "device_challenges": [] });
    server
        .then(with_cookie(answer(200, identification(true)), "authentik_session=x; Path=/"))
        .then(redirect(LOGIN))
        .then(answer(200, factor));
    let outcome = log_in(&authentik).await.expect("available");
    assert!(
        matches!(outcome, LogIn::NotAnswerableHere { component } if component == "ak-stage-authenticator-validate")
    );
    assert_eq!(server.calls().len(), 3);
}

/// Fault case 24.
#[tokio::test]
async fn a_redirect_to_elsewhere_is_not_followed() {
    let (server, authentik) = start().await;
    let elsewhere = Server::start().await;
    for target in [format!("{}{LOGIN}", elsewhere.url()), format!("{}/if/flow/log-in/", server.url())] {
        let before = server.calls().len();
        server
            .then(with_cookie(answer(200, identification(true)), "authentik_session=x; Path=/"))
            .then(redirect(&target));
        assert_eq!(kind(log_in(&authentik).await), UnavailableKind::ForeignRedirect);
        assert_eq!(server.calls().len(), before + 2);
    }
    let keeping_the_method = (http::StatusCode::TEMPORARY_REDIRECT, [("location", LOGIN)]);
    server
        .then(answer(200, identification(true)))
        .then(axum::response::IntoResponse::into_response(keeping_the_method));
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::ForeignRedirect);
    assert!(elsewhere.calls().is_empty());
}

/// Fault case 24: a flow that ends by sending the browser to another host has signed nobody in.
#[tokio::test]
async fn done_without_a_session_is_no_success() {
    let (server, authentik) = start().await;
    let outside = json!({ "component": "xak-flow-redirect", "to": "https://evil.example/" });
    server
        .then(with_cookie(answer(200, identification(true)), "authentik_session=x; Path=/"))
        .then(answer(200, outside))
        .then(answer(403, anonymous()));
    let outcome = log_in(&authentik).await.expect("available");
    assert!(matches!(outcome, LogIn::NotAnswerableHere { component } if component == "xak-flow-redirect"));
}

#[tokio::test]
async fn endless_flows_end() {
    let (server, authentik) = start().await;
    for _ in 0..20 {
        server.then(redirect(LOGIN));
    }
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Malformed);
    let (server, authentik) = start().await;
    for _ in 0..40 {
        server.then(answer(200, json!({ "component": "ak-stage-user-login" })));
    }
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Malformed);
}

/// Fault case 14.
#[tokio::test]
async fn a_broken_authentik_is_unavailable() {
    let (server, authentik) = start().await;
    server.then(html(500));
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Status(500));
    server.then(html(200));
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Malformed);
    server.then(answer(200, json!({ "detail": "no component" })));
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Malformed);
    server.then(answer(404, json!({ "detail": "Not found." })));
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Status(404));
    server.push(Reply::Hang);
    let began = Instant::now();
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(3));
    let nobody = Authentik::new(settings("http://127.0.0.1:1")).expect("client");
    assert_eq!(kind(log_in(&nobody).await), UnavailableKind::Transport);
}

/// Fault case 14.
#[tokio::test]
async fn the_circuit_opens() {
    let (server, authentik) = start().await;
    let session = SessionCookie::new("canary-session");
    for _ in 0..5 {
        server.then(html(502));
        assert_eq!(kind(authentik.who_is(&session).await), UnavailableKind::Status(502));
    }
    assert_eq!(kind(authentik.who_is(&session).await), UnavailableKind::CircuitOpen);
    assert_eq!(kind(log_in(&authentik).await), UnavailableKind::CircuitOpen);
    assert_eq!(server.calls().len(), 5);
}

#[tokio::test]
async fn enrolment_with_and_without_a_session() {
    let (server, authentik) = start().await;
    server
        .then(with_cookie(answer(200, prompt()), "authentik_session=before; Path=/"))
        .then(with_cookie(redirect(ENROL), "authentik_session=after; Path=/"))
        .then(answer(200, done()))
        .then(answer(200, me(true)));
    let Enrolled::Done { session: Some(session), identity: Some(identity) } =
        authentik.enroll(&enrollment()).await.expect("available")
    else {
        panic!("must be done, with a session");
    };
    assert_eq!((session.expose(), identity.username.as_str()), ("after", "alice"));
    let posted = json!({
        "component": "ak-stage-prompt", "username": "alice", "email": "alice@example.com",
        "password": "canary-password", "password_repeat": "canary-password"
    });
    assert_eq!(server.calls()[1].json(), posted);
    server
        .then(with_cookie(answer(200, prompt()), "authentik_session=before; Path=/"))
        .then(answer(200, done()))
        .then(answer(403, anonymous()));
    let outcome = authentik.enroll(&enrollment()).await.expect("available");
    assert!(matches!(outcome, Enrolled::Done { session: None, identity: None }));
}

/// Fault case 7.
#[tokio::test]
async fn enrolment_passes_field_errors_on() {
    let (server, authentik) = start().await;
    let errors = json!({ "username": [{ "string": "Username is already taken.", "code": "invalid" }] });
    let mut complaint = prompt();
    complaint["response_errors"] = errors.clone();
    server.then(answer(200, prompt())).then(answer(200, complaint));
    let Enrolled::Refused(refused) = authentik.enroll(&enrollment()).await.expect("available") else {
        panic!("must be refused");
    };
    assert_eq!(serde_json::to_value(refused).expect("JSON"), errors);
}

/// Fault cases 2, 3 and 13.
#[tokio::test]
async fn who_is_sends_one_cookie_and_believes_only_authentik() {
    let (server, authentik) = start().await;
    server.then(answer(200, me(true)));
    let session = SessionCookie::new("x%3B%20authentik_proxy=1");
    let identity = authentik.who_is(&session).await.expect("available").expect("somebody");
    assert_eq!(identity.uid, "uid-alice");
    assert_eq!(server.calls()[0].cookies(), ["authentik_session=x%3B%20authentik_proxy=1"]);
    for value in ["", "x; authentik_proxy=1", "x\r\nx: y"] {
        assert_eq!(authentik.who_is(&SessionCookie::new(value)).await.expect("no call"), None);
    }
    assert_eq!(server.calls().len(), 1);
    for nobody in [answer(401, anonymous()), answer(403, anonymous()), answer(200, me(false))] {
        server.then(nobody);
        assert_eq!(authentik.who_is(&session).await.expect("available"), None);
    }
    server.then(html(403));
    assert_eq!(kind(authentik.who_is(&session).await), UnavailableKind::Status(403), "a proxy's refusal says nothing");
    server.then(redirect("/if/flow/default-authentication-flow/"));
    assert_eq!(kind(authentik.who_is(&session).await), UnavailableKind::ForeignRedirect);
    server.then(answer(200, json!({ "user": { "uid": "", "username": "", "is_active": true } })));
    assert_eq!(kind(authentik.who_is(&session).await), UnavailableKind::Malformed);
}

/// Fault case 12, Authentik's part of it.
#[tokio::test]
async fn end_session_runs_the_invalidation_flow_with_the_cookie() {
    let (server, authentik) = start().await;
    let path = "/api/v3/flows/executor/default-invalidation-flow/?query=";
    server.then(with_cookie(redirect(path), "authentik_session=\"\"; Max-Age=0; Path=/")).then(answer(200, done()));
    authentik.end_session(&SessionCookie::new("live")).await.expect("ended");
    let calls = server.calls();
    assert_eq!((calls[0].target.as_str(), calls[0].cookies()), (path, vec!["authentik_session=live".to_owned()]));
    assert!(calls[1].cookies().is_empty());
    authentik.end_session(&SessionCookie::new("no cookie")).await.expect("nothing to end");
    server.then(answer(200, json!({ "component": "ak-stage-consent" })));
    assert_eq!(kind(authentik.end_session(&SessionCookie::new("live")).await), UnavailableKind::Malformed);
}

#[tokio::test]
async fn users_are_listed_page_by_page() {
    let (server, authentik) = start().await;
    let user = |pk: u32| json!({ "pk": pk, "uid": format!("uid-{pk}"), "username": "x", "email": "x@y", "is_active": true, "type": "external" });
    server
        .then(answer(200, json!({ "pagination": { "next": 2, "current": 1 }, "results": [user(1), user(2)] })))
        .then(answer(200, json!({ "pagination": { "next": 0, "current": 2 }, "results": [user(3)] })));
    let users = authentik.all_users(&SecretString::from("canary-token")).await.expect("available");
    assert_eq!(users.iter().map(|user| user.pk).collect::<Vec<_>>(), [1, 2, 3]);
    let calls = server.calls();
    assert_eq!(calls[0].target, "/api/v3/core/users/?page=1&page_size=100");
    assert_eq!(calls[1].target, "/api/v3/core/users/?page=2&page_size=100");
    assert_eq!(calls[0].headers["authorization"], "Bearer canary-token");
    server.then(answer(403, json!({ "detail": "Token invalid/expired" })));
    assert_eq!(kind(authentik.all_users(&SecretString::from("canary-token")).await), UnavailableKind::Status(403));
}

#[tokio::test]
async fn check_wants_a_stage_it_knows() {
    let (server, authentik) = start().await;
    server.then(answer(200, identification(true))).then(answer(200, json!({ "component": "something" })));
    assert_eq!(authentik.check().await.expect("fine"), "ak-stage-identification");
    assert_eq!(kind(authentik.check().await), UnavailableKind::Malformed);
}

#[test]
fn odd_base_addresses_are_refused() {
    for url in ["ftp://x", "data:text/plain,x", "http://user:password@x", "http://x/?a=b"] {
        assert!(matches!(Authentik::new(settings(url)), Err(BuildError::Url)), "{url}");
    }
}
