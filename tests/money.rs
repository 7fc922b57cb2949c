//! What the tests of payments share: the steps of a client, and the comparison of the books that ends each of them.

use freehunt_domain::{ids::JobPostingId, payments::invariants::check_invariants};
use freehunt_jobs::reconcile::reconcile;
use freehunt_stripe::webhook;
use freehunt_tests::{Answer, Persona, TestApp, eventually, settings};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// The body with which the frontend asks for a payment page.
pub fn checkout_body(owner: &Persona, posting: JobPostingId) -> Value {
    json!({
        "successUrl": format!(
            "{}/project/payment-success?session_id={{CHECKOUT_SESSION_ID}}&job_posting_id={posting}",
            settings::FRONTEND
        ),
        "cancelUrl": format!("{}/dashboard/job-postings?payment=cancelled", settings::FRONTEND),
        "customerEmail": owner.email,
    })
}

pub async fn create_payment(owner: &Persona, posting: JobPostingId) -> Answer {
    owner.post(&format!("/job-postings/{posting}/create-payment"), checkout_body(owner, posting)).await
}

/// Opens the payment page; Stripe's id of the session.
pub async fn open_session(owner: &Persona, posting: JobPostingId) -> String {
    text(&create_payment(owner, posting).await.expect(201), "sessionId")
}

pub async fn cancel(owner: &Persona, posting: JobPostingId) -> Answer {
    owner.post(&format!("/job-postings/{posting}/cancel"), json!({ "reason": "plus besoin" })).await
}

/// "Valider", as both roles send it.
pub async fn advance(persona: &Persona, checkpoint: Uuid) -> Answer {
    persona.put(&format!("/checkpoints/{checkpoint}"), json!({ "status": "DONE", "userId": persona.user_id })).await
}

pub async fn status_becomes(app: &TestApp, posting: JobPostingId, status: &str) {
    eventually(&format!("the posting is {status}"), async || app.posting_status(posting).await == status).await;
}

/// One value of one row.
pub async fn value(app: &TestApp, statement: &'static str, id: Uuid) -> Option<String> {
    sqlx::query_scalar(statement).bind(id).fetch_optional(&app.pool).await.expect("the statement is right").flatten()
}

pub async fn execute(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(&app.pool).await.expect("the statement is right");
}

/// All the jobs that have been decided are done, also those that wait for their next attempt.
pub async fn jobs_are_done(app: &TestApp) {
    eventually("no job is left", async || {
        // As if the pause before the next attempt were over.
        execute(app, "UPDATE job SET run_at = now() WHERE state = 'READY' AND run_at > now()").await;
        app.state.jobs.wake();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM job WHERE state = 'READY'")
            .fetch_one(&app.pool)
            .await
            .expect("the jobs can be counted");
        left == 0
    })
    .await;
}

/// As if it were so long ago that the last requests were sent, that none of them can still be carried out.
pub async fn keys_rest(app: &TestApp) {
    for statement in [
        "UPDATE refund_intent SET key_sent_at = key_sent_at - interval '3 minutes' WHERE status = 'PENDING'",
        "UPDATE transfer_intent SET key_sent_at = key_sent_at - interval '3 minutes' WHERE status = 'PENDING'",
    ] {
        execute(app, statement).await;
    }
}

/// Every job has ended its attempt and waits for an hour, or until [`a_job_waits`] or [`jobs_are_done`].
pub async fn jobs_pause(app: &TestApp) {
    eventually("no job runs", async || {
        execute(app, "UPDATE job SET run_at = now() + interval '1 hour' WHERE state = 'READY'").await;
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE state = 'READY' AND (leased_until > now() OR run_at < now())",
        )
        .fetch_one(&app.pool)
        .await
        .expect("the jobs can be counted");
        running == 0
    })
    .await;
}

/// A job waits, and says that it does for this reason.
pub async fn a_job_waits(app: &TestApp, why: &str) {
    eventually(&format!("a job waits: {why}"), async || {
        execute(app, "UPDATE job SET run_at = now() WHERE state = 'READY' AND run_at > now()").await;
        app.state.jobs.wake();
        let reasons: Vec<String> =
            sqlx::query_scalar("SELECT last_error FROM job WHERE state = 'READY' AND last_error IS NOT NULL")
                .fetch_all(&app.pool)
                .await
                .expect("the jobs can be read");
        reasons.iter().any(|reason| reason.contains(why))
    })
    .await;
}

/// From now on Stripe's events are told to nobody, and its list of them is not read either.
pub async fn events_are_lost(app: &TestApp) {
    app.stripe.webhooks_enabled(false);
    execute(app, "UPDATE stripe_event_poll SET read_until = now() + interval '1 hour'").await;
}

/// What Stripe told to nobody is read from its list of events, and processed.
pub async fn events_are_read(app: &TestApp) {
    // A reading that the server itself has begun ends first, and may have missed the newest.
    for _ in 0..2 {
        eventually("nobody reads", async || {
            sqlx::query_scalar("SELECT reading_until IS NULL FROM stripe_event_poll")
                .fetch_one(&app.pool)
                .await
                .expect("the reading can be seen")
        })
        .await;
        app.state.jobs.poll_events(0.0).await.expect("Stripe lists its events");
    }
    jobs_are_done(app).await;
}

/// The invariants hold, the database and Stripe's books say the same, and no charge is overdrawn.
pub async fn books_agree(app: &TestApp) {
    let mut connection = app.pool.acquire().await.expect("a connection");
    let violations = check_invariants(&mut connection).await.expect("the invariants can be read");
    assert!(violations.is_empty(), "{violations:?}");
    let report = reconcile(&app.state.stripe, &mut connection).await.expect("Stripe can be read");
    assert!(report.is_clean(), "{report:?}");
    assert!(app.stripe.books().overdrawn_charges().is_empty());
}

/// Signs and sends an event's body as Stripe does.
pub async fn send_webhook(app: &TestApp, body: &str) -> Answer {
    send_webhook_as(app, &app.anonymous(), body).await
}

/// As [`send_webhook`], to the server that `stripe` talks to.
pub async fn send_webhook_as(app: &TestApp, stripe: &Persona, body: &str) -> Answer {
    let signature = webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, app.state.clock.now().timestamp());
    send_signed_as(stripe, body, &signature).await
}

/// Sends a body with this signature.
pub async fn send_signed(app: &TestApp, body: &str, signature: &str) -> Answer {
    send_signed_as(&app.anonymous(), body, signature).await
}

async fn send_signed_as(stripe: &Persona, body: &str, signature: &str) -> Answer {
    let request = stripe
        .request(Method::POST, "/stripe/webhook")
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature)
        .body(body.to_owned());
    stripe.answer(request).await
}

/// What came of the event.
pub async fn outcome_of(app: &TestApp, event: &str) -> String {
    let outcome = async || -> Option<String> {
        sqlx::query_scalar("SELECT outcome FROM stripe_event WHERE id = $1")
            .bind(event)
            .fetch_optional(&app.pool)
            .await
            .expect("the event can be read")
            .flatten()
    };
    eventually("the event is processed", async || outcome().await.is_some()).await;
    outcome().await.expect("it was there")
}

pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {value}")).to_owned()
}
