//! `/auth/oidc`, bearer tokens, and the provider's log-out.

use chrono::TimeDelta;
use freehunt_domain::{time::Clock, users::Role};
use freehunt_sandbox::authentik::{Behaviour, NewUser, TokenOptions, TokenSignature};
use freehunt_tests::{Answer, Persona, TestApp, eventually, settings};
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::auth::{Replica, age_confirmations, cookies_of, count, with_cookie};

fn location(answer: &Answer) -> Url {
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.headers["location"]
        .to_str()
        .expect("the answer names an address")
        .parse()
        .expect("the answer names an address")
}

/// What a browser does between the two: Authentik knows it, and sends it back with a code.
async fn authorize(app: &TestApp, to: &Url, username: &str) -> String {
    let cookie = format!("authentik_session={}", app.authentik.session_for(username));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("Authentik answers with the callback");
    let answer =
        client.get(to.clone()).header("cookie", cookie).send().await.expect("Authentik answers with the callback");
    let back: Url = answer.headers()["location"]
        .to_str()
        .expect("Authentik answers with the callback")
        .parse()
        .expect("Authentik answers with the callback");
    assert_eq!(back.path(), "/auth/oidc/callback");
    format!("{}?{}", back.path(), back.query().expect("Authentik answers with the callback"))
}

/// A whole login; what it is answered at last.
pub async fn finished_login(app: &TestApp, username: &str) -> Answer {
    let begun = app.anonymous().get("/auth/oidc/login?return_to=/dashboard/freelance").await;
    let browser = with_cookie(&app.anonymous(), &cookies_of(&begun));
    let callback = authorize(app, &location(&begun), username).await;
    let finished = browser.get(&callback).await;
    assert_eq!(location(&finished).as_str(), format!("{}/dashboard/freelance", settings::FRONTEND));
    finished
}

/// A whole login; the browser with its session.
async fn sign_in(app: &TestApp, username: &str) -> Persona {
    let finished = finished_login(app, username).await;
    with_cookie(&app.anonymous(), &cookies_of(&finished))
}

fn error_of(answer: &Answer) -> String {
    assert!(answer.set_cookies().is_empty());
    let to = location(answer);
    assert!(to.as_str().starts_with(&format!("{}/login?", settings::FRONTEND)), "{to}");
    to.query_pairs().find(|(name, _)| name == "error").expect("the address names an error").1.into_owned()
}

#[tokio::test]
async fn a_browser_signs_in_at_authentik_and_comes_back() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let begun = app.anonymous().get("/auth/oidc/login").await;
        let cookie = begun.set_cookies();
        assert!(cookie[0].starts_with("freehunt_oidc=") && cookie[0].contains("HttpOnly; SameSite=Lax"));
        let to = location(&begun);
        assert!(to.as_str().starts_with(&app.authentik.url()));
        assert!(to.query_pairs().any(|(name, value)| name == "code_challenge_method" && value == "S256"));
        let session = sign_in(app, "alice").await;
        assert_eq!(session.get("/auth/getme").await.expect(200)["id"], json!(alice.user_id));
        let stored: Vec<String> =
            sqlx::query_scalar("SELECT row_to_json(o)::text FROM oidc_login o").fetch_all(&app.pool).await.unwrap();
        assert_eq!(stored.len(), 1, "the finished login is gone, the other one waits");
    })
    .await;
}

#[tokio::test]
async fn a_state_has_one_try_in_its_own_browser() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let begun = app.anonymous().get("/auth/oidc/login").await;
        let browser = with_cookie(&app.anonymous(), &cookies_of(&begun));
        let callback = authorize(app, &location(&begun), "alice").await;
        let other = app.anonymous().get("/auth/oidc/login").await;
        let other = with_cookie(&app.anonymous(), &cookies_of(&other));
        assert_eq!(error_of(&other.get(&callback).await), "login_expired");
        assert_eq!(error_of(&app.anonymous().get(&callback).await), "login_expired");
        assert_eq!(error_of(&browser.get("/auth/oidc/callback").await), "login_expired");
        assert_eq!(cookies_of(&browser.get(&callback).await).matches("freehunt_session=").count(), 1);
        assert_eq!(error_of(&browser.get(&callback).await), "login_expired");
        let begun = browser.get("/auth/oidc/login").await;
        let state = location(&begun).query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let denied = format!("/auth/oidc/callback?error=access_denied&state={state}");
        assert_eq!(error_of(&browser.get(&denied).await), "access_denied");
        let begun = browser.get("/auth/oidc/login").await;
        let state = location(&begun).query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        assert_eq!(
            error_of(&browser.get(&format!("/auth/oidc/callback?code=forged&state={state}")).await),
            "access_denied"
        );
    })
    .await;
}

/// Authentik asks for more than the form can answer: the registration goes on there, and ends in the same browser only.
#[tokio::test]
async fn a_registration_that_goes_on_at_authentik_is_finished_by_its_browser() {
    TestApp::run(async |app| {
        let behaviour = Behaviour { enrolment_logs_in: false, require_mfa: true, ..Behaviour::default() };
        app.authentik.set_behaviour(behaviour);
        let form = json!({ "email": "acme@example.org", "username": "acme", "role": "COMPANY",
            "password": "Registered-1", "password_repeat": "Registered-1" });
        let answer = app.anonymous().post("/auth/register", form).await;
        let browser = with_cookie(&app.anonymous(), &cookies_of(&answer));
        assert!(browser.cookie.starts_with("freehunt_registration="), "{}", browser.cookie);
        assert_eq!(answer.expect(201)["success"], false);
        assert_eq!(error_of(&come_back(app, &app.anonymous(), "acme").await), "unknown_account");
        let finished = come_back(app, &browser, "acme").await;
        let session = with_cookie(&app.anonymous(), &cookies_of(&finished));
        assert_eq!(session.get("/auth/getme").await.expect(200)["role"], "COMPANY");
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 0);
    })
    .await;
}

/// A browser after an answer: what it sets is kept, and what it removes is gone.
fn after(browser: &Persona, answer: &Answer) -> Persona {
    let set = answer.set_cookies();
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let replaced: Vec<String> = set.iter().map(|cookie| name(cookie)).collect();
    let mut pairs: Vec<String> = browser.cookie.split("; ").map(str::to_owned).collect();
    pairs.retain(|pair| !pair.is_empty() && !replaced.contains(&name(pair)));
    pairs.push(cookies_of(answer));
    pairs.retain(|pair| !pair.is_empty());
    with_cookie(browser, &pairs.join("; "))
}

/// Signs in at Authentik as `username`; what the browser is answered when it is back.
async fn come_back(app: &TestApp, browser: &Persona, username: &str) -> Answer {
    let begun = browser.get("/auth/oidc/login").await;
    assert!(!begun.set_cookies().iter().any(|cookie| cookie.starts_with("freehunt_registration=")));
    let callback = authorize(app, &location(&begun), username).await;
    after(browser, &begun).get(&callback).await
}

/// Setting up a second factor takes a while, and the browser may do other things meanwhile, or be another one at last.
async fn goes_on_at_authentik(returns_to_the_first: bool) {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let behaviour = Behaviour { enrolment_logs_in: false, require_mfa: true, ..Behaviour::default() };
        app.authentik.set_behaviour(behaviour);
        let form = |password: &str| {
            json!({ "email": "acme@example.org", "username": "acme", "role": "COMPANY",
                "password": password, "password_repeat": password })
        };
        let register = async |password: &str| app.anonymous().post("/auth/register", form(password)).await;
        let answer = register("Registered-1").await;
        let given = answer.set_cookies();
        assert!(given[0].starts_with("freehunt_registration=") && given[0].contains("Max-Age=86400"), "{given:?}");
        let first = after(&app.anonymous(), &answer);
        // Somebody else signs in and out in this browser.
        let finished = come_back(app, &first, "alice").await;
        assert!(cookies_of(&finished).contains("freehunt_session="));
        let first = after(&first, &finished);
        let first = after(&first, &first.post("/auth/logout", json!({})).await);
        assert!(first.cookie.contains(given[0].split(';').next().unwrap()), "{}", first.cookie);
        // Without the right password, another browser gets nothing that finishes the registration.
        assert!(register("Another-1").await.set_cookies().is_empty());
        let second = after(&app.anonymous(), &register("Registered-1").await);
        assert!(second.cookie.starts_with("freehunt_registration="));
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 3);
        let browser = if returns_to_the_first { first } else { second };
        let session = after(&app.anonymous(), &come_back(app, &browser, "acme").await);
        assert_eq!(session.get("/auth/getme").await.expect(200)["role"], "COMPANY");
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_registration_that_goes_on_at_authentik_can_be_finished_all_day() {
    goes_on_at_authentik(true).await;
}

#[tokio::test]
async fn a_registration_that_goes_on_at_authentik_can_be_finished_in_another_browser() {
    goes_on_at_authentik(false).await;
}

/// Fault cases 5 and 6, for this way in.
#[tokio::test]
async fn an_account_that_nobody_here_has_gets_no_session() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let thief = NewUser {
            username: "thief".to_owned(),
            email: alice.email,
            password: "Thief-Password-1".to_owned(),
            skip_rules: true,
            ..NewUser::default()
        };
        app.authentik.add_user(thief).unwrap();
        let begun = app.anonymous().get("/auth/oidc/login?return_to=https://evil.example/").await;
        let browser = with_cookie(&app.anonymous(), &cookies_of(&begun));
        let callback = authorize(app, &location(&begun), "thief").await;
        assert_eq!(error_of(&browser.get(&callback).await), "unknown_account");
        assert_eq!(count(app, "SELECT count(*) FROM session WHERE origin = 'oidc'").await, 0);
        let begun = browser.get("/auth/oidc/login?return_to=//evil.example/x").await;
        let callback = authorize(app, &location(&begun), "alice").await;
        assert_eq!(location(&browser.get(&callback).await).as_str(), format!("{}/", settings::FRONTEND));
    })
    .await;
}

#[tokio::test]
async fn the_session_is_renewed_with_its_tokens_and_ends_with_the_account() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let session = sign_in(app, "alice").await;
        let token_calls = || app.authentik.controls().calls_to(Method::POST, "/application/o/token/").len();
        assert_eq!(token_calls(), 1);
        age_confirmations(app, 2.0).await;
        let confirmed =
            "SELECT count(*) FROM session WHERE origin = 'oidc' AND validated_at > now() - interval '1 minute'";
        eventually("it is confirmed", async || {
            session.get("/auth/getme").await.expect(200);
            count(app, confirmed).await == 1
        })
        .await;
        // An access token that is no longer good: the refresh token is used, and replaced.
        for _ in 0..2 {
            let refused = freehunt_sandbox::stand_in::Misbehaviour::Answer {
                status: http::StatusCode::UNAUTHORIZED,
                content_type: "application/json",
                body: "{}".to_owned(),
            };
            app.authentik.controls().misbehave("/application/o/userinfo/", 1, refused);
            let before = token_calls();
            age_confirmations(app, 2.0).await;
            eventually("it is renewed", async || {
                session.get("/auth/getme").await.expect(200);
                count(app, confirmed).await == 1 && token_calls() == before + 1
            })
            .await;
        }
        app.authentik.deactivate("alice");
        age_confirmations(app, 2.0).await;
        eventually("it has ended", async || session.get("/auth/getme").await.status == 401).await;
    })
    .await;
}

#[tokio::test]
async fn the_frontend_is_told_where_to_sign_out_of_authentik() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let session = sign_in(app, "alice").await;
        let answer = session.post("/auth/oidc/logout", json!({})).await;
        assert!(answer.set_cookies().iter().any(|cookie| cookie.starts_with("freehunt_session=;")));
        let to: Url = answer.expect(201)["to"].as_str().unwrap().parse().unwrap();
        assert!(to.path().ends_with("/end-session/"));
        assert!(to.query_pairs().any(|(name, _)| name == "id_token_hint"));
        session.get("/auth/getme").await.expect(401);
        app.anonymous().post("/auth/oidc/logout", json!({})).await.expect(201);
    })
    .await;
}

async fn notice(app: &TestApp, token: &str) -> Answer {
    let client = app.anonymous();
    let body = format!("logout_token={token}");
    let request = client.request(Method::POST, "/auth/oidc/back-channel-logout");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    client.answer(request).await
}

#[tokio::test]
async fn the_providers_log_out_ends_sessions_once() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        app.user("bob", Role::Freelance).await;
        let session = sign_in(app, "alice").await;
        let other = sign_in(app, "bob").await;
        session.get("/auth/getme").await.expect(200);
        for bad in ["x", "a.b.c", &app.authentik.access_token_for("alice")] {
            notice(app, bad).await.expect(400);
        }
        notice(app, "").await.expect(400);
        session.get("/auth/getme").await.expect(200);
        let tokens = app.authentik.logout_tokens_for("alice");
        for token in &tokens {
            notice(app, token).await.expect(200);
            notice(app, token).await.expect(400);
        }
        session.get("/auth/getme").await.expect(401);
        other.get("/auth/getme").await.expect(200);
        // Without a session id: every session of the user, however it began.
        app.authentik.end_all_sessions("alice");
        alice.get("/auth/getme").await.expect(401);
        for token in app.authentik.logout_tokens_for("alice") {
            notice(app, &token).await.expect(200);
        }
        assert_eq!(count(app, "SELECT count(*) FROM session s JOIN \"User\" u ON u.\"id\" = s.user_id WHERE u.\"username\" = 'alice' AND revoked_at IS NULL").await, 0);
    })
    .await;
}

async fn with_bearer(app: &TestApp, token: &str) -> Answer {
    let request =
        app.anonymous().request(Method::GET, "/auth/getme").header("authorization", format!("Bearer {token}"));
    app.anonymous().answer(request).await
}

#[tokio::test]
async fn a_good_bearer_token_is_its_user() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let answer = with_bearer(app, &app.authentik.access_token_for("alice")).await;
        assert!(answer.set_cookies().is_empty());
        assert_eq!(answer.expect(200)["id"], json!(alice.user_id));
        app.authentik.rotate_signing_key();
        with_bearer(app, &app.authentik.access_token_for("alice")).await.expect(200);
        let calls = app.authentik.controls().calls();
        assert!(calls.iter().all(|call| call.path.starts_with("/application/o/freehunt/")), "only discovery and keys");
    })
    .await;
}

#[tokio::test]
async fn bad_bearer_tokens_are_refused() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let good = TokenOptions::default;
        let bad = [
            TokenOptions { issuer: Some("https://evil.example/".to_owned()), ..good() },
            TokenOptions { audience: Some("other".to_owned()), ..good() },
            TokenOptions { subject: Some("0".repeat(64)), ..good() },
            TokenOptions { email: Some("other@example.org".to_owned()), ..good() },
            TokenOptions { lifetime_seconds: -300, ..good() },
            TokenOptions { without: vec!["exp"], ..good() },
            TokenOptions { without: vec!["aud"], ..good() },
            TokenOptions { signature: TokenSignature::Forged, ..good() },
            TokenOptions { signature: TokenSignature::UnknownKeyId, ..good() },
            TokenOptions { signature: TokenSignature::HmacWithPublicKey, ..good() },
            TokenOptions { signature: TokenSignature::Unsigned, ..good() },
        ];
        for options in bad {
            let answer = with_bearer(app, &app.authentik.access_token_with("alice", &options)).await;
            assert_eq!(answer.body["message"], "Unauthorized access", "{options:?}");
            answer.expect(401);
        }
        // A bad token is not made good by a cookie beside it.
        let request = alice.request(Method::GET, "/auth/getme").header("authorization", "Bearer x");
        assert_eq!(alice.answer(request).await.expect(401)["statusCode"], Value::from(401));
    })
    .await;
}

#[tokio::test]
async fn authentik_being_away_is_a_503_for_who_wants_to_sign_in() {
    TestApp::run(async |app| {
        app.authentik.controls().fail_everything();
        let answer = app.anonymous().get("/auth/oidc/login").await;
        assert!(answer.headers.contains_key("retry-after"));
        answer.expect(503);
    })
    .await;
}

/// Fault cases 13 and 15, for API clients: D5 holds for a token as for a session. Replicas whose clocks are ahead see an
/// older token.
#[tokio::test]
async fn an_older_bearer_token_is_confirmed_once_a_minute_and_reads_on_while_authentik_is_away() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let token = app.authentik.access_token_for("alice");
        let ahead = async |seconds| {
            Replica::start(app, Clock::standing_at(Clock::system().now() + TimeDelta::seconds(seconds))).await
        };
        let call = async |replica: &Replica, method: Method, path: &str, body: Option<Value>| {
            let client = app.at(&app.anonymous(), &replica.url);
            let request = client.request(method, path).header("authorization", format!("Bearer {token}"));
            client
                .answer(match body {
                    Some(body) => request.json(&body),
                    None => request,
                })
                .await
        };
        let asked = || app.authentik.controls().calls_to(Method::GET, "/application/o/userinfo/").len();
        let young = ahead(30).await;
        call(&young, Method::GET, "/auth/getme", None).await.expect(200);
        assert_eq!(asked(), 0, "the provider has just issued it");
        let older = ahead(90).await;
        for _ in 0..5 {
            call(&older, Method::GET, "/auth/getme", None).await.expect(200);
        }
        assert_eq!(asked(), 1);
        // Another process, which has asked nothing yet, while nobody answers.
        let path = format!("/users/{}", alice.user_id);
        let rename = || Some(json!({ "username": "alicia" }));
        let offline = ahead(100).await;
        offline_keys(app, &offline, &token).await;
        app.authentik.controls().misbehave(
            "/application/o/userinfo/",
            usize::MAX,
            freehunt_sandbox::stand_in::Misbehaviour::Reset,
        );
        call(&offline, Method::GET, "/auth/getme", None).await.expect(200);
        call(&offline, Method::PATCH, &path, rename()).await.expect(503);
        call(&young, Method::PATCH, &path, rename()).await.expect(200);
        app.authentik.controls().recover();
        app.authentik.deactivate("alice");
        let late = ahead(120).await;
        let before = asked();
        for _ in 0..5 {
            call(&late, Method::GET, "/auth/getme", None).await.expect(401);
        }
        assert_eq!(asked(), before + 1, "a refused token is not asked about again");
        for replica in [young, older, offline, late] {
            replica.stop().await;
        }
    })
    .await;
}

/// Lets a replica fetch the provider's keys, with a token that is refused.
async fn offline_keys(app: &TestApp, replica: &Replica, token: &str) {
    let client = app.at(&app.anonymous(), &replica.url);
    let broken = format!("Bearer {}x", token);
    client.answer(client.request(Method::GET, "/auth/getme").header("authorization", broken)).await.expect(401);
}
