//! Nothing secret comes out, in logs, in refusals or in numbers: fault cases 158 to 161.
//!
//! The harness holds the log lines and refusals of every test against the same rules. Here everything is done once with
//! canaries in it, also what seldom happens, and with the log at the level that an operator turns on to look for a fault.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use freehunt_domain::users::Role;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Persona, TestApp, TestOptions, eventually, logs, settings};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    auth::{cookies_of, log_in, with_cookie},
    authorization::{Body, multipart_picture, rows},
    world::{Names, World},
};

/// In everything that is somebody's secret or somebody's own words.
const CANARY: &str = "c4n4ry-7f3a9b1e5d";
const CANARY_PASSWORD: &str = "Pw-c4n4ry-7f3a9b1e5d";

/// What an operator would turn on; the stand-ins are no part of the servers.
const LEVEL: &str = "debug,s3s=off,s3s_fs=off";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn fault_cases_158_and_159_canaries_come_out_nowhere() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::registry()
        .with(freehunt_serving::logging::filter(LEVEL))
        .with(freehunt_serving::logging::json_lines(move || writer.clone()));
    // The servers of this test run on this thread.
    let _logging = tracing::subscriber::set_default(log);
    logs::watch(CANARY);
    logs::watch(CANARY_PASSWORD);
    TestApp::run(async |app| {
        let world = World::build(app).await;
        everything(app, &world).await;
        forms(app).await;
        open_id_connect(app).await;
        odd_requests(app, &world).await;
        chat(app, &world).await;
        providers_fail(app, &world).await;
        the_database_fails(app, &world).await;
        let owners = ["alice", "acme", "bob"].map(|name| world.persona(name));
        let tokens = owners.map(|persona| persona.cookie.split_once('=').unwrap().1.to_owned());
        let said = lines.all();
        assert!(said.len() > 300, "only {} lines: was anything logged?", said.len());
        for line in &said {
            if let Some(found) = logs::problem(line) {
                panic!("{found}: {line}");
            }
            let told = tokens.iter().map(String::as_str).chain([CANARY]).find(|secret| line.contains(secret));
            assert_eq!(told, None, "{line}");
        }
        // What an operator needs is there all the same.
        assert!(said.iter().any(|line| line.contains("request failed") && line.contains("\"route\":\"/projects\"")));
    })
    .await;
}

/// Every operation once, as somebody who may.
async fn everything(app: &TestApp, world: &World) {
    for row in rows().into_iter().filter(|row| !row.path.contains("logout")) {
        let mut fresh = Names::new();
        let path = world.fill(app, &mut fresh, &row.path).await;
        let persona = world.persona(&row.cells[4].0);
        let request = persona.request(row.method.parse().unwrap(), &path);
        persona
            .answer(match &row.body {
                Body::Nothing => request,
                Body::Json(body) => request.json(&world.fill_json(app, &mut fresh, body).await),
                Body::Picture => {
                    request.header("content-type", "multipart/form-data; boundary=picture").body(multipart_picture())
                }
            })
            .await;
    }
}

async fn forms(app: &TestApp) {
    let email = format!("{CANARY}@example.org");
    let form = |email: &str, username: &str| {
        json!({ "email": email, "username": username, "password": CANARY_PASSWORD, "password_repeat": CANARY_PASSWORD,
            "role": "COMPANY" })
    };
    let begun = app.anonymous().post("/auth/register", form(&email, "newcomer")).await;
    let session = with_cookie(&app.anonymous(), &cookies_of(&begun));
    begun.expect(201);
    app.anonymous().post("/auth/register", form(&email, "other")).await.expect(201);
    app.anonymous().post("/auth/register", form("no address", CANARY)).await.expect(201);
    app.anonymous().post("/auth/register", form("x@example.org", "a\n{\"level\":\"ERROR\"}\u{1b}[31m")).await;
    log_in(app, &email, CANARY_PASSWORD).await.expect(201);
    log_in(app, &email, &format!("{CANARY_PASSWORD}-wrong")).await.expect(201);
    log_in(app, &format!("nobody-{CANARY}@example.org"), CANARY).await.expect(201);
    session.get("/auth/getme").await.expect(200);
    session.get(&format!("/users/email/{email}")).await.expect(200);
    session.get(&format!("/users/email/other-{email}")).await.expect(404);
    session.post("/auth/logout", json!({})).await.expect(201);
    for cookie in [format!("freehunt_session={CANARY}"), format!("authentik_session={CANARY}")] {
        with_cookie(&app.anonymous(), &cookie).get("/auth/getme").await.expect(401);
    }
}

async fn open_id_connect(app: &TestApp) {
    let begun = app.anonymous().get(&format!("/auth/oidc/login?return_to=/x?{CANARY}")).await;
    let browser = with_cookie(&app.anonymous(), &cookies_of(&begun));
    let location: url::Url = begun.headers["location"].to_str().unwrap().parse().unwrap();
    let state = location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    logs::watch(&state);
    browser.get(&format!("/auth/oidc/callback?code={CANARY}&state={state}")).await;
    browser.get(&format!("/auth/oidc/callback?error={CANARY}&state={CANARY}")).await;
    for token in [format!("{CANARY}.{CANARY}.{CANARY}"), app.authentik.access_token_for("alice")] {
        let request = app.anonymous().request(Method::GET, "/auth/getme");
        app.anonymous().answer(request.header("authorization", format!("Bearer {token}"))).await;
        let request = app.anonymous().request(Method::POST, "/auth/oidc/back-channel-logout");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        app.anonymous().answer(request.body(format!("logout_token={token}"))).await.expect(400);
    }
}

async fn odd_requests(app: &TestApp, world: &World) {
    let alice = world.persona("alice");
    alice.get(&format!("/nowhere/{CANARY}?token={CANARY}")).await.expect(404);
    for (name, value) in
        [("x-request-id", CANARY), ("x-forwarded-for", CANARY), ("referer", CANARY), ("user-agent", CANARY)]
    {
        alice.answer(alice.request(Method::GET, "/skills").header(name, value)).await.expect(200);
    }
    let broken = alice.request(Method::POST, "/skills").header("content-type", "application/json");
    alice.answer(broken.body(format!("{{\"name\": \"{CANARY}\""))).await.expect(400);
    let forged =
        app.anonymous().request(Method::POST, "/stripe/webhook").header("stripe-signature", format!("t=1,v1={CANARY}"));
    app.anonymous().answer(forged.body(format!("{{\"id\":\"{CANARY}\"}}"))).await.expect(400);
    let name = format!("form-data; name=\"file\"; filename=\"{CANARY}.png\"");
    let body = format!(
        "--picture\r\ncontent-disposition: {name}\r\ncontent-type: image/png\r\n\r\n{CANARY}\r\n--picture--\r\n"
    );
    let upload = alice.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=picture");
    alice.answer(upload.body(body)).await;
}

async fn chat(app: &TestApp, world: &World) {
    let server = app.chat_server().await;
    let (alice, acme) = (world.persona("alice"), world.persona("acme"));
    let (own, partner) = (alice.chat(&server).await, acme.chat(&server).await);
    let text = format!("my number is {CANARY}\n\u{1b}[31m");
    let message = json!({ "content": text, "conversationId": world.get("cv1"), "senderId": alice.user_id,
        "receiverId": acme.user_id });
    let sent = alice.post("/messages", message).await.expect(201);
    partner.wait_for("newMessage", 1).await;
    own.emit("newMessage", json!({ "message": sent }));
    own.emit("joinRoom", json!({ "roomId": CANARY }));
    own.emit(CANARY, json!({ "x": CANARY }));
    own.emit("typing", json!({ "conversationId": CANARY, "isTyping": true }));
    own.settle().await;
    let stranger = Persona { cookie: format!("freehunt_socket={CANARY}"), ..app.anonymous() };
    assert!(stranger.try_chat(&server).await.is_err());
}

/// Whatever a provider says when it fails stays here. Stripe's own sentence is logged for the operator, without the keys
/// and addresses in it.
async fn providers_fail(app: &TestApp, world: &World) {
    let sentence = format!("sk_test_{CANARY} may not write to {CANARY}@example.org");
    let body = format!("{{\"error\":{{\"message\":\"{sentence}\",\"type\":\"api_error\"}},\"detail\":\"{CANARY}\"}}");
    let failing = |status, content_type| Misbehaviour::Answer { status, content_type, body: body.clone() };
    let acme = world.persona("acme");
    let checkout = async || {
        let posting = app.unpaid_posting(acme, &[50_000]).await;
        let urls =
            json!({ "successUrl": settings::FRONTEND, "cancelUrl": settings::FRONTEND, "customerEmail": acme.email });
        acme.post(&format!("/job-postings/{posting}/create-payment"), urls).await
    };
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST] {
        app.stripe.controls().misbehave("/v1/checkout/sessions", 20, failing(status, "application/json"));
        assert!(checkout().await.status >= 400);
        app.stripe.controls().recover();
    }
    let cookie = format!("authentik_session={}", app.authentik.session_for("bob"));
    logs::watch(&cookie);
    let page = format!("<html>{CANARY}</html>");
    for (status, content_type, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "application/json", &body),
        (StatusCode::OK, "text/html", &page),
        (StatusCode::FORBIDDEN, "text/html", &page),
    ] {
        let fault = Misbehaviour::Answer { status, content_type, body: body.clone() };
        app.authentik.controls().misbehave("/", usize::MAX, fault);
        with_cookie(&app.anonymous(), &cookie).get("/auth/getme").await.expect(503);
        log_in(app, "alice", CANARY_PASSWORD).await.expect(503);
        app.anonymous().get("/auth/oidc/login").await;
        app.authentik.controls().recover();
    }
    app.s3.controls().misbehave("/", usize::MAX, failing(StatusCode::INTERNAL_SERVER_ERROR, "application/xml"));
    let alice = world.persona("alice");
    let upload = alice.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=picture");
    alice.answer(upload.body(multipart_picture())).await;
    app.s3.controls().recover();
}

async fn the_database_fails(app: &TestApp, world: &World) {
    let run = async |sql: &'static str| sqlx::query(sql).execute(&app.pool).await.unwrap();
    run(r#"ALTER TABLE "Project" RENAME TO "Undertaking""#).await;
    let answer = world.persona("alice").get("/projects").await;
    assert_eq!(
        answer.body,
        json!({ "message": "Internal server error", "error": "Internal Server Error", "statusCode": 500 })
    );
    run(r#"ALTER TABLE "Undertaking" RENAME TO "Project""#).await;
    world.persona("alice").get("/projects").await.expect(200);
}

/// Fault case 159: what a failure is made of is never in its answer, whatever it is made of.
#[tokio::test]
async fn fault_case_159_failures_have_one_sentence() {
    let nowhere = TestOptions::default()
        .with("DATABASE_URL", format!("postgres://{CANARY}:{CANARY}@127.0.0.1:1/nowhere"))
        .with("DATABASE_ACQUIRE_TIMEOUT_MS", "200");
    TestApp::run_with(nowhere, async |app| {
        logs::watch(CANARY);
        for path in ["/skills", "/users", "/auth/getme", "/job-postings/00000000-0000-4000-8000-000000000000"] {
            let cookie = freehunt_domain::sessions::Token::random().unwrap();
            let somebody = with_cookie(&app.anonymous(), &format!("freehunt_session={}", cookie.as_str()));
            let expected = json!({ "message": "Service temporarily unavailable, try again later",
                "error": "Service Unavailable", "statusCode": 503 });
            assert_eq!(somebody.get(path).await.body, expected, "{path}");
        }
    })
    .await;
}

/// Fault case 160: health says one word, and numbers are not among the routes.
#[tokio::test]
async fn fault_case_160_health_and_numbers_tell_nothing() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let server = app.chat_server().await;
        let chat = |path: &str| format!("{}{path}", server.url);
        for persona in [&app.anonymous(), &alice] {
            for path in ["/health", "/health/live", "/health/ready", "/health/started"] {
                let answer = persona.get(path).await;
                assert_eq!((answer.status, answer.text.as_str()), (200, "OK"), "{path}");
            }
            for path in ["/metrics", "/metrics/", "/health/metrics", "/debug", "/env"] {
                persona.get(path).await.expect(404);
            }
        }
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for path in ["/health", "/health/live", "/health/ready", "/health/started"] {
            let answer = client.get(chat(path)).send().await.unwrap().text().await.unwrap();
            assert!(["OK", ""].contains(&answer.as_str()), "{path} {answer}");
        }
        assert_eq!(client.get(chat("/metrics")).send().await.unwrap().status(), 404);
    })
    .await;
}

/// Fault case 160: what is counted has names that are known beforehand, never what somebody sent.
#[tokio::test]
async fn fault_case_160_numbers_are_labelled_by_fixed_names() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    TestApp::run(async |app| {
        let world = World::build(app).await;
        forms(app).await;
        chat(app, &world).await;
        world.persona("alice").get(&format!("/nowhere/{CANARY}")).await.expect(404);
        let rendered = handle.render();
        assert!(rendered.contains("freehunt_sessions_begun_total"), "{rendered}");
        assert!(!rendered.contains(CANARY) && !rendered.contains('@'), "{rendered}");
        let uuid = |text: &str| text.split(['"', ' ', '/']).any(|word| uuid::Uuid::try_parse(word).is_ok());
        assert!(!rendered.lines().any(uuid), "{rendered}");
    })
    .await;
}

/// Fault case 161, through the front door: every line that a hostile text causes stays one JSON object. The formatter has
/// its own test.
#[tokio::test]
async fn fault_case_161_hostile_texts_stay_in_their_line() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::registry()
        .with(freehunt_serving::logging::filter(LEVEL))
        .with(freehunt_serving::logging::json_lines(move || writer.clone()));
    let _logging = tracing::subscriber::set_default(log);
    TestApp::run(async |app| {
        let hostile = "x\r\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"forged\"}}\u{1b}[2J";
        let alice = app.freelance("alice").await;
        let path = format!("/users/{}", alice.user_id);
        alice.patch(&path, json!({ "username": hostile })).await;
        alice.get("/nowhere/%0d%0a%7B%22level%22%3A%22ERROR%22%7D").await.expect(404);
        alice.post("/skills", json!({ "name": hostile, "aliases": [hostile], "type": "SOFT" })).await;
        alice.post("/skills", json!({ hostile: Value::Null })).await.expect(400);
        app.stripe.controls().misbehave("/v1/", 5, Misbehaviour::Slow(Duration::from_millis(1)));
        log_in(app, hostile, hostile).await.expect(201);
        eventually("something was logged", async || !lines.all().is_empty()).await;
        for line in lines.all() {
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            assert_ne!(parsed["fields"]["message"], "forged");
        }
    })
    .await;
}
