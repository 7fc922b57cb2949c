//! What an operator decides about money: payments that were set aside, projects that will not be finished, disputes.

use std::collections::BTreeMap;

use freehunt_domain::{
    ids::{JobPostingId, ProjectId},
    payments::{
        DisputeFacts, PaymentOutcome, RefundReason,
        cancel_project::{CancelProjectError, cancel_project},
        close_dispute,
        quarantine::{QuarantineError, list_quarantined},
        queries::{disputes::list_open_disputes, refunds::list_troubled_refunds},
        record_dispute,
    },
};
use freehunt_jobs::{
    disputes::{self, CloseDisputeError, ClosedBy},
    set_aside::{self, Decision, DecisionError},
};
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_stripe::CheckoutRequest;
use freehunt_tests::{Persona, TestApp, eventually, settings};
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::money::{
    advance, books_agree, create_payment, events_are_lost, execute, jobs_are_done, open_session, outcome_of,
    send_webhook, status_becomes, value,
};

fn decision(session: &str) -> Decision<'_> {
    Decision { stripe_session_id: session, operator: "ops", live_mode: false }
}

/// A page as the original opened it before the switch: no row of ours knows it.
async fn page_of_the_original(app: &TestApp, owner: &Persona, posting: JobPostingId, cents: i64) -> String {
    let request = CheckoutRequest {
        job_posting_id: posting.to_string(),
        company_id: owner.company_id().to_string(),
        title: "Publication".to_owned(),
        amount_cents: cents,
        customer_email: owner.email.clone(),
        success_url: format!("{}/ok", settings::FRONTEND),
        cancel_url: format!("{}/no", settings::FRONTEND),
        expires_at: app.state.clock.now().timestamp() + 3600,
        metadata: BTreeMap::new(),
    };
    let key = format!("original:{posting}:{cents}");
    app.state.stripe.create_checkout_session(&request, &key).await.expect("the page is made").id
}

async fn pay_unrecorded(app: &TestApp, session: &str) {
    app.stripe.pay(session).unwrap();
    let told = app.stripe.events_of("checkout.session.completed").pop().unwrap();
    assert_eq!(outcome_of(app, &told.id).await, "quarantined: no recorded session");
}

async fn waiting(app: &TestApp) -> Vec<Option<String>> {
    let mut connection = app.pool.acquire().await.unwrap();
    let waiting = list_quarantined(&mut connection).await.unwrap();
    waiting.into_iter().map(|payment| payment.stripe_session_id).collect()
}

async fn actions_of_operators(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(r#"SELECT "action" FROM "Log" WHERE actor_kind = 'operator' ORDER BY "timestamp", "id""#)
        .fetch_all(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_payment_without_a_record_is_adopted() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000, 5_000]).await;
        let session = page_of_the_original(app, &acme, posting, 15_000).await;
        pay_unrecorded(app, &session).await;
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        assert_eq!(waiting(app).await, [Some(session.clone())]);
        let outcome = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Published);
        assert_eq!(app.posting_status(posting).await, "PUBLISHED");
        assert!(waiting(app).await.is_empty());
        let again = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await;
        assert!(matches!(again, Err(DecisionError::Refused(QuarantineError::NotSetAside))), "{again:?}");
        assert_eq!(actions_of_operators(app).await, ["adopt_payment"]);
        books_agree(app).await;
    })
    .await;
}

/// I5: nothing is published on money that went back while the payment was set aside.
#[tokio::test]
async fn a_payment_that_was_refunded_by_hand_is_not_adopted() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 10_000).await;
        pay_unrecorded(app, &session).await;
        app.stripe.refund_from_dashboard(&app.stripe.books().payment_intents[0].id, Some(1_000)).unwrap();
        app.stripe.wait_until_delivered().await;
        let adopted = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await;
        assert!(matches!(adopted, Err(DecisionError::AlreadyRefunded(1_000))), "{adopted:?}");
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        assert_eq!(actions_of_operators(app).await, [""; 0]);
        jobs_are_done(app).await;
    })
    .await;
}

/// X10: a page over fifty cents never publishes, not even by an operator's word; the money goes back and the posting can
/// be paid as it should.
#[tokio::test]
async fn a_payment_of_another_amount_is_given_back() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 50).await;
        pay_unrecorded(app, &session).await;
        let adopted = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await;
        assert!(matches!(adopted, Err(DecisionError::Refused(QuarantineError::Contradiction(_)))), "{adopted:?}");
        let dismissed = set_aside::dismiss(&app.state.pool, &app.state.stripe, decision(&session)).await;
        assert!(matches!(dismissed, Err(DecisionError::Refused(QuarantineError::IsPaid))), "{dismissed:?}");
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
        set_aside::give_back(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        set_aside::give_back(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap_err();
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [50]);
        assert!(waiting(app).await.is_empty());
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// While a payment is set aside no other page is opened; when Stripe tells it as it was asked for, it is adopted.
#[tokio::test]
async fn a_contradiction_that_stripe_does_not_confirm_is_adopted() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        app.stripe.pay(&session).unwrap();
        let told = app.stripe.events_of("checkout.session.completed").remove(0);
        let mut other: Value = serde_json::from_str(&told.body).unwrap();
        other["data"]["object"]["currency"] = json!("usd");
        send_webhook(app, &other.to_string()).await.expect(200);
        assert_eq!(outcome_of(app, &told.id).await, "quarantined: the currency differs");
        assert_eq!(waiting(app).await, [Some(session.clone())]);
        create_payment(&acme, posting).await.expect(409);
        let outcome = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Published);
        assert!(waiting(app).await.is_empty());
        books_agree(app).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_never_paid_is_put_away() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = open_session(&acme, posting).await;
        let object = json!({
            "id": session, "status": "complete", "payment_status": "no_payment_required", "amount_subtotal": 10_000,
            "amount_total": 10_000, "currency": "eur", "livemode": false, "metadata": { "type": "job_posting_payment" },
        });
        let event = app.stripe.send_event("checkout.session.completed", object);
        assert_eq!(outcome_of(app, &event).await, "quarantined: nothing was to be paid");
        let adopted = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await;
        assert!(matches!(adopted, Err(DecisionError::Refused(QuarantineError::NotPaid))), "{adopted:?}");
        set_aside::dismiss(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        assert!(app.stripe.pay(&session).is_err(), "the page is over at Stripe too");
        assert!(waiting(app).await.is_empty());
        assert_ne!(open_session(&acme, posting).await, session);
        books_agree(app).await;
    })
    .await;
}

/// A payment that was put away is known by what Stripe told of it: not before its refund has arrived, and it waits again
/// when that comes back, whether its session is recorded or not.
#[tokio::test]
async fn what_was_put_away_is_recognised() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (pool, stripe) = (&app.state.pool, &app.state.stripe);
        for is_recorded in [true, false] {
            let posting = app.unpaid_posting(&acme, &[10_000]).await;
            let session = if is_recorded {
                app.stripe.webhooks_enabled(false);
                let session = open_session(&acme, posting).await;
                app.stripe.pay(&session).unwrap();
                execute(app, "UPDATE payment_session SET quarantine = 'x', updated_at = now() WHERE status = 'OPEN'")
                    .await;
                session
            } else {
                let session = page_of_the_original(app, &acme, posting, 10_000).await;
                pay_unrecorded(app, &session).await;
                session
            };
            app.stripe.webhooks_enabled(true);
            app.stripe.keep_refunds_pending(true);
            let payment = app.stripe.books().payment_intents.last().unwrap().id.clone();
            let refund = app.stripe.refund_from_dashboard(&payment, None).unwrap();
            let early = set_aside::dismiss(pool, stripe, decision(&session)).await;
            let early = early.expect_err("it may still fail").to_string();
            assert!(early.contains("may still fail"), "{early}");
            app.stripe.set_refund_status(&refund, "succeeded").unwrap();
            set_aside::dismiss(pool, stripe, decision(&session)).await.unwrap();
            assert!(waiting(app).await.is_empty());
            all_is_told(app).await;
            books_agree(app).await;
            // Told once more that it was paid, nobody is asked again.
            let object = app.stripe.object(&session).unwrap();
            let told = app.stripe.send_event("checkout.session.async_payment_succeeded", object);
            assert_eq!(outcome_of(app, &told).await, "ignored: put away by an operator");
            app.stripe.set_refund_status(&refund, "failed").unwrap();
            all_is_told(app).await;
            assert_eq!(waiting(app).await, [Some(session.clone())]);
            app.stripe.keep_refunds_pending(false);
            set_aside::give_back(pool, stripe, decision(&session)).await.unwrap();
            all_is_told(app).await;
            assert_eq!(app.stripe.books().refunds_of(&payment).len(), 1);
            assert!(waiting(app).await.is_empty());
            let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
            assert_eq!(value(app, status, posting.0).await.as_deref(), Some("REFUNDED"));
            books_agree(app).await;
        }
    })
    .await;
}

/// A database that was restored from before its first payment has no record to begin a comparison with.
#[tokio::test]
async fn payments_are_compared_where_none_is_on_record() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 10_000).await;
        app.stripe.webhooks_enabled(false);
        app.stripe.pay(&session).expect("the page is open");
        let mut connection = app.pool.acquire().await.unwrap();
        let report = freehunt_jobs::reconcile::reconcile(&app.state.stripe, &mut connection).await.unwrap();
        let found: Vec<_> = report.mismatches.iter().map(|found| (found.what, found.subject.as_str())).collect();
        assert_eq!(found, [("unrecorded payment", session.as_str())]);
    })
    .await;
}

/// The comparison of the books reports what came back when nobody told.
#[tokio::test]
async fn what_was_put_away_is_compared() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 10_000).await;
        pay_unrecorded(app, &session).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        let refund = app.stripe.refund_from_dashboard(&payment, None).unwrap();
        set_aside::dismiss(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        all_is_told(app).await;
        books_agree(app).await;
        app.stripe.webhooks_enabled(false);
        app.stripe.set_refund_status(&refund, "failed").unwrap();
        let mut connection = app.pool.acquire().await.unwrap();
        let report = freehunt_jobs::reconcile::reconcile(&app.state.stripe, &mut connection).await.unwrap();
        let found: Vec<_> = report.mismatches.iter().map(|found| (found.what, found.subject.as_str())).collect();
        assert_eq!(found, [("payment put away", session.as_str())]);
        drop(connection);
        crate::money::events_are_read(app).await;
        assert_eq!(waiting(app).await, [Some(session)]);
    })
    .await;
}

async fn all_is_told(app: &TestApp) {
    app.stripe.wait_until_delivered().await;
    jobs_are_done(app).await;
}

struct Running {
    acme: Persona,
    alice: Persona,
    posting: JobPostingId,
    project: ProjectId,
    checkpoints: Vec<Uuid>,
}

async fn running(app: &TestApp, amounts: &[i64]) -> Running {
    let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
    let posting = app.published_posting(&acme, amounts).await;
    let project = ProjectId(app.accepted_project(posting, &alice, &acme).await);
    let checkpoints = app.checkpoint_ids(posting).await;
    Running { acme, alice, posting, project, checkpoints }
}

/// State machines §2.3: what was charged and not paid out goes back, what is open is canceled.
#[tokio::test]
async fn a_project_in_progress_is_canceled_by_an_operator() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000, 30_000]).await;
        advance(&running.acme, running.checkpoints[0]).await.expect(200);
        advance(&running.alice, running.checkpoints[1]).await.expect(200);
        let sent = app.stripe.books().transfers[0].amount;
        let canceled = cancel_project(&app.state.pool, running.project, "ops", "the freelance is ill").await.unwrap();
        assert_eq!(canceled.refund_cents.0, 60_000 - sent);
        assert_eq!(canceled.checkpoints.len(), 2);
        jobs_are_done(app).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let refunds = app.stripe.books().refunds;
        assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [60_000 - sent]);
        let statuses: Vec<String> = sqlx::query_scalar(r#"SELECT "status"::text FROM "Checkpoint" ORDER BY "date""#)
            .fetch_all(&app.pool)
            .await
            .unwrap();
        assert_eq!(statuses, ["DONE", "CANCELED", "CANCELED"]);
        let project = r#"SELECT "status"::text FROM "Project" WHERE "id" = $1"#;
        assert_eq!(value(app, project, running.project.0).await.as_deref(), Some("CANCELED"));
        let reason = "SELECT reason FROM refund_intent WHERE job_posting_id = $1";
        let expected = RefundReason::ProjectCanceled.name();
        assert_eq!(value(app, reason, running.posting.0).await.as_deref(), Some(expected));
        advance(&running.acme, running.checkpoints[1]).await.expect(409);
        advance(&running.alice, running.checkpoints[2]).await.expect(409);
        let again = cancel_project(&app.state.pool, running.project, "ops", "again").await;
        assert!(matches!(again, Err(CancelProjectError::Over)), "{again:?}");
        assert_eq!(actions_of_operators(app).await, ["cancel_project"]);
        books_agree(app).await;
    })
    .await;
}

/// Nothing is given back of which a part may be on its way out.
#[tokio::test]
async fn a_project_with_a_pending_transfer_is_not_canceled() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000]).await;
        app.stripe.controls().misbehave_on(Method::POST, "/v1/transfers", usize::MAX, Misbehaviour::Reset);
        advance(&running.acme, running.checkpoints[0]).await.expect(503);
        let refused = cancel_project(&app.state.pool, running.project, "ops", "x").await;
        assert!(matches!(refused, Err(CancelProjectError::TransferPending)), "{refused:?}");
        app.stripe.controls().recover();
        jobs_are_done(app).await;
        let open = r#"SELECT count(*)::text FROM "Checkpoint" WHERE "jobPostingId" = $1 AND "status" = 'CANCELED'"#;
        assert_eq!(value(app, open, running.posting.0).await.as_deref(), Some("0"));
        cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap();
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Stripe refused a transfer a moment ago, and may not have answered an earlier request for it: its money is not given back
/// before that can no longer be carried out.
#[tokio::test]
async fn a_project_is_not_canceled_while_a_failed_transfer_may_be_under_way() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000]).await;
        let body = json!({ "error": { "type": "invalid_request_error", "code": "account_invalid", "message": "no" } });
        let refused = Misbehaviour::Answer {
            status: http::StatusCode::BAD_REQUEST,
            content_type: "application/json",
            body: body.to_string(),
        };
        app.stripe.controls().misbehave_on(Method::POST, "/v1/transfers", 1, refused);
        advance(&running.acme, running.checkpoints[0]).await.expect(400);
        let early = cancel_project(&app.state.pool, running.project, "ops", "x").await;
        let early = early.expect_err("the key went out just now").to_string();
        assert!(early.contains("may still be carried out"), "{early}");
        execute(app, "UPDATE transfer_intent SET key_sent_at = key_sent_at - interval '3 minutes'").await;
        let canceled = cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap();
        assert_eq!(canceled.refund_cents.0, 30_000);
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// What failed here was carried out at Stripe after all, and nobody told: it is seen before the rest is given back.
#[tokio::test]
async fn a_failed_transfer_is_looked_for_before_a_project_ends() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000]).await;
        all_is_told(app).await;
        app.stripe.webhooks_enabled(false);
        app.stripe.controls().misbehave_on(Method::POST, "/v1/transfers", usize::MAX, Misbehaviour::LoseAnswer);
        advance(&running.acme, running.checkpoints[0]).await.expect(503);
        // As if a later request with the same key had been refused, a while ago.
        execute(app, "DELETE FROM job").await;
        execute(app, "UPDATE transfer_intent SET status = 'FAILED', key_sent_at = key_sent_at - interval '3 minutes'")
            .await;
        app.stripe.controls().recover();
        let sent = app.stripe.books().transfers[0].amount;
        let canceled = app.state.jobs.cancel_project(running.project, "ops", "x").await.unwrap();
        assert_eq!(canceled.refund_cents.0, 30_000 - sent);
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Approving and canceling at once: either the transfer is made and the rest goes back, or everything goes back.
#[tokio::test]
async fn a_cancellation_and_an_approval_at_once_agree() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000]).await;
        let (approved, canceled) = tokio::join!(
            advance(&running.acme, running.checkpoints[0]),
            cancel_project(&app.state.pool, running.project, "ops", "x")
        );
        if canceled.is_err() {
            jobs_are_done(app).await;
            cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap();
        }
        jobs_are_done(app).await;
        let sent: i64 = app.stripe.books().transfers.iter().map(|transfer| transfer.amount).sum();
        assert_eq!(sent > 0, approved.status == 200, "{}", approved.text);
        assert_eq!(app.stripe.books().refunds.iter().map(|refund| refund.amount).sum::<i64>(), 30_000 - sent);
        books_agree(app).await;
    })
    .await;
}

const DISPUTED_SESSION: &str = "SELECT status FROM payment_session WHERE job_posting_id = $1";
const DISPUTE: &str = "SELECT status || ' ' || coalesce(closed_by, 'stripe') FROM dispute WHERE job_posting_id = $1";
const TAKEN: &str = "SELECT sum(amount_cents)::text FROM ledger_entry WHERE job_posting_id = $1 AND kind = 'dispute'";

/// The end of a dispute was never told: an operator has it entered as Stripe says, and what waited goes out.
#[tokio::test]
async fn a_dispute_is_closed_by_an_operator() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000]).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        advance(&running.acme, running.checkpoints[0]).await.expect(409);
        let mut connection = app.pool.acquire().await.unwrap();
        assert_eq!(list_open_disputes(&mut connection).await.unwrap().len(), 1);
        let (pool, stripe) = (&app.state.pool, &app.state.stripe);
        let unknown = disputes::close(pool, stripe, "dp_other", true, "ops").await;
        assert!(matches!(unknown, Err(CloseDisputeError::Unknown)), "{unknown:?}");
        let early = disputes::close(pool, stripe, &dispute, true, "ops").await;
        assert!(matches!(early, Err(CloseDisputeError::StillOpen(_))), "{early:?}");
        advance(&running.acme, running.checkpoints[0]).await.expect(409);
        app.stripe.webhooks_enabled(false);
        app.stripe.close_dispute(&dispute, true).unwrap();
        let wrong = disputes::close(pool, stripe, &dispute, false, "ops").await;
        assert!(matches!(wrong, Err(CloseDisputeError::EndedOtherwise(_))), "{wrong:?}");
        assert_eq!(disputes::close(pool, stripe, &dispute, true, "ops").await.unwrap(), ClosedBy::Stripe);
        assert!(list_open_disputes(&mut connection).await.unwrap().is_empty());
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("won stripe"));
        advance(&running.acme, running.checkpoints[0]).await.expect(200);
        books_agree(app).await;
    })
    .await;
}

/// An operator's word on a dispute holds until Stripe's is heard: then row, books and session say what Stripe says.
#[tokio::test]
async fn stripes_word_on_a_dispute_replaces_an_operators() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000]).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(value(app, TAKEN, running.posting.0).await.as_deref(), Some("-10000"));
        let closed = close_dispute(&app.state.pool, &dispute, true, "ops").await.unwrap().expect("it is open");
        assert!(closed.is_won());
        assert_eq!(close_dispute(&app.state.pool, &dispute, false, "ops").await.unwrap(), None, "it is closed");
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("won ops"));
        assert_eq!(value(app, DISPUTED_SESSION, running.posting.0).await.as_deref(), Some("PAID"));
        assert_eq!(value(app, TAKEN, running.posting.0).await.as_deref(), Some("0"));
        assert_eq!(actions_of_operators(app).await, ["dispute"]);
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("lost stripe"));
        assert_eq!(value(app, DISPUTED_SESSION, running.posting.0).await.as_deref(), Some("DISPUTED"));
        assert_eq!(value(app, TAKEN, running.posting.0).await.as_deref(), Some("-10000"));
        advance(&running.acme, running.checkpoints[0]).await.expect(409);
        // Told late, and once more.
        for event in app.stripe.events_of("charge.dispute.created") {
            app.stripe.resend(&event.id);
        }
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("lost stripe"));
        books_agree(app).await;
    })
    .await;
}

/// Stripe corrects itself: its later word is what row, books and session say, told by an event or heard by an operator's
/// asking, and the command says what is so afterwards.
#[tokio::test]
async fn stripes_later_word_on_a_dispute_replaces_its_earlier_one() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000, 20_000]).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        let stands = async |word: &str, session: &str, taken: &str| {
            app.stripe.wait_until_delivered().await;
            jobs_are_done(app).await;
            assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some(word));
            assert_eq!(value(app, DISPUTED_SESSION, running.posting.0).await.as_deref(), Some(session));
            assert_eq!(value(app, TAKEN, running.posting.0).await.as_deref(), Some(taken));
        };
        app.stripe.close_dispute(&dispute, false).unwrap();
        stands("lost stripe", "DISPUTED", "-30000").await;
        advance(&running.acme, running.checkpoints[0]).await.expect(409);
        app.stripe.set_dispute_status(&dispute, "won").unwrap();
        stands("won stripe", "PAID", "0").await;
        advance(&running.acme, running.checkpoints[0]).await.expect(200);
        app.stripe.set_dispute_status(&dispute, "under_review").unwrap();
        stands("under_review stripe", "DISPUTED", "-30000").await;
        advance(&running.acme, running.checkpoints[1]).await.expect(409);
        app.stripe.close_dispute(&dispute, true).unwrap_err();
        app.stripe.set_dispute_status(&dispute, "lost").unwrap();
        stands("lost stripe", "DISPUTED", "-30000").await;

        events_are_lost(app).await;
        app.stripe.set_dispute_status(&dispute, "won").unwrap();
        stands("lost stripe", "DISPUTED", "-30000").await;
        let (pool, stripe) = (&app.state.pool, &app.state.stripe);
        let otherwise = disputes::close(pool, stripe, &dispute, false, "ops").await;
        assert!(matches!(&otherwise, Err(CloseDisputeError::EndedOtherwise(word)) if word == "won"), "{otherwise:?}");
        stands("won stripe", "PAID", "0").await;
        app.stripe.set_dispute_status(&dispute, "lost").unwrap();
        assert_eq!(disputes::close(pool, stripe, &dispute, false, "ops").await.unwrap(), ClosedBy::Stripe);
        stands("lost stripe", "DISPUTED", "-30000").await;
        app.stripe.set_dispute_status(&dispute, "needs_response").unwrap();
        let open = disputes::close(pool, stripe, &dispute, false, "ops").await;
        assert!(matches!(&open, Err(CloseDisputeError::StillOpen(word)) if word == "needs_response"), "{open:?}");
        stands("needs_response stripe", "DISPUTED", "-30000").await;
        // What Stripe answered before is entered late.
        let late = DisputeFacts {
            id: dispute.clone(),
            charge: app.stripe.books().charges[0].id.clone(),
            status: "won".to_owned(),
            amount: freehunt_domain::Cents(30_000),
            is_closed: true,
            closed_by: None,
            looked_at: Some(app.state.clock.now() - chrono::TimeDelta::hours(1)),
        };
        assert_eq!(record_dispute(pool, &late).await.unwrap().dispute.status, "needs_response");
        app.stripe.close_dispute(&dispute, true).unwrap();
        assert_eq!(disputes::close(pool, stripe, &dispute, true, "ops").await.unwrap(), ClosedBy::Stripe);
        stands("won stripe", "PAID", "0").await;
        advance(&running.acme, running.checkpoints[1]).await.expect(200);
        books_agree(app).await;
    })
    .await;
}

/// Whoever decides on a dispute while Stripe's word arrives is told what is believed, not what he said.
#[tokio::test]
async fn an_operator_who_is_overtaken_by_stripe_is_told() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000]).await;
        // One that Stripe does not find when it is asked.
        let payment = app.stripe.books().payment_intents[0].id.clone();
        let object = json!({
            "id": "dp_unfound", "payment_intent": payment, "amount": 10_000, "status": "needs_response",
        });
        let told = app.stripe.send_event("charge.dispute.created", object.clone());
        assert_eq!(outcome_of(app, &told).await, "dispute recorded");
        // The operator's word waits for the posting, and Stripe's comes first.
        let mut transaction = app.pool.begin().await.unwrap();
        sqlx::query(r#"SELECT 1 FROM "JobPosting" WHERE "id" = $1 FOR UPDATE"#)
            .bind(running.posting.0)
            .execute(&mut *transaction)
            .await
            .unwrap();
        let (pool, stripe) = (app.state.pool.clone(), app.state.stripe.clone());
        let deciding = tokio::spawn(async move { disputes::close(&pool, &stripe, "dp_unfound", true, "ops").await });
        eventually("the operator waits", async || {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                                WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&app.pool)
            .await
            .unwrap()
        })
        .await;
        sqlx::query("UPDATE dispute SET status = 'lost', closed_at = now() WHERE stripe_dispute_id = 'dp_unfound'")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let overtaken = deciding.await.unwrap();
        let is_told = matches!(&overtaken, Err(CloseDisputeError::EndedOtherwise(word)) if word == "lost");
        assert!(is_told, "{overtaken:?}");
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("lost stripe"));
    })
    .await;
}

/// The comparison of the books tells of disputes that nobody entered, and of ends that Stripe contradicts.
#[tokio::test]
async fn disputes_that_differ_are_reported() {
    TestApp::run(async |app| {
        let running = running(app, &[10_000]).await;
        app.stripe.webhooks_enabled(false);
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        let report = async || {
            let mut connection = app.pool.acquire().await.unwrap();
            let report = freehunt_jobs::reconcile::reconcile(&app.state.stripe, &mut connection).await.unwrap();
            report.mismatches.into_iter().map(|found| (found.what, found.database, found.stripe)).collect::<Vec<_>>()
        };
        let difference = |database: &str| vec![("dispute", database.to_owned(), "needs_response".to_owned())];
        assert_eq!(report().await, difference("none"));
        let told = app.stripe.events_of("charge.dispute.created").pop().unwrap();
        send_webhook(app, &told.body).await.expect(200);
        jobs_are_done(app).await;
        assert!(report().await.is_empty());
        close_dispute(&app.state.pool, &dispute, true, "ops").await.unwrap().expect("it is open");
        assert_eq!(report().await, difference("won"));
        assert_eq!(value(app, DISPUTE, running.posting.0).await.as_deref(), Some("won ops"));
    })
    .await;
}

/// A crash while a payment is adopted leaves it as it was, to be adopted again.
#[tokio::test]
async fn an_adoption_that_breaks_off_is_repeated() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 10_000).await;
        pay_unrecorded(app, &session).await;
        execute(
            app,
            r#"CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN
                   RAISE EXCEPTION 'broken off' USING ERRCODE = '57P01';
               END $$"#,
        )
        .await;
        let breaking =
            r#"CREATE TRIGGER break_off BEFORE UPDATE ON "JobPosting" FOR EACH ROW EXECUTE FUNCTION break_off()"#;
        execute(app, breaking).await;
        set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap_err();
        execute(app, r#"DROP TRIGGER break_off ON "JobPosting""#).await;
        assert_eq!(waiting(app).await, [Some(session.clone())], "it is still to be decided on");
        assert_eq!(actions_of_operators(app).await, [""; 0]);
        let outcome = set_aside::adopt(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Published);
        books_agree(app).await;
    })
    .await;
}

/// The bank took it, an operator put it away, and the bank thinks better of it: it is decided on anew.
#[tokio::test]
async fn what_a_bank_gives_back_of_a_payment_that_was_put_away_waits_again() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let session = page_of_the_original(app, &acme, posting, 10_000).await;
        pay_unrecorded(app, &session).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        all_is_told(app).await;
        app.stripe.close_dispute(&dispute, false).unwrap();
        all_is_told(app).await;
        set_aside::dismiss(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        assert!(waiting(app).await.is_empty());
        app.stripe.set_dispute_status(&dispute, "won").unwrap();
        all_is_told(app).await;
        assert_eq!(waiting(app).await, [Some(session.clone())]);
        set_aside::give_back(&app.state.pool, &app.state.stripe, decision(&session)).await.unwrap();
        all_is_told(app).await;
        assert!(waiting(app).await.is_empty());
        books_agree(app).await;
    })
    .await;
}

/// A payment that Stripe does not know any more, as when test data was deleted, does not end the comparison of the others.
#[tokio::test]
async fn a_payment_that_stripe_forgot_ends_no_comparison() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        sqlx::query("UPDATE payment_session SET stripe_payment_intent_id = 'pi_forgotten' WHERE job_posting_id = $1")
            .bind(posting.0)
            .execute(&app.pool)
            .await
            .unwrap();
        let mut connection = app.pool.acquire().await.unwrap();
        let report = freehunt_jobs::reconcile::reconcile(&app.state.stripe, &mut connection).await.unwrap();
        let found: Vec<_> = report.mismatches.iter().map(|found| (found.what, found.database.as_str())).collect();
        assert_eq!(found, [("payment intent", "pi_forgotten")]);
    })
    .await;
}

/// Nothing is given back that the bank holds or has taken, though the dispute was told before the payment was known.
#[tokio::test]
async fn a_disputed_payment_without_a_record_is_given_back_as_far_as_it_is_left() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for (taken, left) in [(10_000, 0), (4_000, 6_000)] {
            let posting = app.unpaid_posting(&acme, &[10_000]).await;
            let session = page_of_the_original(app, &acme, posting, 10_000).await;
            pay_unrecorded(app, &session).await;
            let dispute = app.stripe.dispute_part(&app.stripe.books().charges.last().unwrap().id, taken).unwrap();
            app.stripe.wait_until_delivered().await;
            jobs_are_done(app).await;
            let (pool, stripe) = (&app.state.pool, &app.state.stripe);
            let held = set_aside::give_back(pool, stripe, decision(&session)).await;
            assert!(matches!(held, Err(DecisionError::Refused(QuarantineError::Disputed))), "{held:?}");
            app.stripe.close_dispute(&dispute, false).unwrap();
            app.stripe.wait_until_delivered().await;
            jobs_are_done(app).await;
            let adopted = set_aside::adopt(pool, stripe, decision(&session)).await;
            assert!(matches!(adopted, Err(DecisionError::Refused(QuarantineError::Contradiction(_)))), "{adopted:?}");
            let given_back = set_aside::give_back(pool, stripe, decision(&session)).await;
            if left == 0 {
                let gone = matches!(given_back, Err(DecisionError::Refused(QuarantineError::NothingLeft)));
                assert!(gone, "{given_back:?}");
                set_aside::dismiss(pool, stripe, decision(&session)).await.unwrap();
            } else {
                given_back.unwrap();
            }
            jobs_are_done(app).await;
            assert_eq!(app.stripe.books().refunds.iter().map(|refund| refund.amount).sum::<i64>(), left);
            assert!(waiting(app).await.is_empty());
        }
        let left = "SELECT status FROM payment_session WHERE $1::uuid IS NOT NULL";
        assert_eq!(value(app, left, Uuid::nil()).await.as_deref(), Some("REFUNDED"));
        books_agree(app).await;
    })
    .await;
}

#[tokio::test]
async fn refunds_that_failed_are_listed() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        app.stripe.keep_refunds_pending(true);
        crate::money::cancel(&acme, posting).await.expect(201);
        let mut connection = app.pool.acquire().await.unwrap();
        assert!(list_troubled_refunds(&mut connection).await.unwrap().is_empty());
        let refund = app.stripe.books().refunds[0].id.clone();
        app.stripe.set_refund_status(&refund, "failed").unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let troubled = list_troubled_refunds(&mut connection).await.unwrap();
        assert_eq!(
            troubled.iter().map(|refund| refund.failure_code.as_deref()).collect::<Vec<_>>(),
            [Some("refund_failed")]
        );
        execute(app, "UPDATE refund_intent SET status = 'PENDING', created_at = now() - interval '16 minutes'").await;
        assert_eq!(list_troubled_refunds(&mut connection).await.unwrap().len(), 1);
        let backlog = freehunt_jobs::count_backlog(&mut connection).await.unwrap();
        assert_eq!((backlog.stuck_intents, backlog.dead), (1, 0));
        execute(app, "UPDATE refund_intent SET status = 'FAILED'").await;
    })
    .await;
}
