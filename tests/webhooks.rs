//! `/stripe/webhook`: what is taken for Stripe's, stored once and applied once, in any order.

use freehunt_domain::{
    ids::JobPostingId,
    payments::queries::events::{begin_reading, finish_reading, release_reading, update_reading},
};
use freehunt_sandbox::stripe::CustomEvent;
use freehunt_stripe::webhook;
use freehunt_tests::{Persona, TestApp, settings};
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::money::{
    books_agree, events_are_read, execute, jobs_are_done, open_session, outcome_of, send_signed, send_webhook,
    send_webhook_as, status_becomes, text, value,
};

/// A paid session whose webhooks were never sent; the posting and the event's body.
async fn untold_payment(app: &TestApp, owner: &Persona) -> (JobPostingId, String) {
    app.stripe.webhooks_enabled(false);
    let posting = app.unpaid_posting(owner, &[10_000]).await;
    app.stripe
        .pay(&open_session(owner, posting).await)
        .unwrap_or_else(|error| panic!("the page can be paid: {error:?}"));
    let told = app.stripe.events_of("checkout.session.completed").pop();
    (posting, told.expect("a payment is told").body)
}

/// As Stripe does: what a server short of connections did not take is sent again.
async fn deliver(app: &TestApp, replica: &str, body: &str) -> Value {
    let stripe = app.at(&app.anonymous(), replica);
    for _ in 0..20 {
        let answer = send_webhook_as(app, &stripe, body).await;
        if answer.status != 503 {
            return answer.expect(200);
        }
    }
    panic!("the event was never taken");
}

async fn count(app: &TestApp, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&app.pool).await.expect("the rows can be counted")
}

/// Fault case 80: a hundred times at once, on three replicas.
#[tokio::test]
async fn fault_case_80_an_event_told_a_hundred_times_is_applied_once() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let replicas = [app.url.clone(), app.another_replica().await, app.another_replica().await];
        let told = (0..100).map(|number| deliver(app, &replicas[number % replicas.len()], &body));
        for received in join_all(told).await {
            assert_eq!(received, json!({ "message": "Webhook received" }));
        }
        status_becomes(app, posting, "PUBLISHED").await;
        jobs_are_done(app).await;
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 1);
        assert_eq!(count(app, "SELECT count(*) FROM ledger_entry").await, 1);
        assert_eq!(count(app, r#"SELECT count(*) FROM "Log" WHERE "action" = 'publish'"#).await, 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 81.
#[tokio::test]
async fn fault_case_81_two_events_about_one_session_make_one_transition() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let mut other: Value = serde_json::from_str(&body).unwrap();
        other["id"] = json!("evt_other");
        other["type"] = json!("checkout.session.async_payment_succeeded");
        let other = other.to_string();
        let (one, two) = tokio::join!(send_webhook(app, &body), send_webhook(app, &other));
        one.expect(200);
        two.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        jobs_are_done(app).await;
        assert_eq!(count(app, r#"SELECT count(*) FROM "Log" WHERE "action" = 'publish'"#).await, 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 82.
#[tokio::test]
async fn fault_case_82_expired_and_completed_may_come_in_any_order() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for expired_first in [true, false] {
            let (posting, completed) = untold_payment(app, &acme).await;
            let event: Value = serde_json::from_str(&completed).unwrap();
            let mut expired = event.clone();
            expired["id"] = json!(format!("evt_expired_{expired_first}"));
            expired["type"] = json!("checkout.session.expired");
            let expired_id = text(&expired, "id");
            if expired_first {
                send_webhook(app, &expired.to_string()).await.expect(200);
                assert_eq!(outcome_of(app, &expired_id).await, "expired");
                send_webhook(app, &completed).await.expect(200);
            } else {
                send_webhook(app, &completed).await.expect(200);
                status_becomes(app, posting, "PUBLISHED").await;
                send_webhook(app, &expired.to_string()).await.expect(200);
                assert_eq!(outcome_of(app, &expired_id).await, "ignored: it had ended before");
            }
            status_becomes(app, posting, "PUBLISHED").await;
            assert_eq!(app.stripe.books().refunds.len(), 0);
        }
        books_agree(app).await;
    })
    .await;
}

/// Fault cases 83 and 86.
#[tokio::test]
async fn fault_case_83_86_what_stripe_did_not_sign_is_refused() {
    TestApp::run(async |app| {
        let body = r#"{"id":"evt_1","object":"event","type":"customer.created","data":{"object":{}}}"#;
        let now = app.state.clock.now().timestamp();
        let good = webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, now);
        let other = webhook::sign(body.as_bytes(), "whsec_other", now);
        let prefix = "Webhook Error: Webhook signature verification failed";
        for (signature, text) in [
            ("", "No stripe-signature header value was provided."),
            ("garbage", "Unable to extract timestamp and signatures from header"),
            (good.replace("v1=", "v0=").as_str(), "No signatures found with expected scheme"),
            (other.as_str(), "No signatures found matching the expected signature for payload."),
            (good.replace("v1=", "v1=00").as_str(), "No signatures found matching the expected signature for payload."),
        ] {
            let answer = send_signed(app, body, signature).await;
            assert!(answer.text.starts_with(&format!("{prefix}{text}")), "{signature}: {}", answer.text);
            assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
            answer.expect(400);
        }
        send_signed(app, &body.replace(',', ", "), &good).await.expect(400);
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 0);
        send_signed(app, body, &good).await.expect(200);
    })
    .await;
}

/// Fault case 84.
#[tokio::test]
async fn fault_case_84_old_and_future_signatures_are_refused() {
    TestApp::run(async |app| {
        for (offset, status) in [(-301, 400), (302, 400), (-298, 200), (298, 200)] {
            let body = json!({ "id": format!("evt_{offset}"), "type": "x", "data": { "object": {} } }).to_string();
            let time = app.state.clock.now().timestamp() + offset;
            let answer = send_signed(app, &body, &webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, time)).await;
            assert_eq!(answer.status, status, "{offset}: {}", answer.text);
        }
    })
    .await;
}

/// Fault case 155: a clock that is six minutes off makes every webhook look old, and a number tells.
#[tokio::test]
async fn fault_case_155_a_wrong_clock_is_seen_in_a_number() {
    // The servers of this test run on its own thread, and so does what they record.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let six_minutes_ago = app.state.clock.now().timestamp() - 360;
        let signature = webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, six_minutes_ago);
        let answer = send_signed(app, &body, &signature).await;
        assert!(answer.text.ends_with("Timestamp outside the tolerance zone"), "{}", answer.text);
        answer.expect(400);
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        let numbers = recorder.handle().render();
        assert!(numbers.contains("freehunt_webhooks_rejected_total{reason=\"time\"} 1"), "{numbers}");
        app.state.jobs.sweep().await.unwrap();
        let numbers = recorder.handle().render();
        for gauge in ["freehunt_jobs_ready", "freehunt_jobs_dead 0", "freehunt_intents_stuck 0"] {
            assert!(numbers.contains(gauge), "{gauge} in {numbers}");
        }
    })
    .await;
}

/// Fault case 87, and the recorded answers to other bodies.
#[tokio::test]
async fn fault_case_87_large_bodies_and_other_content_types_are_handled() {
    TestApp::run(async |app| {
        let large = json!({ "id": "evt_large", "type": "x", "data": { "object": { "text": "é".repeat(300_000) } } });
        assert!(large.to_string().len() > 600_000);
        send_webhook(app, &large.to_string()).await.expect(200);
        let huge = json!({ "id": "evt_huge", "type": "x", "data": { "object": { "text": "e".repeat(1_100_000) } } });
        send_webhook(app, &huge.to_string()).await.expect(413);

        let body = r#"{"id":"evt_plain","type":"x"}"#;
        let signature = webhook::sign(body.as_bytes(), settings::WEBHOOK_SECRET, app.state.clock.now().timestamp());
        let stripe = app.anonymous();
        let plain = stripe
            .request(Method::POST, "/stripe/webhook")
            .header("content-type", "text/plain")
            .header("stripe-signature", &signature)
            .body(body);
        let answer = stripe.answer(plain).await;
        assert_eq!(answer.text, "Webhook Error: Webhook signature verification failedNo webhook payload was provided.");
        answer.expect(400);
        send_webhook(app, "[1, 2]").await.expect(400);
        send_webhook(app, "not json").await.expect(400);
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 1);
    })
    .await;
}

/// Fault case 88.
#[tokio::test]
async fn fault_case_88_events_of_the_other_mode_are_ignored() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let mut live: Value = serde_json::from_str(&body).unwrap();
        live["livemode"] = json!(true);
        send_webhook(app, &live.to_string()).await.expect(200);
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 0);
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        // One that does not tell is signed all the same.
        live.as_object_mut().expect("an event is an object").remove("livemode");
        send_webhook(app, &live.to_string()).await.expect(200);
        freehunt_tests::eventually("the posting is published", async || {
            app.posting_status(posting).await == "PUBLISHED"
        })
        .await;
    })
    .await;
}

/// Fault case 91.
#[tokio::test]
async fn fault_case_91_unknown_events_are_kept_and_have_no_effect() {
    TestApp::run(async |app| {
        for (id, kind) in [("evt_a", "customer.created"), ("evt_b", "something.of.the.future")] {
            send_webhook(app, &json!({ "id": id, "type": kind, "data": { "object": { "id": "x" } } }).to_string())
                .await
                .expect(200);
            assert_eq!(outcome_of(app, id).await, "ignored: not of interest");
        }
        for kind in [
            "checkout.session.completed",
            "charge.refunded",
            "charge.dispute.created",
            "account.updated",
            "transfer.reversed",
            "refund.failed",
            "checkout.session.expired",
        ] {
            let id = format!("evt_{kind}");
            send_webhook(app, &json!({ "id": id, "type": kind, "data": { "object": {} } }).to_string())
                .await
                .expect(200);
            assert!(outcome_of(app, &id).await.contains("no identifier"), "{kind}");
        }
    })
    .await;
}

/// An event of another version may tell little: Stripe is asked for the rest.
#[tokio::test]
async fn a_partial_event_is_completed_by_asking() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let whole: Value = serde_json::from_str(&body).unwrap();
        let id = text(&whole["data"]["object"], "id");
        let partial = json!({
            "id": "evt_partial", "api_version": "2019-01-01", "type": "checkout.session.completed",
            "data": { "object": { "id": id } }
        });
        send_webhook(app, &partial.to_string()).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        books_agree(app).await;
    })
    .await;
}

/// Sessions that others make on the same Stripe account are not ours, and neither are forged ones.
#[tokio::test]
async fn sessions_of_others_are_ignored() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let object = json!({
            "id": "cs_of_somebody", "payment_status": "paid", "status": "complete", "amount_subtotal": 50,
            "amount_total": 50, "currency": "eur", "livemode": false, "payment_intent": null,
            "metadata": { "type": "job_posting_payment", "jobPostingId": posting },
        });
        let event = app.stripe.send_custom_event(CustomEvent::new("checkout.session.completed", object));
        assert!(outcome_of(app, &event).await.starts_with("ignored"));
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
    })
    .await;
}

/// Fault case 92: what could not be stored is not acknowledged, and the next delivery is applied.
#[tokio::test]
async fn fault_case_92_an_event_that_cannot_be_stored_is_not_acknowledged() {
    TestApp::run_with(freehunt_tests::TestOptions::default().with("DATABASE_ACQUIRE_TIMEOUT_MS", "300"), async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        let mut held = Vec::new();
        while let Ok(connection) = app.state.pool.acquire().await {
            held.push(connection);
        }
        // Those for single statements too.
        let mut held_singly = Vec::new();
        while let Ok(connection) = app.state.connection().await {
            held_singly.push(connection);
        }
        send_webhook(app, &body).await.expect(503);
        drop((held, held_singly));
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 0);
        send_webhook(app, &body).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
    })
    .await;
}

/// An account's events overtake each other: the account itself says how it stands.
#[tokio::test]
async fn account_events_are_read_from_the_account() {
    TestApp::run(async |app| {
        let alice = app.freelance("alice").await;
        let active = "SELECT transfers_active::text FROM payout_account WHERE freelance_id = $1";
        let account =
            value(app, "SELECT stripe_account_id FROM payout_account WHERE freelance_id = $1", alice.freelance_id().0)
                .await
                .unwrap();
        let lying = json!({ "id": account, "capabilities": { "transfers": "inactive" }, "details_submitted": false });
        let event = app.stripe.send_event("account.updated", lying);
        assert_eq!(outcome_of(app, &event).await, "account recorded");
        assert_eq!(value(app, active, alice.freelance_id().0).await.as_deref(), Some("true"));
        app.stripe.restrict(&account).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(value(app, active, alice.freelance_id().0).await.as_deref(), Some("false"));
    })
    .await;
}

/// Fault case 93: whatever goes wrong on our side is never acknowledged, and the next delivery is applied.
#[tokio::test]
async fn fault_case_93_a_fault_of_ours_is_never_acknowledged() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        execute(app, "ALTER TABLE stripe_event RENAME TO stripe_event_gone").await;
        let answer = send_webhook(app, &body).await;
        assert!(answer.status >= 500, "{}", answer.text);
        assert!(!answer.text.contains("stripe_event"), "{}", answer.text);
        execute(app, "ALTER TABLE stripe_event_gone RENAME TO stripe_event").await;
        send_webhook(app, &body).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        books_agree(app).await;
    })
    .await;
}

/// An event whose job was given up is processed when Stripe, or somebody in its dashboard, sends it again.
#[tokio::test]
async fn an_event_that_was_given_up_is_processed_when_told_again() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (posting, body) = untold_payment(app, &acme).await;
        app.stripe.controls().fail_everything();
        send_webhook(app, &body).await.expect(200);
        let given_up = async || {
            let killed = "UPDATE job SET state = 'DEAD', finished_at = now()
                          WHERE kind = 'process_stripe_event' AND state = 'READY' AND leased_until IS NULL";
            sqlx::query(killed).execute(&app.pool).await.unwrap().rows_affected() == 1
        };
        freehunt_tests::eventually("the job is given up", given_up).await;
        app.stripe.controls().recover();
        send_webhook(app, &body).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        jobs_are_done(app).await;
        assert_eq!(count(app, "SELECT count(*) FROM job WHERE state = 'DEAD'").await, 0);
        // Once more, when there is nothing left to be done.
        send_webhook(app, &body).await.expect(200);
        assert_eq!(count(app, "SELECT count(*) FROM job WHERE state = 'READY'").await, 0);
        books_agree(app).await;
    })
    .await;
}

/// A dispute may be told before the payment it is about, or while that is being recorded: it freezes it all the same.
#[tokio::test]
async fn a_dispute_told_before_or_with_its_payment_freezes_it() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for number in 0..6 {
            let (posting, completed) = untold_payment(app, &acme).await;
            let charge = app.stripe.books().charges.pop().unwrap().id;
            app.stripe.dispute(&charge).unwrap();
            let disputed = app.stripe.events_of("charge.dispute.created").pop().unwrap();
            if number == 0 {
                send_webhook(app, &disputed.body).await.expect(200);
                assert_eq!(outcome_of(app, &disputed.id).await, "dispute kept: unknown charge");
                send_webhook(app, &completed).await.expect(200);
            } else {
                let (one, two) = tokio::join!(send_webhook(app, &completed), send_webhook(app, &disputed.body));
                one.expect(200);
                two.expect(200);
            }
            status_becomes(app, posting, "PUBLISHED").await;
            jobs_are_done(app).await;
            let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
            assert_eq!(value(app, status, posting.0).await.as_deref(), Some("DISPUTED"), "round {number}");
            let booked =
                "SELECT sum(amount_cents)::text FROM ledger_entry WHERE job_posting_id = $1 AND kind = 'dispute'";
            assert_eq!(value(app, booked, posting.0).await.as_deref(), Some("-10000"), "round {number}");
        }
        books_agree(app).await;
    })
    .await;
}

/// A dispute that does not say what is disputed is found by its payment; one that says nothing stays to be looked at.
#[tokio::test]
async fn a_partial_dispute_is_not_lost() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        let object = json!({ "id": "dp_partial", "payment_intent": payment, "amount": 10_000 });
        let event = app.stripe.send_event("charge.dispute.created", object);
        assert_eq!(outcome_of(app, &event).await, "dispute recorded");
        let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, status, posting.0).await.as_deref(), Some("DISPUTED"));
        let event = app.stripe.send_event("charge.dispute.created", json!({ "id": "dp_nothing" }));
        let failed =
            "SELECT last_error FROM job WHERE state = 'READY' AND $1::uuid IS NOT NULL AND last_error IS NOT NULL";
        freehunt_tests::eventually("the job tells why", async || {
            value(app, failed, posting.0).await.is_some_and(|error| error.contains("dp_nothing"))
        })
        .await;
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event WHERE processed_at IS NULL").await, 1);
        sqlx::query("UPDATE stripe_event SET processed_at = now() WHERE id = $1")
            .bind(event)
            .execute(&app.pool)
            .await
            .unwrap();
        jobs_are_done(app).await;
    })
    .await;
}

/// Refunds by hand, disputes and reversals that no webhook told of are read from Stripe's list of events, once.
#[tokio::test]
async fn what_no_webhook_told_is_read_from_stripes_events() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let working = app.published_posting(&acme, &[10_000, 20_000]).await;
        let free = app.published_posting(&acme, &[10_000]).await;
        app.accepted_project(working, &alice, &acme).await;
        crate::money::advance(&acme, app.checkpoint_ids(working).await[0]).await.expect(200);
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        app.stripe.webhooks_enabled(false);
        let books = app.stripe.books();
        app.stripe.reverse_transfer(&books.transfers[0].id, Some(1_000)).unwrap();
        app.stripe.refund_from_dashboard(&books.payment_intents[1].id, None).unwrap();
        let dispute = app.stripe.dispute(&books.charges[0].id).unwrap();
        events_are_read(app).await;
        status_becomes(app, free, "CANCELED").await;
        let reversed = "SELECT sum(amount_cents)::text FROM ledger_entry
                        WHERE job_posting_id = $1 AND kind = 'transfer_reversal'";
        assert_eq!(value(app, reversed, working.0).await.as_deref(), Some("1000"));
        let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, status, working.0).await.as_deref(), Some("DISPUTED"));
        app.stripe.close_dispute(&dispute, true).unwrap();
        events_are_read(app).await;
        assert_eq!(value(app, status, working.0).await.as_deref(), Some("PAID"));
        let events = count(app, "SELECT count(*) FROM stripe_event").await;
        assert_eq!(app.state.jobs.poll_events(0.0).await.unwrap(), 0);
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, events);
        books_agree(app).await;
    })
    .await;
}

/// More events than are read at once: the next reading goes on where the last one ended, on whichever replica.
#[tokio::test]
async fn events_are_read_page_by_page() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        // The reading that a server begins with is over.
        events_are_read(app).await;
        for number in 0..1_050 {
            app.stripe.send_event("refund.updated", json!({ "number": number }));
        }
        app.stripe.send_event("customer.created", json!({ "id": "cus_1" }));
        app.stripe.controls().forget_calls();
        let stored = async || count(app, "SELECT count(*) FROM stripe_event").await;
        let mut readings = 0;
        while stored().await < 1_050 {
            readings += 1;
            assert!(readings <= 2, "a thousand at least are read at once");
            app.state.jobs.poll_events(0.0).await.unwrap();
        }
        assert_eq!((stored().await, readings), (1_050, 2));
        assert_eq!(app.stripe.controls().calls_to(Method::GET, "/v1/events").len(), 11);
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event_poll WHERE reading_until IS NULL").await, 1);
        execute(app, "UPDATE job SET state = 'DONE', finished_at = now() WHERE state = 'READY'").await;
    })
    .await;
}

/// A reader whose reading another one has gone on with, or ended, notes nothing any more.
#[tokio::test]
async fn a_late_reader_of_events_changes_nothing() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        events_are_read(app).await;
        let noted = async || {
            sqlx::query_scalar::<_, Option<String>>("SELECT last_event FROM stripe_event_poll")
                .fetch_one(&app.pool)
                .await
                .unwrap()
        };
        let mut connection = app.pool.acquire().await.unwrap();
        let late = begin_reading(&mut connection, 0.0).await.unwrap().expect("nobody reads");
        assert_eq!(begin_reading(&mut connection, 0.0).await.unwrap(), None, "somebody reads");
        execute(app, "UPDATE stripe_event_poll SET begun_at = begun_at - interval '2 minutes'").await;
        let other = begin_reading(&mut connection, 0.0).await.unwrap().expect("the first one is slow");
        assert_eq!(other.reading_until, late.reading_until, "it goes on with the same reading");
        let other = update_reading(&mut connection, &other, "evt_newer").await.unwrap().expect("it is its own");
        assert_eq!(update_reading(&mut connection, &late, "evt_older").await.unwrap(), None);
        release_reading(&mut connection, &late).await.unwrap();
        assert_eq!(noted().await.as_deref(), Some("evt_newer"));
        assert_eq!(begin_reading(&mut connection, 0.0).await.unwrap(), None, "the other one still reads");
        finish_reading(&mut connection, other.reading_until).await.unwrap();
        assert_eq!(update_reading(&mut connection, &other, "evt_late").await.unwrap(), None);
        assert_eq!(noted().await, None);
    })
    .await;
}

/// Events that arrive at once.
const AT_ONCE: usize = 50;
/// Fifty events at once are all acknowledged and stored, with the pool's few connections. How fast is measured on the
/// release programs: `freehunt-bench webhooks`.
#[tokio::test]
async fn fifty_webhooks_at_once_are_acknowledged() {
    TestApp::run(async |app| {
        let stripe = app.anonymous();
        let bodies: Vec<String> = (0..AT_ONCE)
            .map(|number| {
                let object = json!({ "id": "cus_1", "description": "x".repeat(3_000) });
                json!({ "id": format!("evt_{number}"), "type": "customer.updated", "data": { "object": object } })
                    .to_string()
            })
            .collect();
        for answer in join_all(bodies.iter().map(|body| send_webhook_as(app, &stripe, body))).await {
            answer.expect(200);
        }
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event").await, 50);
        jobs_are_done(app).await;
        assert_eq!(count(app, "SELECT count(*) FROM stripe_event WHERE processed_at IS NULL").await, 0);
    })
    .await;
}
