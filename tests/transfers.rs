//! Submitting and approving checkpoints, and the transfers that approvals make.

use freehunt_domain::ids::JobPostingId;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Persona, TestApp, eventually};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::money::{
    a_job_waits, advance, books_agree, execute, jobs_are_done, jobs_pause, keys_rest, outcome_of, value,
};

const TRANSFERS: &str = "/v1/transfers";
const STATUS: &str = r#"SELECT "status"::text FROM "Checkpoint" WHERE "id" = $1"#;
const PROJECT_STATUS: &str = r#"SELECT "status"::text FROM "Project" WHERE "jobPostingId" = $1"#;

/// A running project.
struct Mission {
    acme: Persona,
    alice: Persona,
    posting: JobPostingId,
    checkpoints: Vec<Uuid>,
}

async fn mission(app: &TestApp, amounts: &[i64]) -> Mission {
    let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
    let posting = app.published_posting(&acme, amounts).await;
    app.accepted_project(posting, &alice, &acme).await;
    let checkpoints = app.checkpoint_ids(posting).await;
    Mission { acme, alice, posting, checkpoints }
}

async fn account_of(app: &TestApp, freelance: &Persona) -> String {
    let account = "SELECT stripe_account_id FROM payout_account WHERE freelance_id = $1";
    value(app, account, freelance.freelance_id().0).await.expect("the freelance has an account")
}

fn refusal(code: &str) -> Misbehaviour {
    let body = json!({ "error": { "type": "invalid_request_error", "code": code, "message": "no" } }).to_string();
    Misbehaviour::Answer { status: StatusCode::BAD_REQUEST, content_type: "application/json", body }
}

/// The way of a checkpoint, and fault case 115.
#[tokio::test]
async fn fault_case_115_submitted_approved_paid_and_completed() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_050, 30_000]).await;
        let (first, last) = (mission.checkpoints[0], mission.checkpoints[1]);
        let submitted = advance(&mission.alice, first).await.expect(200);
        assert_eq!(submitted["status"], "PENDING_COMPANY_APPROVAL");
        assert_eq!(submitted["submittedBy"], json!(mission.alice.user_id));
        assert_eq!(advance(&mission.alice, first).await.expect(200), submitted, "a second submission changes nothing");
        let approved = advance(&mission.acme, first).await.expect(200);
        assert_eq!(approved["status"], "DONE");
        assert_eq!(approved["validatedBy"], json!(mission.acme.user_id));
        assert_eq!(approved["amount"], 200.5);
        assert_eq!(value(app, PROJECT_STATUS, mission.posting.0).await.as_deref(), Some("IN_PROGRESS"));
        // The company may approve what was not submitted.
        advance(&mission.acme, last).await.expect(200);
        assert_eq!(value(app, PROJECT_STATUS, mission.posting.0).await.as_deref(), Some("COMPLETED"));
        let books = app.stripe.books();
        let transfer = books.transfers_of_checkpoint(&first.to_string())[0];
        assert_eq!(transfer.amount, 20_050 - (581 + 25));
        assert_eq!(transfer.source_transaction.as_deref(), Some(books.charges[0].id.as_str()));
        assert_eq!(transfer.transfer_group, Some(mission.posting.to_string()));
        assert_eq!(transfer.destination, account_of(app, &mission.alice).await);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 115, with a canceled checkpoint.
#[tokio::test]
async fn fault_case_115_canceled_checkpoints_do_not_keep_a_project_open() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        sqlx::query(r#"UPDATE "Checkpoint" SET "status" = 'CANCELED' WHERE "id" = $1"#)
            .bind(mission.checkpoints[0])
            .execute(&app.pool)
            .await
            .unwrap();
        advance(&mission.acme, mission.checkpoints[0]).await.expect(409);
        advance(&mission.alice, mission.checkpoints[0]).await.expect(409);
        advance(&mission.acme, mission.checkpoints[1]).await.expect(200);
        assert_eq!(value(app, PROJECT_STATUS, mission.posting.0).await.as_deref(), Some("COMPLETED"));
        books_agree(app).await;
    })
    .await;
}

/// Fault case 111: a hundred at once, on three replicas.
#[tokio::test]
async fn fault_case_111_parallel_approvals_make_one_transfer() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        let (second, third) = (app.another_replica().await, app.another_replica().await);
        let everywhere = [mission.acme.clone(), app.at(&mission.acme, &second), app.at(&mission.acme, &third)];
        let answers = join_all((0..100).map(|number| advance(&everywhere[number % 3], checkpoint))).await;
        for answer in answers {
            // Those that found no free connection in time are told to ask again.
            assert!([200, 503].contains(&answer.status), "{}", answer.text);
        }
        assert_eq!(advance(&mission.acme, checkpoint).await.expect(200)["status"], "DONE");
        assert_eq!(app.stripe.books().transfers.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault cases 112 and 113, after the call: the answer was lost.
#[tokio::test]
async fn fault_case_112_113_a_lost_answer_is_made_up_for() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        // An event would tell of the transfer before the answer does.
        app.stripe.webhooks_enabled(false);
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::LoseAnswer);
        let unknown = advance(&mission.acme, checkpoint).await;
        assert!(unknown.headers.contains_key("retry-after"));
        unknown.expect(503);
        app.stripe.controls().recover();
        eventually("the worker completes it", async || value(app, STATUS, checkpoint).await.as_deref() == Some("DONE"))
            .await;
        assert_eq!(advance(&mission.acme, checkpoint).await.expect(200)["status"], "DONE");
        assert_eq!(app.stripe.books().transfers.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// The database was restored from before an approval: Stripe knows of the transfer, and the books do not.
#[tokio::test]
async fn what_a_restored_database_forgot_is_not_transferred_twice() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        advance(&mission.acme, checkpoint).await.expect(200);
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        for statement in [
            "DELETE FROM ledger_entry WHERE kind = 'transfer'",
            "DELETE FROM transfer_intent",
            "DELETE FROM job",
            r#"UPDATE "Checkpoint" SET "status" = 'TODO'"#,
        ] {
            execute(app, statement).await;
        }
        app.stripe.expire_idempotency_keys();
        assert_eq!(advance(&mission.acme, checkpoint).await.expect(200)["status"], "DONE");
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().transfers.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 119, and its sibling: a 500 that is stored under the key.
#[tokio::test]
async fn fault_case_119_an_old_or_spoilt_key_is_looked_up_first() {
    TestApp::run(async |app| {
        let mission = mission(app, &[10_000, 20_000, 30_000]).await;
        // Made, but the answer was lost, and then the key was forgotten.
        let first = mission.checkpoints[0];
        app.stripe.webhooks_enabled(false);
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::LoseAnswer);
        advance(&mission.acme, first).await.expect(503);
        execute(app, "UPDATE transfer_intent SET key_used_at = now() - interval '25 hours'").await;
        app.stripe.expire_idempotency_keys();
        app.stripe.controls().recover();
        jobs_are_done(app).await;
        assert_eq!(value(app, STATUS, first).await.as_deref(), Some("DONE"));
        assert_eq!(app.stripe.books().transfers.len(), 1);

        let second = mission.checkpoints[1];
        app.stripe.store_500_after_work_for_next(TRANSFERS);
        assert_eq!(advance(&mission.acme, second).await.expect(200)["status"], "DONE");
        assert_eq!(app.stripe.books().transfers.len(), 2);

        let third = mission.checkpoints[2];
        app.stripe.store_500_for_next(TRANSFERS);
        // Told to ask again, unless the worker was quicker.
        advance(&mission.acme, third).await.expect(503);
        // The key's first request could still be running for a while; only then another key follows.
        assert_eq!(value(app, STATUS, third).await.as_deref(), Some("TODO"));
        keys_rest(app).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, STATUS, third).await.as_deref(), Some("DONE"));
        assert_eq!(app.stripe.books().transfers.len(), 3);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 114.
#[tokio::test]
async fn fault_case_114_what_is_done_stays_done() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        let done = advance(&mission.acme, checkpoint).await.expect(200);
        app.stripe.controls().forget_calls();
        assert_eq!(advance(&mission.acme, checkpoint).await.expect(200), done);
        advance(&mission.alice, checkpoint).await.expect(409);
        for status in ["TODO", "CANCELED", "DELAYED"] {
            mission.acme.put(&format!("/checkpoints/{checkpoint}"), json!({ "status": status })).await.expect(409);
        }
        assert!(app.stripe.controls().calls_to(Method::POST, "/").is_empty());
        books_agree(app).await;
    })
    .await;
}

/// Fault case 116.
#[tokio::test]
async fn fault_case_116_a_refused_transfer_can_be_approved_again() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        advance(&mission.alice, checkpoint).await.expect(200);
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, 1, refusal("account_invalid"));
        let refused = advance(&mission.acme, checkpoint).await;
        assert_eq!(refused.message(), "Payment transfer failed");
        refused.expect(400);
        assert_eq!(value(app, STATUS, checkpoint).await.as_deref(), Some("PENDING_COMPANY_APPROVAL"));
        let failure = "SELECT status || ' ' || failure_code FROM transfer_intent WHERE checkpoint_id = $1";
        assert_eq!(value(app, failure, checkpoint).await.as_deref(), Some("FAILED account_invalid"));
        assert_eq!(advance(&mission.acme, checkpoint).await.expect(200)["status"], "DONE");
        assert_eq!(app.stripe.books().transfers.len(), 1);
        books_agree(app).await;
    })
    .await;
}

/// Fault case 116: the account itself is restricted or gone.
#[tokio::test]
async fn fault_case_116_an_account_that_cannot_be_paid_is_not_paid() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        let checkpoint = mission.checkpoints[0];
        let account = account_of(app, &mission.alice).await;
        advance(&mission.alice, checkpoint).await.expect(200);
        app.stripe.restrict(&account).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        assert_eq!(advance(&mission.acme, checkpoint).await.message(), "Payment transfer failed");
        // Unknown to us yet: Stripe says so.
        execute(app, "UPDATE payout_account SET transfers_active = true").await;
        advance(&mission.acme, checkpoint).await.expect(400);
        assert_eq!(value(app, STATUS, checkpoint).await.as_deref(), Some("PENDING_COMPANY_APPROVAL"));
        app.stripe.delete_account(&account).unwrap();
        advance(&mission.acme, checkpoint).await.expect(400);
        assert!(app.stripe.books().transfers.is_empty());
        books_agree(app).await;
    })
    .await;
}

/// What is known of the account may be old: it is asked before the approval is refused.
#[tokio::test]
async fn a_missed_account_event_does_not_refuse_an_approval() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        execute(app, "UPDATE payout_account SET transfers_active = false").await;
        assert_eq!(advance(&mission.acme, mission.checkpoints[0]).await.expect(200)["status"], "DONE");
        books_agree(app).await;
    })
    .await;
}

/// Fault case 117.
#[tokio::test]
async fn fault_case_117_the_destination_is_the_one_that_was_approved() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        let checkpoint = mission.checkpoints[0];
        let account = account_of(app, &mission.alice).await;
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::Reset);
        advance(&mission.acme, checkpoint).await.expect(503);
        // Nothing lets a freelance do this; should it happen all the same, the approved account is paid.
        execute(app, r#"UPDATE "Freelance" SET "stripeAccountId" = 'acct_other'"#).await;
        app.stripe.controls().recover();
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().transfers[0].destination, account);
    })
    .await;
}

/// Fault case 118.
#[tokio::test]
async fn fault_case_118_more_than_was_paid_is_never_sent() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 30_000]).await;
        advance(&mission.acme, mission.checkpoints[0]).await.expect(200);
        sqlx::query(r#"UPDATE "Checkpoint" SET "amount" = 300.01 WHERE "id" = $1"#)
            .bind(mission.checkpoints[1])
            .execute(&app.pool)
            .await
            .unwrap();
        app.stripe.controls().forget_calls();
        advance(&mission.acme, mission.checkpoints[1]).await.expect(409);
        assert!(app.stripe.controls().calls_to(Method::POST, "/").is_empty());
        assert_eq!(app.stripe.books().transfers.len(), 1);
    })
    .await;
}

/// Fault case 120.
#[tokio::test]
async fn fault_case_120_a_dispute_freezes_transfers_until_it_is_won() {
    TestApp::run(async |app| {
        let mission = mission(app, &[10_000, 20_000, 30_000]).await;
        let charge = app.stripe.books().charges[0].id.clone();
        // One transfer is decided and not sent when the dispute comes.
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::Reset);
        advance(&mission.acme, mission.checkpoints[0]).await.expect(503);
        let dispute = app.stripe.dispute(&charge).unwrap();
        let open = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        eventually("the dispute is known", async || {
            value(app, open, mission.posting.0).await.as_deref() == Some("DISPUTED")
        })
        .await;
        app.stripe.controls().recover();
        advance(&mission.acme, mission.checkpoints[1]).await.expect(409);
        advance(&mission.acme, mission.checkpoints[0]).await.expect(503);
        assert!(app.stripe.books().transfers.is_empty());
        app.stripe.close_dispute(&dispute, true).unwrap();
        eventually("the waiting transfer is sent", async || app.stripe.books().transfers.len() == 1).await;
        eventually("the payment is free again", async || {
            value(app, open, mission.posting.0).await.as_deref() == Some("PAID")
        })
        .await;
        advance(&mission.acme, mission.checkpoints[1]).await.expect(200);
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Fault case 120, when the dispute is lost: the money is gone.
#[tokio::test]
async fn fault_case_120_a_lost_dispute_ends_payments() {
    TestApp::run(async |app| {
        let mission = mission(app, &[10_000]).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        advance(&mission.acme, mission.checkpoints[0]).await.expect(409);
        assert!(app.stripe.books().transfers.is_empty());
    })
    .await;
}

/// A dispute about a part that is lost: what is left is paid out, or goes back.
#[tokio::test]
async fn a_partly_lost_payment_pays_what_is_left() {
    TestApp::run(async |app| {
        let mission = mission(app, &[10_000, 20_000]).await;
        let dispute = app.stripe.dispute_part(&app.stripe.books().charges[0].id, 15_000).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        advance(&mission.acme, mission.checkpoints[0]).await.expect(409);
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let status = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        assert_eq!(value(app, status, mission.posting.0).await.as_deref(), Some("PAID"));
        assert_eq!(advance(&mission.acme, mission.checkpoints[0]).await.expect(200)["status"], "DONE");
        // 5,315 cents are left.
        app.stripe.controls().forget_calls();
        advance(&mission.acme, mission.checkpoints[1]).await.expect(409);
        assert!(app.stripe.controls().calls_to(Method::POST, "/").is_empty());
        let project: Uuid = sqlx::query_scalar(r#"SELECT "id" FROM "Project""#).fetch_one(&app.pool).await.unwrap();
        let canceled =
            freehunt_domain::payments::cancel_project::cancel_project(&app.state.pool, project.into(), "ops", "x");
        assert_eq!(canceled.await.unwrap().refund_cents.0, 30_000 - 15_000 - 9_685);
        jobs_are_done(app).await;
        assert_eq!(app.stripe.books().refunds[0].amount, 5_315);
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// A refund by hand that nobody told of is seen before anything is paid out of the same money (I2).
#[tokio::test]
async fn what_was_refunded_untold_is_not_paid_out() {
    TestApp::run(async |app| {
        let mission = mission(app, &[10_000, 20_000]).await;
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        app.stripe.webhooks_enabled(false);
        let payment = app.stripe.books().payment_intents[0].id.clone();
        app.stripe.refund_from_dashboard(&payment, Some(15_000)).unwrap();
        let refused = advance(&mission.acme, mission.checkpoints[1]).await;
        assert_eq!(refused.message(), "Payment transfer failed");
        refused.expect(400);
        assert!(app.stripe.books().transfers.is_empty());
        assert_eq!(advance(&mission.acme, mission.checkpoints[0]).await.expect(200)["status"], "DONE");
        books_agree(app).await;
    })
    .await;
}

/// The payment went back by hand while a transfer of it was asked for: that may still be carried out, and is not given up
/// before it no longer can be.
#[tokio::test]
async fn a_transfer_is_not_given_up_while_it_may_be_under_way() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        let checkpoint = mission.checkpoints[0];
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::Reset);
        advance(&mission.acme, checkpoint).await.expect(503);
        jobs_pause(app).await;
        app.stripe.refund_from_dashboard(&app.stripe.books().payment_intents[0].id, None).unwrap();
        app.stripe.wait_until_delivered().await;
        let session = "SELECT status FROM payment_session WHERE job_posting_id = $1";
        eventually("the refund is known", async || {
            value(app, session, mission.posting.0).await.as_deref() == Some("REFUNDED")
        })
        .await;
        app.stripe.controls().recover();
        let status = "SELECT status FROM transfer_intent WHERE checkpoint_id = $1";
        a_job_waits(app, "an earlier request may still be carried out").await;
        assert_eq!(value(app, status, checkpoint).await.as_deref(), Some("PENDING"));
        keys_rest(app).await;
        jobs_are_done(app).await;
        assert_eq!(value(app, status, checkpoint).await.as_deref(), Some("FAILED"));
        assert_eq!(value(app, STATUS, checkpoint).await.as_deref(), Some("PENDING_COMPANY_APPROVAL"));
        advance(&mission.acme, checkpoint).await.expect(409);
        assert!(app.stripe.books().transfers.is_empty());
        books_agree(app).await;
    })
    .await;
}

/// A posting whose money the bank took back may be given up: nothing is left to be refunded.
#[tokio::test]
async fn a_posting_whose_dispute_was_lost_is_canceled_without_a_refund() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        crate::money::cancel(&acme, posting).await.expect(409);
        app.stripe.close_dispute(&dispute, false).unwrap();
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        let canceled = crate::money::cancel(&acme, posting).await.expect(201);
        assert!(canceled.get("refundAmount").is_none(), "{canceled}");
        assert!(app.stripe.books().refunds.is_empty());
        books_agree(app).await;
    })
    .await;
}

#[tokio::test]
async fn the_role_comes_from_the_session() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        let (globex, bob) = (app.company("globex").await, app.freelance("bob").await);
        let path = format!("/checkpoints/{}", mission.checkpoints[0]);
        let as_company = json!({ "status": "DONE", "userId": mission.acme.user_id });
        mission.alice.put(&path, as_company.clone()).await.expect(403);
        globex.put(&path, json!({ "status": "DONE" })).await.expect(403);
        bob.put(&path, json!({ "status": "DONE" })).await.expect(403);
        app.anonymous().put(&path, as_company).await.expect(401);
        mission.alice.put(&path, json!({ "amount": 1_000 })).await.expect(403);
        // Ignored once paid.
        let seen = mission.acme.put(&path, json!({ "amount": 1_000, "name": "Plus cher" })).await.expect(200);
        assert_eq!(seen["amount"], 200);
        assert!(app.stripe.books().transfers.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_owner_edits_before_payment() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[20_000]).await;
        let path = format!("/checkpoints/{}", app.checkpoint_ids(posting).await[0]);
        let done = acme.put(&path, json!({ "status": "DONE", "userId": acme.user_id })).await;
        assert_eq!(done.message(), "Project not found");
        done.expect(400);
        let body = json!({ "name": "N", "description": "D", "amount": 10.1, "date": "2026-06-01", "submittedBy": "x" });
        let edited = acme.put(&path, body).await.expect(200);
        assert_eq!(edited["amount"], 10.1);
        assert_eq!(edited["date"], "2026-06-01T00:00:00.000Z");
        acme.put(&path, json!({ "amount": 0.26 })).await.expect(400);
        let broken = acme.put(&path, json!({ "status": "NOPE", "submittedAt": "x", "amount": -1, "foo": 1 })).await;
        assert_eq!(
            broken.message(),
            "property foo should not exist\nsubmittedAt must be a valid ISO 8601 date string\nstatus must be one of \
             the following values: TODO, IN_PROGRESS, PENDING_COMPANY_APPROVAL, DONE, DELAYED, CANCELED\namount must be \
             a positive number"
        );
        broken.expect(400);
    })
    .await;
}

/// A transfer that was taken back is entered once, and the checkpoint stays done.
#[tokio::test]
async fn a_reversal_is_entered_once() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 10_000]).await;
        let checkpoint = mission.checkpoints[0];
        advance(&mission.acme, checkpoint).await.expect(200);
        let transfer = app.stripe.books().transfers[0].clone();
        app.stripe.reverse_transfer(&transfer.id, Some(5_000)).unwrap();
        app.stripe.reverse_transfer(&transfer.id, None).unwrap();
        for event in app.stripe.events_of("transfer.reversed") {
            assert_eq!(outcome_of(app, &event.id).await, "reversal recorded");
            app.stripe.resend(&event.id);
        }
        // An object of another version that tells no amount.
        let partial = app.stripe.send_event("transfer.reversed", json!({ "id": transfer.id }));
        assert_eq!(outcome_of(app, &partial).await, "reversal recorded");
        let booked = "SELECT sum(amount_cents)::text FROM ledger_entry WHERE checkpoint_id = $1";
        assert_eq!(value(app, booked, checkpoint).await.as_deref(), Some("0"));
        let status = "SELECT status FROM transfer_intent WHERE checkpoint_id = $1";
        assert_eq!(value(app, status, checkpoint).await.as_deref(), Some("REVERSED"));
        assert_eq!(value(app, STATUS, checkpoint).await.as_deref(), Some("DONE"));
        advance(&mission.acme, checkpoint).await.expect(200);
        app.stripe.wait_until_delivered().await;
        jobs_are_done(app).await;
        books_agree(app).await;
    })
    .await;
}

/// Stripe's events tell of a transfer, and of its reversal, before its own answer was heard.
#[tokio::test]
async fn a_transfer_is_learnt_from_its_events() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000, 10_000]).await;
        app.stripe.webhooks_enabled(false);
        let status = "SELECT status FROM transfer_intent WHERE checkpoint_id = $1";
        for (checkpoint, kind, outcome) in [
            (mission.checkpoints[0], "transfer.created", "transfer recorded"),
            (mission.checkpoints[1], "transfer.reversed", "reversal recorded"),
        ] {
            // The job that would find it by itself is kept from looking.
            app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::LoseAnswer);
            advance(&mission.acme, checkpoint).await.expect(503);
            assert_eq!(value(app, status, checkpoint).await.as_deref(), Some("PENDING"));
            let transfer = app.stripe.books().transfers_of_checkpoint(&checkpoint.to_string())[0].id.clone();
            if kind == "transfer.reversed" {
                app.stripe.reverse_transfer(&transfer, Some(1_000)).unwrap();
            }
            let told = app.stripe.events_of(kind).pop().unwrap();
            assert_eq!(told.object_id(), Some(transfer));
            crate::money::send_webhook(app, &told.body).await.expect(200);
            assert_eq!(outcome_of(app, &told.id).await, outcome);
            assert_eq!(value(app, status, checkpoint).await.as_deref(), Some("SUCCEEDED"));
            assert_eq!(value(app, STATUS, checkpoint).await.as_deref(), Some("DONE"));
            app.stripe.controls().recover();
            jobs_are_done(app).await;
        }
        let reversed =
            "SELECT amount_cents::text FROM ledger_entry WHERE checkpoint_id = $1 AND kind = 'transfer_reversal'";
        assert_eq!(value(app, reversed, mission.checkpoints[1]).await.as_deref(), Some("1000"));
        assert_eq!(value(app, PROJECT_STATUS, mission.posting.0).await.as_deref(), Some("COMPLETED"));
        assert_eq!(app.stripe.books().transfers.len(), 2);
        books_agree(app).await;
    })
    .await;
}

/// A transfer that names an intent and is not what it asked for changes nothing.
#[tokio::test]
async fn a_transfer_that_only_looks_like_ours_is_ignored() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        app.stripe.controls().misbehave_on(Method::POST, TRANSFERS, usize::MAX, Misbehaviour::Reset);
        advance(&mission.acme, mission.checkpoints[0]).await.expect(503);
        app.stripe.controls().recover();
        let intent: Uuid = sqlx::query_scalar("SELECT id FROM transfer_intent").fetch_one(&app.pool).await.unwrap();
        execute(app, "UPDATE job SET run_at = now() + interval '1 hour' WHERE state = 'READY'").await;
        let request = freehunt_stripe::TransferRequest {
            amount_cents: 1,
            destination: account_of(app, &mission.alice).await,
            source_transaction: Some(app.stripe.books().charges[0].id.clone()),
            transfer_group: mission.posting.to_string(),
            checkpoint_id: "somebody else's".to_owned(),
            intent_id: intent.to_string(),
            description: String::from("by hand"),
        };
        let made = app.state.stripe.create_transfer(&request, "by-hand").await.unwrap();
        let event = app.stripe.events_of("transfer.created").pop().unwrap();
        assert_eq!(event.object_id(), Some(made.id));
        assert_eq!(outcome_of(app, &event.id).await, "ignored: not the transfer that was asked for");
        let status = "SELECT status FROM transfer_intent WHERE checkpoint_id = $1";
        assert_eq!(value(app, status, mission.checkpoints[0]).await.as_deref(), Some("PENDING"));
        execute(app, "UPDATE transfer_intent SET status = 'FAILED'").await;
        execute(app, "UPDATE job SET run_at = now() WHERE state = 'READY'").await;
        jobs_are_done(app).await;
    })
    .await;
}

/// D8: nothing is paid out of a posting whose payment is not on record.
#[tokio::test]
async fn a_legacy_posting_pays_nothing() {
    TestApp::run(async |app| {
        let mission = mission(app, &[20_000]).await;
        execute(app, "UPDATE payment_session SET status = 'EXPIRED', paid_at = NULL").await;
        advance(&mission.acme, mission.checkpoints[0]).await.expect(409);
        assert!(app.stripe.books().transfers.is_empty());
    })
    .await;
}
