//! The numbers for Prometheus: what they count, and that they reveal nothing.

use std::{
    net::SocketAddr,
    sync::{LazyLock, Mutex, PoisonError},
};

use freehunt_api::{metrics, state::AppState};
use freehunt_serving::metrics::Recorder;
use freehunt_stripe::webhook;
use freehunt_tests::{TestApp, settings};

use crate::money::{create_payment, send_signed};

/// One for the process, so that a number belongs to all tests: it only ever grows.
static RECORDER: LazyLock<Recorder> = LazyLock::new(|| Recorder::install().expect("nothing else records"));

/// Held by whoever takes samples and reads them: between two gauges of one sample, another test's would be read.
static SAMPLING: Mutex<()> = Mutex::new(());

/// The sum of a metric's lines that have all of `labels`.
fn value(metric: &str, labels: &[&str]) -> f64 {
    value_in(&RECORDER.render(), metric, labels)
}

fn value_in(text: &str, metric: &str, labels: &[&str]) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(metric) && labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Everything recorded, this server's samples included.
fn sampled(state: &AppState) -> String {
    let _alone = SAMPLING.lock().unwrap_or_else(PoisonError::into_inner);
    metrics::sample(state);
    RECORDER.render()
}

/// Fault case 155: to a clock that is six minutes ahead every event is six minutes old.
#[tokio::test]
async fn webhooks_rejected_for_the_clock_are_counted_as_such() {
    TestApp::run(async |app| {
        let rejected = || value("freehunt_webhooks_rejected_total", &[r#"reason="time""#]);
        let before = rejected();
        let body = r#"{"id":"evt_1","object":"event","type":"customer.created","data":{"object":{}}}"#;
        let then = app.state.clock.now().timestamp() - 6 * 60;
        let signature = webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, then);
        send_signed(app, body, &signature).await.expect(400);
        assert!(rejected() > before, "{}", RECORDER.render());
    })
    .await;
}

/// An alert on an increase sees the first one only when there was a 0 before.
#[tokio::test]
async fn what_an_alert_asks_for_has_a_number_before_anything_happens() {
    LazyLock::force(&RECORDER);
    metrics::describe();
    let text = RECORDER.render();
    for metric in [
        "freehunt_log_ins_refused_total ",
        "freehunt_payments_quarantined_total ",
        "freehunt_panics_total ",
        "freehunt_events_without_webhook_total ",
        "freehunt_fanout_failures_total ",
        r#"freehunt_webhooks_rejected_total{reason="no_match"} "#,
        r#"freehunt_webhooks_rejected_total{reason="time"} "#,
        r#"freehunt_webhooks_rejected_total{reason="mode"} "#,
    ] {
        assert!(text.lines().any(|line| line.starts_with(metric)), "{metric}is missing:\n{text}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_their_routes() {
    TestApp::run(async |app| {
        LazyLock::force(&RECORDER);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let labels = [r#"method="GET""#, r#"route="/job-postings/{id}""#, r#"status="200""#];
        let before = value("freehunt_http_requests_total", &labels);
        acme.get(&format!("/job-postings/{posting}")).await.expect(200);
        app.anonymous().get("/no/such/route").await.expect(404);
        assert!(value("freehunt_http_requests_total", &labels) > before);
        assert!(value("freehunt_http_request_duration_seconds_count", &labels[..2]) >= 1.0);
        assert!(value("freehunt_http_requests_total", &[r#"route="unmatched""#, r#"status="404""#]) >= 1.0);
        assert!(!RECORDER.render().contains(&posting.to_string()));
    })
    .await;
}

#[tokio::test]
async fn the_pool_the_sessions_the_jobs_and_the_calls_outside_are_counted() {
    TestApp::run(async |app| {
        LazyLock::force(&RECORDER);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        create_payment(&acme, posting).await.expect(201);
        app.anonymous().get(&format!("/job-postings/{posting}")).await.expect(404);
        app.state.storage.check().await.unwrap();
        app.state.authentik.check().await.unwrap();
        for service in ["stripe", "s3", "authentik"] {
            let labels = [format!("service=\"{service}\""), "outcome=\"answered\"".to_owned()];
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            assert!(value("freehunt_outbound_duration_seconds_count", &labels) >= 1.0, "{service}");
        }
        app.state.jobs.sweep().await.unwrap();
        let text = sampled(&app.state);
        for metric in
            ["freehunt_jobs_ready", "freehunt_jobs_dead", "freehunt_intents_stuck", "freehunt_sessions_cached"]
        {
            assert!(text.lines().any(|line| line.starts_with(&format!("{metric} "))), "{metric} is missing");
        }
        for metric in [
            "freehunt_database_connections{",
            "freehunt_database_connections_limit",
            "freehunt_session_lookups_total",
            "freehunt_answer_lookups_total",
        ] {
            assert!(value_in(&text, metric, &[]) >= 1.0, "{metric} in {text}");
        }
    })
    .await;
}

/// Fault case 160.
#[tokio::test]
async fn numbers_and_health_reveal_nothing_and_are_not_served_to_the_public() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let state = app.state.clone();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sample = move || {
            let _alone = SAMPLING.lock().unwrap_or_else(PoisonError::into_inner);
            metrics::sample(&state);
        };
        let address = RECORDER.clone().serve(anywhere, sample).await.unwrap();
        acme.get("/auth/getme").await.expect(200);
        acme.get(&format!("/users/{}?email={}", acme.user_id, acme.email)).await;
        let numbers = app.anonymous().client.get(format!("http://{address}/metrics")).send().await.unwrap();
        let numbers = numbers.text().await.unwrap();
        assert!(numbers.contains("freehunt_http_requests_total{"), "{numbers}");
        let token = acme.cookie.split('=').nth(1).unwrap();
        let secrets = app.settings().iter().filter(|(name, _)| name.contains("SECRET") || name.contains("KEY"));
        let mut private: Vec<&str> = secrets.map(|(_, value)| value.as_str()).collect();
        private.extend([token, acme.email.as_str(), app.settings()["DATABASE_URL"].as_str()]);
        for text in private {
            assert!(!numbers.contains(text), "{text} is among the numbers");
        }
        let chat = app.chat_server().await;
        for url in [&app.url, &chat.url] {
            let outsider = app.at(&app.anonymous(), url);
            outsider.get("/metrics").await.expect(404);
            for path in ["/health", "/health/live", "/health/ready", "/health/started"] {
                assert_eq!(outsider.get(path).await.text, "OK", "{url}{path}");
            }
        }
    })
    .await;
}
