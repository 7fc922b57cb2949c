//! `/auth`: forms, sessions, what happens while Authentik is away, limits, and what browsers are kept from.

mod browser;
mod forms;
mod limits;
mod outage;
mod registration;
mod sessions;
mod throttles;

use freehunt_api::serve;
use freehunt_config::{ApiConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_tests::{Answer, Persona, TestApp, settings};
use http::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use sessions::LISTENERS_ENDED;

pub async fn log_in(app: &TestApp, identifier: &str, password: &str) -> Answer {
    app.anonymous().post("/auth/login", json!({ "email": identifier, "password": password })).await
}

/// Signs in through the form, as somebody whom [`TestApp::user`] made.
pub async fn signed_in(app: &TestApp, persona: &Persona) -> Persona {
    let answer = log_in(app, &persona.email, settings::PASSWORD).await;
    let cookie = cookies_of(&answer);
    assert_eq!(answer.expect(201)["success"], true);
    with_cookie(persona, &cookie)
}

pub fn with_cookie(persona: &Persona, cookie: &str) -> Persona {
    let mut persona = persona.clone();
    cookie.clone_into(&mut persona.cookie);
    persona
}

/// The cookies an answer sets, as a browser sends them back to the API.
pub fn cookies_of(answer: &Answer) -> String {
    let pairs: Vec<String> = answer
        .set_cookies()
        .iter()
        .filter(|cookie| !cookie.contains("Path=/socket.io/"))
        .filter_map(|cookie| cookie.split(';').next())
        .filter(|pair| !pair.ends_with('='))
        .map(str::to_owned)
        .collect();
    pairs.join("; ")
}

/// Calls to Authentik that ask whose a session is.
pub fn who_is_calls(app: &TestApp) -> usize {
    app.authentik.controls().calls_to(Method::GET, "/api/v3/core/users/me/").len()
}

pub async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.pool).await.expect("the rows can be counted")
}

/// Makes Authentik's last word on every session `minutes` old, on every replica.
pub async fn age_confirmations(app: &TestApp, minutes: f64) {
    sqlx::query("UPDATE session SET validated_at = now() - $1 * interval '1 minute'")
        .bind(minutes)
        .execute(&app.pool)
        .await
        .expect("the sessions can be aged");
    sqlx::query("SELECT pg_notify('freehunt_sessions', id::text) FROM session")
        .execute(&app.pool)
        .await
        .expect("heard");
}

pub fn failed(errors: Value) -> Value {
    json!({ "success": false, "cookies": [], "response": {
        "component": "ak-stage-identification", "response_errors": errors,
    }})
}

/// Another API process over the same database and the same Authentik.
pub struct Replica {
    pub url: String,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    pub async fn start(app: &TestApp, clock: Clock) -> Self {
        Self::start_with(app, clock, &[]).await
    }

    /// With other settings.
    pub async fn start_with(app: &TestApp, clock: Clock, settings: &[(&str, &str)]) -> Self {
        let mut values = app.settings().clone();
        values.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let source = Source::from_map(values, std::path::Path::new("/nonexistent"));
        let config = ApiConfig::load(&source).unwrap_or_else(|problems| panic!("{problems}"));
        let server = freehunt_api::build(config, clock).expect("the server can be built");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve::serve(server, listener, stop.clone()));
        Self { url, stop, task }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("it ends well");
    }
}
