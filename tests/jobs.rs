//! Durable jobs: leases, giving up, and what an operator sees.

use std::time::Duration;

use freehunt_domain::{
    ids::JobId,
    jobs::{Job, enqueue},
};
use freehunt_jobs::{AttemptOutcome, operator};
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, eventually};
use serde_json::json;
use uuid::Uuid;

use crate::money::{books_agree, cancel, execute, jobs_are_done, open_session, status_becomes};

async fn state(app: &TestApp, id: JobId) -> String {
    sqlx::query_scalar("SELECT state FROM job WHERE id = $1")
        .bind(id.0)
        .fetch_one(&app.pool)
        .await
        .expect("the job is there")
}

/// Fault case 150: a lease, and the second until somebody looks, are over after 30 seconds.
#[tokio::test]
async fn fault_case_150_a_lease_ends_in_time() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let gate = app.stripe.hold("/v1/checkout/sessions");
        let look = async {
            gate.reached(1).await;
            // Whoever runs it could die now.
            let left: f64 = sqlx::query_scalar(
                "SELECT extract(epoch FROM leased_until - now())::float8 FROM job WHERE leased_until IS NOT NULL",
            )
            .fetch_one(&app.pool)
            .await
            .unwrap();
            gate.release();
            left
        };
        let (opened, left) = tokio::join!(crate::money::create_payment(&acme, posting), look);
        opened.expect(201);
        assert!((15.0..=28.0).contains(&left), "{left} seconds are left of the lease");
    })
    .await;
}

/// Fault case 150: when the lease is over, another replica takes the job.
#[tokio::test]
async fn fault_case_150_the_job_of_a_dead_replica_is_taken_over() {
    TestApp::run(async |app| {
        let mut transaction = app.pool.begin().await.unwrap();
        let id = enqueue(&mut transaction, &Job::ProcessStripeEvent { event_id: "evt_gone".to_owned() }).await.unwrap();
        sqlx::query("UPDATE job SET leased_until = now() + interval '30 seconds', attempts = 1 WHERE id = $1")
            .bind(id.0)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        // While the lease holds nobody else runs it.
        assert_eq!(app.state.jobs.attempt(id, Duration::from_millis(100)).await, AttemptOutcome::Pending);
        assert_eq!(state(app, id).await, "READY");
        execute(app, "UPDATE job SET leased_until = now() - interval '1 second'").await;
        app.state.jobs.wake();
        eventually("the job is taken over", async || state(app, id).await == "DONE").await;
    })
    .await;
}

/// Whoever waits for a job that somebody else runs gets the same answer.
#[tokio::test]
async fn one_job_is_run_once_for_all_who_wait() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let gate = app.stripe.hold("/v1/checkout/sessions");
        let asking = async { crate::money::create_payment(&acme, posting).await };
        let (one, two, ()) = tokio::join!(asking, crate::money::create_payment(&acme, posting), async {
            gate.reached(1).await;
            gate.release();
        });
        assert_eq!(one.expect(201), two.expect(201));
        assert_eq!(app.stripe.books().sessions.len(), 1);
    })
    .await;
}

/// Work whose job got lost is found again.
#[tokio::test]
async fn stranded_work_is_found_again() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.controls().misbehave("/v1/refunds", usize::MAX, Misbehaviour::Reset);
        cancel(&acme, posting).await.expect(201);
        execute(app, "DELETE FROM job WHERE state = 'READY'").await;
        execute(app, "UPDATE refund_intent SET updated_at = now() - interval '16 seconds'").await;
        app.stripe.controls().recover();
        assert!(app.state.jobs.sweep().await.unwrap() >= 1);
        eventually("the refund is made", async || app.stripe.books().refunds.len() == 1).await;
        jobs_are_done(app).await;

        app.stripe.webhooks_enabled(false);
        let unpaid = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&open_session(&acme, unpaid).await).unwrap();
        let event = app.stripe.events_of("checkout.session.completed").pop().unwrap();
        sqlx::query(
            "INSERT INTO stripe_event (id, type, created_at, live_mode, payload, received_at)
             VALUES ($1, 'checkout.session.completed', now(), false, $2, now() - interval '16 seconds')",
        )
        .bind(&event.id)
        .bind(serde_json::from_str::<serde_json::Value>(&event.body).unwrap())
        .execute(&app.pool)
        .await
        .unwrap();
        app.state.jobs.sweep().await.unwrap();
        status_becomes(app, unpaid, "PUBLISHED").await;
        books_agree(app).await;
    })
    .await;
}

/// A job that no version understands is given up after many attempts; one that moves money never is.
#[tokio::test]
async fn only_what_moves_no_money_is_given_up() {
    TestApp::run(async |app| {
        let id: Uuid = sqlx::query_scalar(
            "INSERT INTO job (kind, payload, unique_key, attempts, run_at)
             VALUES ('process_stripe_event', '{\"kind\":\"unheard_of\"}', 'broken', 19, now()) RETURNING id",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        assert_eq!(app.state.jobs.attempt(id.into(), Duration::from_secs(5)).await, AttemptOutcome::Dead);
        let mut connection = app.pool.acquire().await.unwrap();
        let lines = operator::list(&mut connection, 10).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.state.as_str()).collect::<Vec<_>>(), ["DEAD"]);
        let explanation = operator::explain(&mut connection, id.into()).await.unwrap().unwrap();
        assert!(explanation.summary.contains("given up after 20 attempts"), "{}", explanation.summary);
        sqlx::query("UPDATE job SET payload = $2 WHERE id = $1")
            .bind(id)
            .bind(json!({ "kind": "process_stripe_event", "event_id": "evt_gone" }))
            .execute(&app.pool)
            .await
            .unwrap();
        assert!(operator::retry(&app.state.pool, id.into(), "test").await.unwrap());
        app.state.jobs.wake();
        eventually("the job is done", async || state(app, id.into()).await == "DONE").await;
        assert!(!operator::retry(&app.state.pool, id.into(), "test").await.unwrap());

        let money: Uuid = sqlx::query_scalar(
            "INSERT INTO job (kind, payload, unique_key, attempts, run_at)
             VALUES ('send_transfer', '{\"kind\":\"unheard_of\"}', 'money', 500, now()) RETURNING id",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        assert_eq!(app.state.jobs.attempt(money.into(), Duration::from_secs(5)).await, AttemptOutcome::Pending);
        assert_eq!(state(app, money.into()).await, "READY");
    })
    .await;
}
