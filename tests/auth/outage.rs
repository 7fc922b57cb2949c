//! Authentik is away: who still gets in, and what they may do.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, eventually};
use http::StatusCode;
use serde_json::json;

use super::{age_confirmations, log_in, signed_in};

const ME: &str = "/api/v3/core/users/me/";

/// Fault case 14.
#[tokio::test]
async fn unusable_answers_are_a_503_and_not_a_refusal() {
    TestApp::run(async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        let answer =
            |status, content_type, body: &str| Misbehaviour::Answer { status, content_type, body: body.to_owned() };
        let faults = [
            answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}"),
            answer(StatusCode::OK, "text/html", "<html>starting</html>"),
            Misbehaviour::Reset,
        ];
        for fault in faults {
            app.authentik.controls().misbehave(ME, 1, fault);
            let refused = alice.get("/auth/getme").await;
            assert!(refused.headers.contains_key("retry-after"));
            assert!(!refused.text.contains("uthentik"), "{}", refused.text);
            refused.expect(503);
        }
        app.authentik.controls().recover();
        eventually("the circuit is closed", async || alice.get("/auth/getme").await.status == 200).await;
    })
    .await;
}

/// Fault cases 14 and 16.
#[tokio::test]
async fn a_hanging_authentik_costs_three_seconds_at_most_and_nothing_else() {
    TestApp::run(async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        app.authentik.controls().misbehave("/", usize::MAX, Misbehaviour::Hang(Duration::from_secs(30)));
        let since = Instant::now();
        let answers = futures_util::future::join_all((0..10).map(|_| alice.get("/auth/getme"))).await;
        assert!(answers.iter().all(|answer| answer.status == 503));
        assert!(since.elapsed() < Duration::from_millis(3_500), "{:?}", since.elapsed());
        app.anonymous().get("/skills").await.expect(200);
        app.anonymous().get("/health/ready").await.expect(200);
        app.authentik.controls().recover();
    })
    .await;
}

/// Fault case 15.
#[tokio::test]
async fn sessions_confirmed_lately_still_read_but_change_nothing_of_weight() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        app.authentik.controls().fail_everything();
        let rename = async || alice.patch(&format!("/users/{}", alice.user_id), json!({ "username": "alicia" })).await;
        age_confirmations(app, 10.0).await;
        eventually("the session is unconfirmed", async || rename().await.status == 503).await;
        alice.get("/auth/getme").await.expect(200);
        age_confirmations(app, 20.0).await;
        eventually("the grace is over", async || alice.get("/auth/getme").await.status == 503).await;
        log_in(app, "alice", "whatever").await.expect(503);
        app.authentik.controls().recover();
        eventually("the session is confirmed again", async || alice.get("/auth/getme").await.status == 200).await;
        rename().await.expect(200);
    })
    .await;
}
