//! A replica is killed at each point between the decision, the call and its booking: before Stripe has done the work, while
//! Stripe does it, and when it is done and not answered yet. Another one finishes, once.

use std::time::Duration;

use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, TestOptions, eventually};
use http::Method;
use serde_json::json;

use super::{hurry, replica::Replicas};
use crate::money::{books_agree, checkout_body, execute, jobs_are_done, value};

const SESSIONS: &str = "/v1/checkout/sessions";
const TRANSFERS: &str = "/v1/transfers";
const REFUNDS: &str = "/v1/refunds";
/// Longer than the replica lives.
const FOREVER: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Point {
    /// The call is there, and nothing comes of it.
    NothingDone,
    /// Stripe does the work after the caller's death.
    WorkUnderWay,
    /// The work is done, and its answer on the way.
    WorkDone,
}

const POINTS: [Point; 3] = [Point::NothingDone, Point::WorkUnderWay, Point::WorkDone];

/// Sends `request` to the replica, kills that when the call for `path` has come to `point`, and lets the others go on.
async fn killed_at(
    app: &TestApp,
    replicas: &Replicas,
    path: &str,
    point: Point,
    request: reqwest::RequestBuilder,
    made: impl Fn() -> usize,
) {
    // Nobody else is on the way to that path.
    app.stripe.wait_until_delivered().await;
    jobs_are_done(app).await;
    let before = made();
    app.stripe.controls().forget_calls();
    let controls = app.stripe.controls();
    let gate = match point {
        Point::NothingDone => {
            controls.misbehave_on(Method::POST, path, 1, Misbehaviour::Hang(FOREVER));
            None
        }
        Point::WorkUnderWay => Some(app.stripe.hold(path)),
        Point::WorkDone => {
            controls.misbehave_on(Method::POST, path, 1, Misbehaviour::Slow(FOREVER));
            None
        }
    };
    let asking = tokio::spawn(request.send());
    match gate {
        Some(gate) => {
            gate.reached(1).await;
            replicas.kill(0).await;
            gate.release();
        }
        None => {
            let waits_for_work = matches!(point, Point::WorkDone);
            eventually("the call arrives", async || {
                let arrived = !controls.calls_to(Method::POST, path).is_empty();
                arrived && (!waits_for_work || made() == before + 1)
            })
            .await;
            replicas.kill(0).await;
        }
    }
    if !matches!(point, Point::NothingDone) {
        eventually("the work is done", async || made() == before + 1).await;
    }
    asking.abort();
    app.stripe.controls().recover();
    execute(app, "UPDATE job SET leased_until = NULL WHERE state = 'READY'").await;
    hurry(app).await;
}

fn options() -> TestOptions {
    TestOptions::default().with("STRIPE_TIMEOUT_MS", "1500")
}

/// Fault case 102.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_102_a_kill_while_a_page_is_made() {
    TestApp::run_with(options(), async |app| {
        let replicas = Replicas::start(app, 1).await;
        replicas.is_serving(0).await;
        let acme = app.company("acme").await;
        for point in POINTS {
            let posting = app.unpaid_posting(&acme, &[10_000]).await;
            let path = format!("/job-postings/{posting}/create-payment");
            let at_replica = app.at(&acme, replicas.url(0));
            let request = at_replica.request(Method::POST, &path).json(&checkout_body(&acme, posting));
            let name = posting.to_string();
            let made = || app.stripe.books().sessions_of_posting(&name).len();
            killed_at(app, &replicas, SESSIONS, point, request, made).await;
            acme.post(&path, checkout_body(&acme, posting)).await.expect(201);
            assert_eq!(made(), 1, "{point:?}");
        }
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Fault case 113.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_113_a_kill_while_a_checkpoint_is_paid() {
    TestApp::run_with(options(), async |app| {
        let replicas = Replicas::start(app, 1).await;
        replicas.is_serving(0).await;
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.published_posting(&acme, &[10_000, 20_000, 30_000]).await;
        app.accepted_project(posting, &alice, &acme).await;
        for (point, checkpoint) in POINTS.into_iter().zip(app.checkpoint_ids(posting).await) {
            let request = app.at(&acme, replicas.url(0)).request(Method::PUT, &format!("/checkpoints/{checkpoint}"));
            let name = checkpoint.to_string();
            let made = || app.stripe.books().transfers_of_checkpoint(&name).len();
            killed_at(app, &replicas, TRANSFERS, point, request.json(&json!({ "status": "DONE" })), made).await;
            let status = r#"SELECT "status"::text FROM "Checkpoint" WHERE "id" = $1"#;
            eventually("another replica finishes", async || {
                app.state.jobs.wake();
                value(app, status, checkpoint).await.as_deref() == Some("DONE")
            })
            .await;
            assert_eq!(made(), 1, "{point:?}");
        }
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Fault case 122.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_122_a_kill_while_a_payment_goes_back() {
    TestApp::run_with(options(), async |app| {
        let replicas = Replicas::start(app, 1).await;
        replicas.is_serving(0).await;
        let acme = app.company("acme").await;
        for (number, point) in POINTS.into_iter().enumerate() {
            let posting = app.published_posting(&acme, &[10_000]).await;
            let path = format!("/job-postings/{posting}/cancel");
            let request = app.at(&acme, replicas.url(0)).request(Method::POST, &path).json(&json!({ "reason": "x" }));
            let made = || app.stripe.books().refunds.len();
            killed_at(app, &replicas, REFUNDS, point, request, made).await;
            let refund = r#"SELECT "stripeRefundId" FROM "JobPosting" WHERE "id" = $1"#;
            eventually("another replica finishes", async || {
                app.state.jobs.wake();
                value(app, refund, posting.0).await.is_some()
            })
            .await;
            assert_eq!(made(), number + 1, "{point:?}");
        }
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}
