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

/// Fault case 16: what is public stays public to somebody whose session cannot be checked; what may be theirs alone is
/// not said to be missing.
#[tokio::test]
async fn public_pages_are_read_on_and_private_ones_are_not_denied() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let published = app.published_posting(&acme, &[50_000]).await;
        let unpaid = app.unpaid_posting(&acme, &[50_000]).await;
        let checkpoint = app.checkpoint_ids(unpaid).await[0];
        let alice = app.freelance("alice").await;
        // A browser of the running original, whose cookie was never seen here.
        let cookie = format!("authentik_session={}", app.authentik.session_for("acme"));
        let browser = super::with_cookie(&acme, &cookie);
        app.authentik.controls().fail_everything();
        let public = app.anonymous().get(&format!("/job-postings/{published}")).await.expect(200);
        assert_eq!(browser.get(&format!("/job-postings/{published}")).await.expect(200), public);
        for path in [format!("/companies/{}", acme.company_id()), format!("/freelances/{}", alice.freelance_id())] {
            let public = app.anonymous().get(&path).await.expect(200);
            assert_eq!(browser.get(&path).await.expect(200), public, "{path}");
        }
        browser.post("/job-postings/search", json!({ "take": 5 })).await.expect(200);
        browser.post("/freelances/search", json!({ "take": 5 })).await.expect(200);
        let checkpoints = format!("/checkpoints/job-posting/{unpaid}");
        for path in [format!("/job-postings/{unpaid}"), format!("/checkpoints/{checkpoint}"), checkpoints] {
            app.anonymous().get(&path).await.expect(404);
            let unchecked = browser.get(&path).await;
            assert!(unchecked.headers.contains_key("retry-after"), "{path}");
            unchecked.expect(503);
        }
        // Nobody is told to be signed out.
        browser.get("/auth/getme").await.expect(503);
        app.authentik.controls().recover();
        let own = format!("/job-postings/{unpaid}");
        eventually("the circuit is closed", async || browser.get(&own).await.status == 200).await;
        // A cookie that is nobody's is nobody.
        let nobody = super::with_cookie(&acme, "authentik_session=nobody");
        nobody.get(&own).await.expect(404);
        nobody.get(&format!("/job-postings/{published}")).await.expect(200);
    })
    .await;
}
