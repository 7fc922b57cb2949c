//! Paying for a posting: the payment page, publication, and what happens when Stripe fails.

use std::time::Duration;

use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, TestOptions, eventually, settings};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::money::{
    books_agree, cancel, checkout_body, create_payment, execute, jobs_are_done, open_session, outcome_of, send_webhook,
    status_becomes, text, value,
};

const SESSIONS: &str = "/v1/checkout/sessions";

fn impatient() -> TestOptions {
    TestOptions::default().with("STRIPE_TIMEOUT_MS", "800")
}

/// Fault case 79.
#[tokio::test]
async fn fault_case_79_a_paid_session_publishes_its_posting() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[20_050, 30_000]).await;
        let seen = acme.get(&format!("/job-postings/company/{posting}")).await.expect(200);
        let books = app.stripe.books();
        let sessions = books.paid_sessions_of_posting(&posting.to_string());
        assert_eq!(sessions.len(), 1);
        assert_eq!(seen["stripeSessionId"], sessions[0].id.as_str());
        assert_eq!(sessions[0].amount_subtotal, 50_050);
        let booked = "SELECT amount_cents::text FROM ledger_entry WHERE job_posting_id = $1 AND kind = 'charge'";
        assert_eq!(value(app, booked, posting.0).await.as_deref(), Some("50050"));
        books_agree(app).await;
    })
    .await;
}

/// The tax is the customer's; what freelances are paid is the price without it.
#[tokio::test]
async fn tax_comes_on_top_and_goes_back_with_a_refund() {
    TestApp::run(async |app| {
        app.stripe.set_tax_basis_points(2000);
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let canceled = cancel(&acme, posting).await.expect(201);
        assert_eq!(canceled["refundAmount"], 120);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 94.
#[tokio::test]
async fn fault_case_94_a_lost_webhook_is_made_up_for() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '61 seconds'").await;
        app.state.jobs.sweep().await.unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        books_agree(app).await;
    })
    .await;
}

/// Fault case 94, sooner: the owner looks at the dashboard.
#[tokio::test]
async fn fault_case_94_the_owners_dashboard_makes_up_for_a_lost_webhook() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '6 seconds'").await;
        let path = format!("/job-postings/{posting}/can-be-cancelled");
        assert_eq!(acme.get(&path).await.expect(200), json!({ "canBeCancelled": true }));
        status_becomes(app, posting, "PUBLISHED").await;
    })
    .await;
}

/// Fault case 94, when the money went back before anybody heard of it: nothing is published on it, and the posting can
/// be paid anew.
#[tokio::test]
async fn fault_case_94_a_payment_that_was_refunded_meanwhile_publishes_nothing() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let whole = app.unpaid_posting(&acme, &[10_000]).await;
        let part = app.unpaid_posting(&acme, &[20_000]).await;
        for (posting, refunded) in [(whole, None), (part, Some(5_000))] {
            let paid = app.stripe.pay(&open_session(&acme, posting).await).unwrap();
            app.stripe.refund_from_dashboard(&paid.payment_intent, refunded).unwrap();
        }
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '61 seconds'").await;
        app.state.jobs.sweep().await.unwrap();
        jobs_are_done(app).await;
        let status = "SELECT status || coalesce(': ' || quarantine, '') FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, status, whole.0).await.as_deref(), Some("REFUNDED"));
        let set_aside = "OPEN: a part of it was refunded before";
        assert_eq!(value(app, status, part.0).await.as_deref(), Some(set_aside));
        for posting in [whole, part] {
            assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        }
        let again = open_session(&acme, whole).await;
        app.stripe.pay(&again).unwrap();
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '61 seconds'").await;
        app.state.jobs.sweep().await.unwrap();
        status_becomes(app, whole, "PUBLISHED").await;
        // An operator gives the rest back.
        let session = app.stripe.books().paid_sessions_of_posting(&part.to_string())[0].id.clone();
        let decision =
            freehunt_jobs::set_aside::Decision { stripe_session_id: &session, operator: "ops", live_mode: false };
        freehunt_jobs::set_aside::give_back(&app.state.pool, &app.state.stripe, decision).await.unwrap();
        jobs_are_done(app).await;
        let amounts: Vec<i64> = app.stripe.books().refunds.iter().map(|refund| refund.amount).collect();
        assert_eq!(amounts, [10_000, 5_000, 15_000]);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 95.
#[tokio::test]
async fn fault_case_95_parallel_requests_get_one_page() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let answers = join_all((0..8).map(|_| create_payment(&acme, posting))).await;
        let pages: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)).collect();
        assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
        assert_eq!(create_payment(&acme, posting).await.expect(201), pages[0]);
        assert_eq!(app.stripe.books().sessions.len(), 1);
    })
    .await;
}

/// Fault case 96.
#[tokio::test]
async fn fault_case_96_what_is_published_or_canceled_cannot_be_paid() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let published = app.published_posting(&acme, &[10_000]).await;
        let canceled = app.unpaid_posting(&acme, &[10_000]).await;
        cancel(&acme, canceled).await.expect(201);
        app.stripe.controls().forget_calls();
        create_payment(&acme, published).await.expect(409);
        create_payment(&acme, canceled).await.expect(409);
        assert!(app.stripe.controls().calls_to(Method::POST, "/").is_empty());
    })
    .await;
}

/// Fault case 97.
#[tokio::test]
async fn fault_case_97_stripe_returns_to_the_frontend_only() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let path = format!("/job-postings/{posting}/create-payment");
        for url in ["https://evil", "javascript:alert(1)", "//evil", "http://localhost:5173@evil", "/x"] {
            for field in ["successUrl", "cancelUrl"] {
                let mut body = checkout_body(&acme, posting);
                body[field] = json!(url);
                acme.post(&path, body).await.expect(400);
            }
        }
        let mut body = checkout_body(&acme, posting);
        body["customerEmail"] = json!("somebody@else.org");
        acme.post(&path, body).await.expect(403);
        assert!(app.stripe.books().sessions.is_empty());
        let mut body = checkout_body(&acme, posting);
        body["customerEmail"] = json!(acme.email.to_uppercase());
        body["unknown"] = json!({ "ignored": true });
        acme.post(&path, body).await.expect(201);
        let session = app.stripe.books().sessions.remove(0);
        assert!(
            session.success_url.starts_with(settings::FRONTEND)
                && session.success_url.contains("{CHECKOUT_SESSION_ID}")
        );
    })
    .await;
}

/// Fault case 98.
#[tokio::test]
async fn fault_case_98_amounts_reach_stripe_as_exact_cents() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for amounts in [vec![1999], vec![33, 47], vec![33_333, 33_333, 33_333], vec![99_999_999]] {
            let posting = app.unpaid_posting(&acme, &amounts).await;
            open_session(&acme, posting).await;
            let books = app.stripe.books();
            let session = books.sessions_of_posting(&posting.to_string())[0];
            assert_eq!(session.amount_subtotal, amounts.iter().sum::<i64>());
        }
        let too_small = app.unpaid_posting(&acme, &[49]).await;
        create_payment(&acme, too_small).await.expect(400);
        let too_large = app.unpaid_posting(&acme, &[100_000_000]).await;
        create_payment(&acme, too_large).await.expect(400);
    })
    .await;
}

/// Fault case 99.
#[tokio::test]
async fn fault_case_99_checkpoints_that_do_not_add_up_are_not_charged() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000, 5_000]).await;
        execute(app, r#"UPDATE "JobPosting" SET "totalAmount" = 150.01"#).await;
        create_payment(&acme, posting).await.expect(409);
        execute(app, r#"UPDATE "JobPosting" SET "totalAmount" = NULL"#).await;
        create_payment(&acme, posting).await.expect(409);
        let empty = app.unpaid_posting(&acme, &[]).await;
        create_payment(&acme, empty).await.expect(409);
        assert!(app.stripe.books().sessions.is_empty());
        assert_eq!(value(app, "SELECT id::text FROM payment_session WHERE job_posting_id = $1", posting.0).await, None);
    })
    .await;
}

/// Fault case 100.
#[tokio::test]
async fn fault_case_100_a_second_payment_goes_back() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let first = open_session(&acme, posting).await;
        // A row that was given up while the page could still be paid.
        execute(app, "UPDATE payment_session SET status = 'EXPIRED'").await;
        let second = open_session(&acme, posting).await;
        assert_ne!(first, second);
        let paid = app.stripe.pay(&second).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        app.stripe.pay(&first).unwrap();
        eventually("the second payment is refunded", async || app.stripe.books().refunds.len() == 1).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_ne!(app.stripe.books().refunds[0].payment_intent, paid.payment_intent);
        assert_eq!(app.posting_status(posting).await, "PUBLISHED");
        books_agree(app).await;
    })
    .await;
}

/// An older page is paid while a newer one is open: the newer one is ended.
#[tokio::test]
async fn a_payment_ends_the_other_open_page() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let first = open_session(&acme, posting).await;
        execute(app, "UPDATE payment_session SET status = 'EXPIRED'").await;
        let second = open_session(&acme, posting).await;
        app.stripe.pay(&first).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert!(app.stripe.pay(&second).is_err());
        books_agree(app).await;
    })
    .await;
}

/// Fault case 101.
#[tokio::test]
async fn fault_case_101_a_payment_after_canceling_goes_back() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        // Stripe can't be told in time that the page is over.
        app.stripe.controls().misbehave_on(Method::POST, SESSIONS, usize::MAX, Misbehaviour::Reset);
        let canceled = cancel(&acme, posting).await.expect(201);
        assert_eq!(
            canceled,
            json!({ "success": true, "message": "Job posting has been canceled (no payment to refund)" })
        );
        app.stripe.pay(&session).unwrap();
        app.stripe.controls().recover();
        eventually("the payment is refunded", async || app.stripe.books().refunds.len() == 1).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.posting_status(posting).await, "CANCELED");
        assert_eq!(app.stripe.books().refunds.len(), 1);
        let refund = r#"SELECT "stripeRefundId" FROM "JobPosting" WHERE "id" = $1"#;
        assert_eq!(value(app, refund, posting.0).await, Some(app.stripe.books().refunds[0].id.clone()));
        books_agree(app).await;
    })
    .await;
}

/// Fault case 101, the other way: canceling learns that the page was paid before.
#[tokio::test]
async fn fault_case_101_canceling_a_page_that_was_just_paid_refunds_it() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        cancel(&acme, posting).await.expect(201);
        jobs_are_done(app).await;
        assert_eq!(app.posting_status(posting).await, "CANCELED");
        assert_eq!(app.stripe.books().refunds.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 102: whoever repeats the request gets the page that was made.
#[tokio::test]
async fn fault_case_102_a_lost_answer_makes_no_second_session() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.controls().misbehave(SESSIONS, usize::MAX, Misbehaviour::LoseAnswer);
        let unknown = create_payment(&acme, posting).await;
        assert!(unknown.headers.contains_key("retry-after"));
        unknown.expect(503);
        app.stripe.controls().recover();
        create_payment(&acme, posting).await.expect(201);
        assert_eq!(app.stripe.books().sessions.len(), 1);
    })
    .await;
}

/// Fault case 103.
#[tokio::test]
async fn fault_case_103_a_stored_failure_is_looked_up_before_another_key() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let undone = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.store_500_for_next(SESSIONS);
        // Told to ask again, unless the worker was quicker.
        assert!([201, 503].contains(&create_payment(&acme, undone).await.status));
        create_payment(&acme, undone).await.expect(201);
        assert_eq!(app.stripe.books().sessions_of_posting(&undone.to_string()).len(), 1);

        let done = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.store_500_after_work_for_next(SESSIONS);
        let session = open_session(&acme, done).await;
        let books = app.stripe.books();
        let made = books.sessions_of_posting(&done.to_string());
        assert_eq!(made.iter().map(|made| made.id.as_str()).collect::<Vec<_>>(), [session]);
    })
    .await;
}

/// Fault case 104.
#[tokio::test]
async fn fault_case_104_calls_are_repeated_a_few_times_only() {
    TestApp::run_with(impatient(), async |app| {
        let acme = app.company("acme").await;
        let answer = |status, body: &str| Misbehaviour::Answer {
            status,
            content_type: "application/json",
            body: body.to_owned(),
        };
        let limited = r#"{"error":{"type":"invalid_request_error","message":"slow down"}}"#;
        for misbehaviour in [
            answer(StatusCode::TOO_MANY_REQUESTS, limited),
            answer(StatusCode::OK, r#"{"id":"cs_te"#),
            Misbehaviour::Reset,
            Misbehaviour::Hang(Duration::from_secs(5)),
        ] {
            let posting = app.unpaid_posting(&acme, &[10_000]).await;
            app.stripe.controls().forget_calls();
            app.stripe.controls().misbehave_on(Method::POST, SESSIONS, usize::MAX, misbehaviour);
            create_payment(&acme, posting).await.expect(503);
            assert!(app.stripe.controls().calls_to(Method::POST, SESSIONS).len() <= 6);
            app.stripe.controls().recover();
            jobs_are_done(app).await;
            create_payment(&acme, posting).await.expect(201);
            assert_eq!(app.stripe.books().sessions_of_posting(&posting.to_string()).len(), 1);
        }
    })
    .await;
}

/// Fault case 105.
#[tokio::test]
async fn fault_case_105_a_refused_key_changes_nothing() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let body =
            r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_***0123"}}"#;
        let refused = Misbehaviour::Answer {
            status: StatusCode::UNAUTHORIZED,
            content_type: "application/json",
            body: body.to_owned(),
        };
        app.stripe.controls().misbehave(SESSIONS, usize::MAX, refused);
        let answer = create_payment(&acme, posting).await;
        assert!(!answer.text.contains("sk_test"));
        answer.expect(503);
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        let errors = "SELECT coalesce(string_agg(last_error, ''), '') FROM job WHERE $1::uuid IS NOT NULL";
        assert!(!value(app, errors, posting.0).await.unwrap().contains("0123"));
        app.stripe.controls().recover();
        create_payment(&acme, posting).await.expect(201);
    })
    .await;
}

/// A tax set-up that Stripe refuses must be seen, and not leave the posting stuck.
#[tokio::test]
async fn a_refused_page_is_a_bad_gateway() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let body =
            r#"{"error":{"type":"invalid_request_error","code":"customer_tax_location_invalid","message":"tax"}}"#;
        let refused = Misbehaviour::Answer {
            status: StatusCode::BAD_REQUEST,
            content_type: "application/json",
            body: body.to_owned(),
        };
        app.stripe.controls().misbehave_on(Method::POST, SESSIONS, 1, refused);
        create_payment(&acme, posting).await.expect(502);
        create_payment(&acme, posting).await.expect(201);
    })
    .await;
}

/// A page that is nearly over is replaced.
#[tokio::test]
async fn a_page_about_to_end_is_replaced() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let first = open_session(&acme, posting).await;
        execute(app, "UPDATE payment_session SET expires_at = now() + interval '4 minutes'").await;
        let second = open_session(&acme, posting).await;
        assert_ne!(first, second);
        assert!(app.stripe.pay(&first).is_err(), "the first page is over at Stripe too");
        app.stripe.pay(&second).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
    })
    .await;
}

/// Fault cases 89 and 90: an event that tells of another payment than the recorded one.
#[tokio::test]
async fn fault_case_89_90_a_payment_that_contradicts_the_record_is_set_aside() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let other = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        app.stripe.pay(&session).unwrap();
        let told = app.stripe.events_of("checkout.session.completed").remove(0);
        let truth: Value = serde_json::from_str(&told.body).unwrap();
        let set = |path: &str, value: Value| {
            let mut event = truth.clone();
            event["id"] = json!(format!("evt_{}", path.replace('/', "_")));
            *event.pointer_mut(&format!("/data/object{path}")).unwrap() = value;
            event
        };
        for (event, outcome) in [
            (set("/metadata/jobPostingId", json!(other)), "quarantined: the metadata names another posting"),
            (set("/amount_subtotal", json!(50)), "quarantined: the amount differs"),
            (set("/currency", json!("usd")), "quarantined: the currency differs"),
            (set("/payment_status", json!("unpaid")), "not paid"),
        ] {
            send_webhook(app, &event.to_string()).await.expect(200);
            assert_eq!(outcome_of(app, &text(&event, "id")).await, outcome);
        }
        let mut nothing = set("/payment_status", json!("no_payment_required"));
        nothing["id"] = json!("evt_nothing");
        send_webhook(app, &nothing.to_string()).await.expect(200);
        assert_eq!(outcome_of(app, "evt_nothing").await, "quarantined: nothing was to be paid");
        for id in [posting, other] {
            assert_eq!(app.posting_status(id).await, "PENDING_PAYMENT");
        }
        send_webhook(app, &told.body).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        books_agree(app).await;
    })
    .await;
}

/// A session of ours whose id was lost in a crash is adopted; one that only looks like ours is not.
#[tokio::test]
async fn a_session_lost_in_a_crash_is_adopted() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        execute(app, "UPDATE payment_session SET status = 'CREATING', stripe_session_id = NULL, url = NULL").await;
        let told = app.stripe.events_of("checkout.session.completed").remove(0);
        let mut forged: Value = serde_json::from_str(&told.body).unwrap();
        forged["id"] = json!("evt_forged");
        forged["data"]["object"]["amount_subtotal"] = json!(50);
        send_webhook(app, &forged.to_string()).await.expect(200);
        assert!(outcome_of(app, "evt_forged").await.starts_with("quarantined"));
        send_webhook(app, &told.body).await.expect(200);
        status_becomes(app, posting, "PUBLISHED").await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_pays_publishes_and_cancels() {
    TestApp::run(async |app| {
        let (acme, globex, alice) =
            (app.company("acme").await, app.company("globex").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        for (path, body) in [
            ("create-payment", checkout_body(&globex, posting)),
            ("publish", json!({})),
            ("cancel", json!({ "reason": "x" })),
        ] {
            let path = format!("/job-postings/{posting}/{path}");
            app.anonymous().post(&path, body.clone()).await.expect(401);
            globex.post(&path, body.clone()).await.expect(403);
            alice.post(&path, body).await.expect(403);
        }
        let publish = acme.post(&format!("/job-postings/{posting}/publish"), json!({})).await;
        assert_eq!(publish.message(), "Cette annonce doit être payée avant d'être publiée");
        publish.expect(409);
        acme.post(&format!("/job-postings/{posting}/payment"), json!({})).await.expect(403);
        app.anonymous().post(&format!("/job-postings/{posting}/payment"), json!({})).await.expect(401);
    })
    .await;
}

/// A posting that is deleted keeps the sessions that Stripe knows: what is paid all the same goes back.
#[tokio::test]
async fn a_payment_of_a_deleted_posting_goes_back() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        // Given up here, while the page can still be paid.
        execute(app, "UPDATE payment_session SET status = 'EXPIRED', url = NULL").await;
        acme.delete(&format!("/job-postings/{posting}")).await.expect(200);
        app.stripe.pay(&session).unwrap();
        eventually("the payment is refunded", async || app.stripe.books().refunds.len() == 1).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let kept = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, kept, posting.0).await.as_deref(), Some("REFUNDED"));
        books_agree(app).await;
    })
    .await;
}

/// After the first payment was given back by hand, an older page that is paid does not bring the posting back to life.
#[tokio::test]
async fn a_second_payment_of_a_refunded_posting_goes_back() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let first = open_session(&acme, posting).await;
        execute(app, "UPDATE payment_session SET status = 'EXPIRED', url = NULL").await;
        let paid = app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        app.accepted_project(posting, &alice, &acme).await;
        app.stripe.refund_from_dashboard(&paid.payment_intent, None).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        app.stripe.pay(&first).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds.len(), 2);
        books_agree(app).await;
    })
    .await;
}

/// Whoever asks again and again while Stripe is away does not make it be asked as often.
#[tokio::test]
async fn asking_again_respects_the_pauses() {
    TestApp::run_with(impatient(), async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.controls().misbehave_on(Method::POST, SESSIONS, usize::MAX, Misbehaviour::Reset);
        create_payment(&acme, posting).await.expect(503);
        app.stripe.controls().forget_calls();
        let began = std::time::Instant::now();
        for answer in join_all((0..30).map(|_| create_payment(&acme, posting))).await {
            assert_eq!(answer.status, 503, "{}", answer.text);
        }
        // An attempt a second, of three calls each, however many ask; a minute of it on a slow machine would still be few.
        let attempts = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
        let calls = app.stripe.controls().calls_to(Method::POST, SESSIONS).len();
        assert!(calls <= 3 * attempts, "{calls} calls for 30 requests");
        app.stripe.controls().recover();
        create_payment(&acme, posting).await.expect(201);
        assert_eq!(app.stripe.books().sessions.len(), 1);
    })
    .await;
}

/// Two attempts that both looked for a session after a stored failure make one new key, and so one page.
#[tokio::test]
async fn one_new_key_follows_a_stored_failure() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        open_session(&acme, posting).await;
        let (id, key): (uuid::Uuid, String) =
            sqlx::query_as("UPDATE payment_session SET status = 'CREATING' RETURNING id, idempotency_key")
                .fetch_one(&app.pool)
                .await
                .unwrap();
        let mut connection = app.pool.acquire().await.unwrap();
        for _ in 0..2 {
            freehunt_domain::payments::queries::sessions::update_next_key(&mut connection, id.into(), &key)
                .await
                .unwrap();
        }
        let number = "SELECT key_number::text FROM payment_session WHERE id = $1";
        assert_eq!(value(app, number, id).await.as_deref(), Some("2"));
        execute(app, "UPDATE payment_session SET status = 'OPEN'").await;
    })
    .await;
}

/// A key that is a day old is not used before a look at what it made.
#[tokio::test]
async fn an_old_checkout_key_is_looked_up_first() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        app.stripe.expire_idempotency_keys();
        execute(
            app,
            "UPDATE payment_session
             SET status = 'CREATING', stripe_session_id = NULL, url = NULL, key_used_at = now() - interval '25 hours'",
        )
        .await;
        assert_eq!(open_session(&acme, posting).await, session);
        assert_eq!(app.stripe.books().sessions.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 142: a transaction that lost against another one is run again three times, then the client is told to come
/// back later, and nothing has changed.
#[tokio::test]
async fn fault_case_142_lost_transactions_are_run_again() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        // Sequences do not go back with their transaction, so that they count the attempts.
        execute(app, "CREATE SEQUENCE attempt").await;
        execute(
            app,
            r#"CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN
                   IF NEW."status" = 'CANCELED' AND nextval('attempt') <= 4 THEN
                       RAISE EXCEPTION 'lost' USING ERRCODE = '40P01';
                   END IF;
                   RETURN NEW;
               END $$"#,
        )
        .await;
        execute(app, r#"CREATE TRIGGER lose BEFORE UPDATE ON "JobPosting" FOR EACH ROW EXECUTE FUNCTION lose()"#).await;
        let lost = cancel(&acme, posting).await;
        assert!(lost.headers.contains_key("retry-after"));
        lost.expect(503);
        assert_eq!(app.posting_status(posting).await, "PUBLISHED");
        let attempts: i64 = sqlx::query_scalar("SELECT last_value FROM attempt").fetch_one(&app.pool).await.unwrap();
        assert_eq!(attempts, 4, "one attempt and three repetitions");
        execute(app, "ALTER SEQUENCE attempt RESTART WITH 2").await;
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "succeeded");
        assert_eq!(app.stripe.books().refunds.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 154, for Stripe: a name that does not resolve is Stripe being away.
#[tokio::test]
async fn fault_case_154_a_name_that_does_not_resolve_is_an_outage() {
    let options =
        TestOptions::default().with("STRIPE_API_URL", "http://stripe.invalid/").with("STRIPE_TIMEOUT_MS", "800");
    TestApp::run_with(options, async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let answer = create_payment(&acme, posting).await;
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.text.contains("stripe.invalid"));
        answer.expect(503);
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, status, posting.0).await.as_deref(), Some("CREATING"));
    })
    .await;
}
