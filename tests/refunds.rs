//! Money that goes back: on cancellation, by hand, and what an operator sees of differences.

use freehunt_domain::{
    Cents,
    ids::JobPostingId,
    payments::{
        ProviderRefund, ProviderRefundState, allow_acceptance, queries::refunds::list_troubled_refunds, record_refunds,
        retry_refund,
    },
};
use freehunt_jobs::reconcile::reconcile;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, eventually};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::money::{
    a_job_waits, books_agree, cancel, events_are_lost, execute, jobs_are_done, jobs_pause, keys_rest, status_becomes,
    value,
};

const REFUNDS: &str = "/v1/refunds";
const INTENT: &str = "SELECT status FROM refund_intent WHERE job_posting_id = $1";
const REFUND_ID: &str = r#"SELECT "stripeRefundId" FROM "JobPosting" WHERE "id" = $1"#;

/// Fault case 121.
#[tokio::test]
async fn fault_case_121_parallel_cancellations_refund_once() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[45_050]).await;
        let answers = join_all((0..10).map(|_| cancel(&acme, posting))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((won.len(), lost.iter().filter(|answer| answer.status == 409).count()), (1, 9));
        let refund = app.stripe.books().refunds[0].clone();
        assert_eq!(
            won[0].body,
            json!({
                "success": true, "message": "Job posting has been canceled and refund has been processed",
                "refundId": refund.id, "refundAmount": 450.5, "refundStatus": "succeeded"
            })
        );
        assert_eq!(app.stripe.books().refunds.len(), 1);
        assert_eq!(value(app, REFUND_ID, posting.0).await, Some(refund.id));
        books_agree(app).await;
    })
    .await;
}

/// Fault case 122: the answer is lost, or a failure is stored under the key.
#[tokio::test]
async fn fault_case_122_a_lost_refund_is_made_once() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let lost = app.published_posting(&acme, &[10_000]).await;
        // An event would tell of the refund before the answer does.
        app.stripe.webhooks_enabled(false);
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::LoseAnswer);
        let pending = cancel(&acme, lost).await.expect(201);
        assert_eq!(pending["refundStatus"], "pending");
        assert_eq!(pending["refundAmount"], 100);
        assert!(pending.get("refundId").is_none());
        app.stripe.controls().recover();
        eventually("the refund is entered", async || value(app, INTENT, lost.0).await.as_deref() == Some("SUCCEEDED"))
            .await;

        app.stripe.webhooks_enabled(true);
        let stored = app.published_posting(&acme, &[20_000]).await;
        app.stripe.store_500_after_work_for_next(REFUNDS);
        assert_eq!(cancel(&acme, stored).await.expect(201)["refundStatus"], "succeeded");

        let undone = app.published_posting(&acme, &[30_000]).await;
        app.stripe.store_500_for_next(REFUNDS);
        assert_eq!(cancel(&acme, undone).await.expect(201)["refundStatus"], "pending");
        // The key's first request could still be running for a while; only then another key follows.
        keys_rest(app).await;
        jobs_are_done(app).await;
        for posting in [lost, stored, undone] {
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
            assert!(value(app, REFUND_ID, posting.0).await.is_some());
        }
        assert_eq!(app.stripe.books().refunds.len(), 3);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 123.
#[tokio::test]
async fn fault_case_123_a_refund_made_by_hand_before_is_recorded_as_done() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.webhooks_enabled(false);
        // The event that published it looks for refunds, too.
        jobs_are_done(app).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        let refund = app.stripe.refund_from_dashboard(&payment, None).unwrap();
        let canceled = cancel(&acme, posting).await.expect(201);
        assert_eq!(canceled["refundStatus"], "succeeded");
        assert_eq!(canceled["refundId"], refund);
        assert_eq!(app.stripe.books().refunds.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Part of it was refunded by hand: the rest goes back.
#[tokio::test]
async fn a_partial_refund_by_hand_is_taken_into_account() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let known = app.published_posting(&acme, &[10_000]).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        app.stripe.refund_from_dashboard(&payment, Some(3_000)).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.posting_status(known).await, "PUBLISHED");
        assert_eq!(cancel(&acme, known).await.expect(201)["refundAmount"], 70);

        let unknown = app.published_posting(&acme, &[10_000]).await;
        app.stripe.webhooks_enabled(false);
        jobs_are_done(app).await;
        let payment = app.stripe.books().payment_intents[1].id.clone();
        app.stripe.refund_from_dashboard(&payment, Some(3_000)).unwrap();
        assert_eq!(cancel(&acme, unknown).await.expect(201)["refundStatus"], "succeeded");
        books_agree(app).await;
    })
    .await;
}

/// The dashboard refunds a published posting: it ends, unless somebody works on it.
#[tokio::test]
async fn a_full_refund_by_hand_cancels_a_posting_without_candidate() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let free = app.published_posting(&acme, &[10_000]).await;
        let refund = app.stripe.refund_from_dashboard(&app.stripe.books().payment_intents[0].id, None).unwrap();
        status_becomes(app, free, "CANCELED").await;
        assert_eq!(value(app, REFUND_ID, free.0).await, Some(refund));

        let taken = app.published_posting(&acme, &[20_000]).await;
        app.accepted_project(taken, &alice, &acme).await;
        app.stripe.refund_from_dashboard(&app.stripe.books().payment_intents[1].id, None).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.posting_status(taken).await, "PUBLISHED");
        let checkpoint = app.checkpoint_ids(taken).await[0];
        crate::money::advance(&acme, checkpoint).await.expect(409);
        books_agree(app).await;
    })
    .await;
}

/// The bank takes its time, then refuses: an operator hears of it and may try again.
#[tokio::test]
async fn a_refund_that_fails_later_can_be_repeated() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.keep_refunds_pending(true);
        let pending = cancel(&acme, posting).await.expect(201);
        assert_eq!(pending["refundStatus"], "pending");
        let first = app.stripe.books().refunds[0].id.clone();
        assert_eq!(pending["refundId"], first.as_str());
        books_agree(app).await;
        app.stripe.set_refund_status(&first, "failed").unwrap();
        eventually("the failure is known", async || value(app, INTENT, posting.0).await.as_deref() == Some("FAILED"))
            .await;
        app.stripe.keep_refunds_pending(false);
        let intent: Uuid = sqlx::query_scalar("SELECT id FROM refund_intent").fetch_one(&app.pool).await.unwrap();
        assert!(retry_refund(&app.state.pool, intent.into(), "test").await.unwrap());
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds.iter().filter(|refund| refund.counts()).count(), 1);
        books_agree(app).await;
    })
    .await;
}

/// A look at Stripe from before is entered after the news: what is known of a refund never goes backwards.
#[tokio::test]
async fn an_old_look_at_a_refund_changes_nothing() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for (news, expected) in [("succeeded", "SUCCEEDED"), ("failed", "FAILED")] {
            let posting = app.published_posting(&acme, &[10_000]).await;
            app.stripe.keep_refunds_pending(true);
            assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "pending");
            app.stripe.keep_refunds_pending(false);
            let refund = app.stripe.books().refunds.pop().unwrap();
            app.stripe.set_refund_status(&refund.id, news).unwrap();
            eventually("the news is known", async || value(app, INTENT, posting.0).await.as_deref() == Some(expected))
                .await;
            let old = ProviderRefund {
                id: refund.id.clone(),
                amount: Cents(refund.amount),
                state: ProviderRefundState::Pending,
                intent: refund.metadata["refundIntentId"].parse::<Uuid>().ok().map(Into::into),
            };
            record_refunds(&app.state.pool, &refund.payment_intent, &[old]).await.unwrap();
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some(expected));
        }
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Stripe refuses for good: the cancellation stays, and says whom to ask.
#[tokio::test]
async fn a_refused_refund_points_to_support() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let body = json!({ "error": { "type": "invalid_request_error", "code": "charge_not_refundable", "message": "no" } });
        let refused = Misbehaviour::Answer {
            status: StatusCode::BAD_REQUEST,
            content_type: "application/json",
            body: body.to_string(),
        };
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, 1, refused);
        assert_eq!(
            cancel(&acme, posting).await.expect(201),
            json!({
                "success": true,
                "message": "Job posting has been canceled, but there was an issue processing the refund. Please contact support."
            })
        );
        assert_eq!(app.posting_status(posting).await, "CANCELED");
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("FAILED"));
        books_agree(app).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_over_or_taken_cannot_be_canceled() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let taken = app.published_posting(&acme, &[10_000]).await;
        app.accepted_project(taken, &alice, &acme).await;
        cancel(&acme, taken).await.expect(409);
        let can = acme.get(&format!("/job-postings/{taken}/can-be-cancelled")).await.expect(200);
        assert_eq!(can, json!({ "canBeCancelled": false }));
        for status in ["EXPIRED", "REJECTED"] {
            let over = app.unpaid_posting(&acme, &[10_000]).await;
            sqlx::query(r#"UPDATE "JobPosting" SET "status" = $2::"JobPostingStatus" WHERE "id" = $1"#)
                .bind(over.0)
                .bind(status)
                .execute(&app.pool)
                .await
                .unwrap();
            let refused = cancel(&acme, over).await;
            assert_eq!(refused.message(), "Cannot cancel a job posting that is already expired or rejected");
            refused.expect(409);
        }
        let body = acme.post(&format!("/job-postings/{taken}/cancel"), json!({ "reason": 5 })).await;
        assert_eq!(body.message(), "reason must be shorter than or equal to 500 characters\nreason must be a string");
        assert!(app.stripe.books().refunds.is_empty());
    })
    .await;
}

/// D8: a posting of the original's, published without a recorded payment.
#[tokio::test]
async fn a_legacy_posting_needs_an_operators_word() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        execute(app, r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED'"#).await;
        execute(app, r#"INSERT INTO legacy_publication (job_posting_id) SELECT "id" FROM "JobPosting""#).await;
        let application = json!({ "freelanceId": alice.freelance_id(), "jobPostingId": posting, "status": "PENDING" });
        let candidate = alice.post("/candidates/", application).await.expect(201);
        let path = format!("/candidates/{}/company", candidate["id"].as_str().unwrap());
        acme.put(&path, json!({ "status": "ACCEPTED" })).await.expect(409);
        assert!(allow_acceptance(&app.state.pool, posting, "test").await.unwrap());
        acme.put(&path, json!({ "status": "ACCEPTED" })).await.expect(200);

        let other = app.unpaid_posting(&acme, &[10_000]).await;
        sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'PAID' WHERE "id" = $1"#)
            .bind(other.0)
            .execute(&app.pool)
            .await
            .unwrap();
        acme.post(&format!("/job-postings/{other}/publish"), json!({})).await.expect(409);
        assert_eq!(cancel(&acme, other).await.expect(201)["message"], "Job posting has been canceled successfully");
    })
    .await;
}

/// Fault case 124.
#[tokio::test]
async fn fault_case_124_differences_are_reported_and_nothing_is_moved() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        app.stripe.pay(&crate::money::open_session(&acme, posting).await).unwrap();
        let mut connection = app.pool.acquire().await.unwrap();
        let report = reconcile(&app.state.stripe, &mut connection).await.unwrap();
        assert_eq!(report.mismatches.iter().map(|mismatch| mismatch.what).collect::<Vec<_>>(), ["payment"]);
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '61 seconds'").await;
        app.state.jobs.sweep().await.unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        jobs_are_done(app).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        app.stripe.refund_from_dashboard(&payment, Some(1_000)).unwrap();
        execute(app, "UPDATE payment_session SET amount_subtotal_cents = 9999").await;
        app.stripe.controls().forget_calls();
        let report = reconcile(&app.state.stripe, &mut connection).await.unwrap();
        assert_eq!(report.mismatches.iter().map(|mismatch| mismatch.what).collect::<Vec<_>>(), ["price", "refunds"]);
        assert_eq!(report.violations.iter().map(|violation| violation.invariant).collect::<Vec<_>>(), ["I10"]);
        assert!(app.stripe.controls().calls().iter().all(|call| call.method == Method::GET));
        execute(app, "UPDATE payment_session SET amount_subtotal_cents = 10000").await;

        // What only Stripe knows: a payment and a transfer of ours that no row speaks of.
        execute(app, "DELETE FROM ledger_entry").await;
        let kept = "UPDATE payment_session SET stripe_session_id = 'cs_test_gone', stripe_payment_intent_id = NULL";
        execute(app, kept).await;
        let report = reconcile(&app.state.stripe, &mut connection).await.unwrap();
        let found: Vec<_> = report.mismatches.iter().map(|mismatch| mismatch.what).collect();
        assert_eq!(found, ["session", "unrecorded payment"]);
    })
    .await;
}

/// A part of a payment could be refunded twice at Stripe: a later key never goes out without a look at the earlier one.
#[tokio::test]
async fn a_partial_refund_is_looked_up_before_another_key() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.published_posting(&acme, &[10_000, 30_000]).await;
        let project = app.accepted_project(posting, &alice, &acme).await;
        crate::money::advance(&acme, app.checkpoint_ids(posting).await[0]).await.expect(200);
        app.stripe.webhooks_enabled(false);
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::LoseAnswer);
        let canceled =
            freehunt_domain::payments::cancel_project::cancel_project(&app.state.pool, project.into(), "ops", "x");
        canceled.await.unwrap();
        app.state.jobs.wake();
        eventually("Stripe made the refund", async || app.stripe.books().refunds.len() == 1).await;
        // As if its key had been rotated after a failure that did not prove anything.
        execute(app, "UPDATE refund_intent SET key_number = 2, key_used_at = NULL, key_sent_at = NULL").await;
        app.stripe.controls().recover();
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
        assert_eq!(app.stripe.books().refunds.len(), 1);
        books_agree(app).await;
    })
    .await;
}

const AMOUNT: &str = "SELECT amount_cents::text FROM refund_intent WHERE job_posting_id = $1";

/// A project whose larger checkpoint is paid: Stripe would give back far more than what is left of its payment.
async fn a_project_half_paid(app: &TestApp) -> (JobPostingId, Uuid, String) {
    let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
    // Other customers' money, out of which Stripe would pay.
    app.published_posting(&acme, &[90_000]).await;
    let posting = app.published_posting(&acme, &[30_000, 10_000]).await;
    let payment = app.stripe.books().payment_intents.last().unwrap().id.clone();
    let project = app.accepted_project(posting, &alice, &acme).await;
    crate::money::advance(&acme, app.checkpoint_ids(posting).await[0]).await.expect(200);
    app.stripe.wait_until_delivered().await;
    jobs_are_done(app).await;
    app.stripe.webhooks_enabled(false);
    (posting, project, payment)
}

async fn cancel_project(app: &TestApp, project: Uuid) {
    let canceled =
        freehunt_domain::payments::cancel_project::cancel_project(&app.state.pool, project.into(), "ops", "x");
    canceled.await.unwrap();
    app.state.jobs.wake();
}

/// What is given back by hand while our own refund is under way is taken off it, and the smaller amount goes out only
/// when the larger one is known to have come to nothing.
#[tokio::test]
async fn a_refund_by_hand_shrinks_one_that_is_under_way() {
    TestApp::run(async |app| {
        let (posting, project, payment) = a_project_half_paid(app).await;
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::Reset);
        cancel_project(app, project).await;
        let sent = "SELECT (key_sent_at IS NOT NULL)::text FROM refund_intent WHERE job_posting_id = $1";
        eventually("the refund was asked for", async || value(app, sent, posting.0).await.as_deref() == Some("true"))
            .await;
        assert_eq!(value(app, AMOUNT, posting.0).await.as_deref(), Some("10895"));
        jobs_pause(app).await;
        app.stripe.refund_from_dashboard(&payment, Some(10_000)).unwrap();
        app.stripe.controls().recover();
        a_job_waits(app, "an earlier request may still be carried out").await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("PENDING"));
        assert_eq!(value(app, AMOUNT, posting.0).await.as_deref(), Some("895"));
        assert_eq!(app.stripe.books().refunds.len(), 1, "only the one by hand");
        keys_rest(app).await;
        jobs_are_done(app).await;
        let refunds = app.stripe.books().refunds;
        assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [10_000, 895]);
        let key = refunds[1].idempotency_key.clone().unwrap();
        assert!(key.ends_with(":2"), "{key}");
        books_agree(app).await;
    })
    .await;
}

/// As above, before anything was asked for: what Stripe knows to be refunded is entered first, and nothing has to wait.
#[tokio::test]
async fn a_refund_by_hand_that_nobody_told_of_is_taken_off() {
    TestApp::run(async |app| {
        let (posting, project, payment) = a_project_half_paid(app).await;
        app.stripe.refund_from_dashboard(&payment, Some(10_000)).unwrap();
        cancel_project(app, project).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, AMOUNT, posting.0).await.as_deref(), Some("895"));
        let refunds = app.stripe.books().refunds;
        assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [10_000, 895]);
        books_agree(app).await;
    })
    .await;
}

/// What was asked for and made, though nobody heard of it, is found although others have refunded since.
#[tokio::test]
async fn a_refund_that_was_made_is_not_made_smaller_again() {
    TestApp::run(async |app| {
        let (posting, project, payment) = a_project_half_paid(app).await;
        app.stripe.refund_from_dashboard(&payment, Some(5_000)).unwrap();
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::LoseAnswer);
        cancel_project(app, project).await;
        eventually("Stripe made it", async || app.stripe.books().refunds.len() == 2).await;
        app.stripe.controls().recover();
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
        assert_eq!(value(app, AMOUNT, posting.0).await.as_deref(), Some("5895"));
        assert_eq!(app.stripe.books().refunds.len(), 2);
        books_agree(app).await;
    })
    .await;
}

/// What was taken back of a transfer goes to the company with the rest, and breaks no rule (I2).
#[tokio::test]
async fn what_was_taken_back_of_a_transfer_is_refunded_too() {
    TestApp::run(async |app| {
        let (posting, project, _) = a_project_half_paid(app).await;
        app.stripe.webhooks_enabled(true);
        app.stripe.reverse_transfer(&app.stripe.books().transfers[0].id, Some(5_000)).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        cancel_project(app, project).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, AMOUNT, posting.0).await.as_deref(), Some("15895"));
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// While the bank holds the money a refund waits: it is made when the dispute is won, and never when the money is lost.
#[tokio::test]
async fn a_refund_waits_for_the_end_of_a_dispute() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for is_won in [true, false] {
            let posting = app.published_posting(&acme, &[10_000]).await;
            app.stripe.wait_until_delivered().await;
            jobs_are_done(app).await;
            app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::Reset);
            assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "pending");
            jobs_pause(app).await;
            let dispute = app.stripe.dispute(&app.stripe.books().charges.last().unwrap().id).unwrap();
            app.stripe.wait_until_delivered().await;
            let disputed = "SELECT status FROM dispute WHERE job_posting_id = $1";
            eventually("the dispute is known", async || value(app, disputed, posting.0).await.is_some()).await;
            app.stripe.controls().recover();
            a_job_waits(app, "the bank holds the payment").await;
            app.stripe.close_dispute(&dispute, is_won).unwrap();
            app.stripe.wait_until_delivered().await;
            keys_rest(app).await;
            jobs_are_done(app).await;
            let expected = if is_won { "SUCCEEDED" } else { "FAILED" };
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some(expected));
            assert_eq!(app.stripe.books().refunds.len(), 1, "the first one only");
        }
        let code = "SELECT failure_code FROM refund_intent WHERE status = 'FAILED' AND $1::uuid IS NOT NULL";
        assert_eq!(value(app, code, Uuid::nil()).await.as_deref(), Some("nothing_left"));
        books_agree(app).await;
    })
    .await;
}

async fn troubled(app: &TestApp) -> Vec<(String, Option<String>)> {
    let mut connection = app.pool.acquire().await.unwrap();
    let listed = list_troubled_refunds(&mut connection).await.unwrap();
    listed.into_iter().map(|refund| (format!("{:?}", refund.status), refund.failure_code)).collect()
}

const FAILURE: &str = "SELECT failure_code FROM refund_intent WHERE job_posting_id = $1";
const DISPUTE: &str = "SELECT status FROM dispute WHERE job_posting_id = $1";

/// Stripe refuses because of a dispute that no event has told of: the refund waits where an operator sees it, and is made
/// under another key when the dispute is won, or ends when the money is lost.
#[tokio::test]
async fn a_refund_that_is_refused_for_a_dispute_waits_for_its_end() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for is_won in [true, false] {
            let posting = app.published_posting(&acme, &[10_000]).await;
            app.stripe.wait_until_delivered().await;
            jobs_are_done(app).await;
            events_are_lost(app).await;
            let dispute = app.stripe.dispute(&app.stripe.books().charges.last().unwrap().id).unwrap();
            let canceled = cancel(&acme, posting).await.expect(201);
            assert_eq!(canceled["refundStatus"], "pending", "{canceled}");
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("PENDING"));
            assert_eq!(value(app, DISPUTE, posting.0).await.as_deref(), Some("needs_response"), "it was asked about");
            assert_eq!(troubled(app).await, [("Pending".to_owned(), Some("charge_disputed".to_owned()))]);
            a_job_waits(app, "the bank holds the payment").await;
            let asked = app.stripe.controls().calls_to(Method::POST, REFUNDS).len();
            app.stripe.webhooks_enabled(true);
            app.stripe.close_dispute(&dispute, is_won).unwrap();
            app.stripe.wait_until_delivered().await;
            keys_rest(app).await;
            jobs_are_done(app).await;
            let expected = if is_won { ("SUCCEEDED", None, 1) } else { ("FAILED", Some("nothing_left"), 0) };
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some(expected.0));
            assert_eq!(value(app, FAILURE, posting.0).await.as_deref(), expected.1);
            assert_eq!(app.stripe.controls().calls_to(Method::POST, REFUNDS).len() - asked, expected.2);
            assert!(troubled(app).await.is_empty());
        }
        let refunds = app.stripe.books().refunds;
        assert_eq!(refunds.len(), 1);
        assert!(refunds[0].idempotency_key.as_ref().unwrap().ends_with(":2"));
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Stripe knows of no dispute, or of none that is open: what it refused for one is asked for again, once under a key that
/// went out after the end; what it refuses then is refused.
#[tokio::test]
async fn a_refusal_for_a_dispute_that_is_over_is_asked_once_more() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let dispute = app.stripe.dispute_part(&app.stripe.books().charges[0].id, 4_000).unwrap();
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let refuse = || {
            let body = json!({ "error": { "type": "invalid_request_error", "code": "refund_disputed_payment", "message": "no" } });
            let (status, content_type) = (StatusCode::BAD_REQUEST, "application/json");
            let refused = Misbehaviour::Answer { status, content_type, body: body.to_string() };
            app.stripe.controls().misbehave_on(Method::POST, REFUNDS, 1, refused);
        };
        // As if the end were heard of after the refund was asked for.
        execute(app, "UPDATE dispute SET closed_at = closed_at + interval '1 minute'").await;
        refuse();
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "pending");
        a_job_waits(app, "an earlier request may still be carried out").await;
        execute(app, "UPDATE dispute SET closed_at = closed_at - interval '2 minutes'").await;
        refuse();
        keys_rest(app).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("FAILED"));
        assert_eq!(troubled(app).await, [("Failed".to_owned(), Some("refund_disputed_payment".to_owned()))]);
        let intent: Uuid = sqlx::query_scalar("SELECT id FROM refund_intent").fetch_one(&app.pool).await.unwrap();
        assert!(retry_refund(&app.state.pool, intent.into(), "test").await.unwrap());
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [6_000]);
        books_agree(app).await;
    })
    .await;
}

/// A bank that only asks holds nothing; when it takes the money after all, a refund waits.
#[tokio::test]
async fn an_inquiry_that_becomes_a_dispute_holds_a_refund() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::Reset);
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "pending");
        jobs_pause(app).await;
        let inquiry = app.stripe.inquire(&app.stripe.books().charges[0].id, 10_000).unwrap();
        let stands = async |status: &str| {
            eventually("the bank's word is known", async || {
                value(app, DISPUTE, posting.0).await.as_deref() == Some(status)
            })
            .await;
        };
        stands("warning_needs_response").await;
        let taken = "SELECT coalesce(sum(amount_cents), 0)::text FROM ledger_entry
                     WHERE job_posting_id = $1 AND kind = 'dispute'";
        assert_eq!(value(app, taken, posting.0).await.as_deref(), Some("0"));
        app.stripe.set_dispute_status(&inquiry, "needs_response").unwrap();
        stands("needs_response").await;
        assert_eq!(value(app, taken, posting.0).await.as_deref(), Some("-10000"));
        jobs_pause(app).await;
        app.stripe.controls().recover();
        app.stripe.controls().forget_calls();
        a_job_waits(app, "the bank holds the payment").await;
        assert_eq!(troubled(app).await, [("Pending".to_owned(), None)]);
        assert!(app.stripe.controls().calls_to(Method::POST, REFUNDS).is_empty());
        app.stripe.close_dispute(&inquiry, true).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// The bank changes its mind and gives back what it had taken for good: what was to be refunded then is refunded after
/// all, and what was given up without a refund is refunded too.
#[tokio::test]
async fn what_a_bank_gives_back_is_refunded_after_all() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let settled = async || {
            app.stripe.wait_until_delivered().await;
            keys_rest(app).await;
            jobs_are_done(app).await;
        };
        // Asked for, and never made.
        let waiting = app.published_posting(&acme, &[10_000]).await;
        // Given up when there was nothing to refund.
        let given_up = app.published_posting(&acme, &[20_000]).await;
        let project_given_up = app.published_posting(&acme, &[30_000]).await;
        let project = app.accepted_project(project_given_up, &alice, &acme).await;
        settled().await;
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::Reset);
        assert_eq!(cancel(&acme, waiting).await.expect(201)["refundStatus"], "pending");
        jobs_pause(app).await;
        let mut disputes = Vec::new();
        for charge in app.stripe.books().charges {
            let dispute = app.stripe.dispute(&charge.id).unwrap();
            app.stripe.close_dispute(&dispute, false).unwrap();
            disputes.push(dispute);
        }
        app.stripe.controls().recover();
        settled().await;
        assert_eq!(value(app, FAILURE, waiting.0).await.as_deref(), Some("nothing_left"));
        assert!(cancel(&acme, given_up).await.expect(201).get("refundStatus").is_none());
        cancel_project(app, project).await;
        settled().await;
        assert!(app.stripe.books().refunds.is_empty());
        assert!(troubled(app).await.is_empty());
        books_agree(app).await;
        // Taken up again first, then decided.
        app.stripe.set_dispute_status(&disputes[0], "under_review").unwrap();
        a_job_waits(app, "the bank holds the payment").await;
        assert_eq!(troubled(app).await, [("Pending".to_owned(), None)]);
        for dispute in &disputes {
            app.stripe.set_dispute_status(dispute, "won").unwrap();
        }
        settled().await;
        settled().await;
        let mut refunded: Vec<i64> = app.stripe.books().refunds.iter().map(|refund| refund.amount).collect();
        refunded.sort_unstable();
        assert_eq!(refunded, [10_000, 20_000, 30_000]);
        for posting in [waiting, given_up, project_given_up] {
            assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
            assert!(value(app, REFUND_ID, posting.0).await.is_some());
        }
        books_agree(app).await;
    })
    .await;
}

/// What a bank gives back once the rest was refunded is an operator's to give back by hand; it is listed until then.
#[tokio::test]
async fn what_comes_back_after_a_refund_is_listed() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let dispute = app.stripe.dispute_part(&app.stripe.books().charges[0].id, 4_000).unwrap();
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundAmount"], 60);
        assert!(troubled(app).await.is_empty());
        app.stripe.set_dispute_status(&dispute, "won").unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(troubled(app).await, [("Succeeded".to_owned(), None)]);
        app.stripe.refund_from_dashboard(&app.stripe.books().payment_intents[0].id, None).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert!(troubled(app).await.is_empty());
        books_agree(app).await;
    })
    .await;
}

/// Made, though nobody heard of it, and failed since: that is this attempt's end. Nothing asks with the same key again and
/// again; an operator's attempt has another one.
#[tokio::test]
async fn a_refund_that_was_made_untold_and_failed_ends_its_attempt() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        events_are_lost(app).await;
        app.stripe.controls().misbehave_on(Method::POST, REFUNDS, usize::MAX, Misbehaviour::LoseAnswer);
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundStatus"], "pending");
        jobs_pause(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("PENDING"));
        let made = app.stripe.books().refunds[0].id.clone();
        app.stripe.set_refund_status(&made, "failed").unwrap();
        app.stripe.controls().recover();
        app.stripe.controls().forget_calls();
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("FAILED"));
        assert!(app.stripe.controls().calls_to(Method::POST, REFUNDS).is_empty());
        assert_eq!(troubled(app).await, [("Failed".to_owned(), Some("refund_failed".to_owned()))]);
        // One whose failure was booked before anybody took it for the end of the attempt: the key's answer is the end.
        execute(
            app,
            "UPDATE refund_intent SET status = 'PENDING', failure_code = NULL, updated_at = now() - interval '1 minute'",
        )
        .await;
        app.state.jobs.sweep().await.unwrap();
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("FAILED"));
        assert_eq!(app.stripe.books().refunds.len(), 1);
        let intent: Uuid = sqlx::query_scalar("SELECT id FROM refund_intent").fetch_one(&app.pool).await.unwrap();
        assert!(retry_refund(&app.state.pool, intent.into(), "test").await.unwrap());
        keys_rest(app).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, INTENT, posting.0).await.as_deref(), Some("SUCCEEDED"));
        let refunds = app.stripe.books().refunds;
        assert_eq!(refunds.iter().filter(|refund| refund.counts()).count(), 1);
        assert!(refunds[1].idempotency_key.as_ref().unwrap().ends_with(":2"));
        books_agree(app).await;
    })
    .await;
}

/// The bank took a part: the rest of a payment goes back with its posting.
#[tokio::test]
async fn what_a_dispute_left_is_refunded() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let dispute = app.stripe.dispute_part(&app.stripe.books().charges[0].id, 4_000).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        cancel(&acme, posting).await.expect(409);
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundAmount"], 60);
        assert_eq!(app.stripe.books().refunds.iter().map(|refund| refund.amount).sum::<i64>(), 6_000);
        books_agree(app).await;
    })
    .await;
}
