//! Refunds made in Stripe's dashboard: those that come back, and those that are made while their payment is recorded.

use freehunt_domain::{
    ids::{JobPostingId, ProjectId},
    payments::{
        PaymentOutcome, cancel_project::cancel_project, quarantine, queries::refunds::list_troubled_refunds,
        record_payment, retry_refund,
    },
};
use freehunt_jobs::{payment_of, set_aside};
use freehunt_tests::{Persona, TestApp, eventually};
use uuid::Uuid;

use crate::money::{advance, books_agree, cancel, execute, jobs_are_done, open_session, status_becomes, value};

const SESSION: &str = "SELECT status FROM payment_session WHERE job_posting_id = $1";
const INTENT: &str = "SELECT status || ' ' || reason FROM refund_intent WHERE job_posting_id = $1";

struct Running {
    acme: Persona,
    posting: JobPostingId,
    project: ProjectId,
    checkpoints: Vec<Uuid>,
    payment: String,
}

/// A project whose first checkpoint is paid.
async fn running(app: &TestApp) -> Running {
    let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
    let posting = app.published_posting(&acme, &[10_000, 20_000, 30_000]).await;
    let project = ProjectId(app.accepted_project(posting, &alice, &acme).await);
    let checkpoints = app.checkpoint_ids(posting).await;
    advance(&acme, checkpoints[0]).await.expect(200);
    all_is_told(app).await;
    let payment = app.stripe.books().payment_intents[0].id.clone();
    Running { acme, posting, project, checkpoints, payment }
}

async fn all_is_told(app: &TestApp) {
    app.stripe.wait_until_delivered().await;
    jobs_are_done(app).await;
}

/// What Stripe's books say is left of the first payment.
fn left(app: &TestApp) -> i64 {
    let books = app.stripe.books();
    books.charges[0].amount - books.charges[0].amount_refunded - books.transferred_from(&books.charges[0].id)
}

fn refund_by_hand(app: &TestApp, payment: &str, amount: i64) -> String {
    app.stripe.refund_from_dashboard(payment, Some(amount)).expect("so much is left")
}

async fn comes_back(app: &TestApp, refund: &str) {
    app.stripe.set_refund_status(refund, "failed").expect("it was made");
    all_is_told(app).await;
}

/// The ids of the refunds that wait for an operator.
async fn troubled(app: &TestApp) -> Vec<Uuid> {
    let mut connection = app.pool.acquire().await.unwrap();
    list_troubled_refunds(&mut connection).await.unwrap().into_iter().map(|refund| refund.id.0).collect()
}

/// What is left of a running project's payment is refunded by hand, all of it or the last part, and that comes back: the
/// project is paid again, and an operator can end it.
#[tokio::test]
async fn a_refund_that_comes_back_leaves_the_project_usable() {
    TestApp::run(async |app| {
        let running = running(app).await;
        let refund = refund_by_hand(app, &running.payment, left(app));
        all_is_told(app).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("REFUNDED"));
        advance(&running.acme, running.checkpoints[1]).await.expect(409);
        comes_back(app, &refund).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("PAID"));
        let intent: Uuid = sqlx::query_scalar("SELECT id FROM refund_intent").fetch_one(&app.pool).await.unwrap();
        assert!(!retry_refund(&app.state.pool, intent.into(), "ops").await.unwrap(), "the payment goes on");
        assert!(troubled(app).await.is_empty());
        books_agree(app).await;

        assert_eq!(advance(&running.acme, running.checkpoints[1]).await.expect(200)["status"], "DONE");
        let expected = left(app);
        let canceled = cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap();
        assert_eq!(canceled.refund_cents.0, expected);
        all_is_told(app).await;
        assert_eq!(value(app, INTENT, running.posting.0).await.as_deref(), Some("SUCCEEDED project_canceled"));
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("REFUNDED"));
        assert_eq!(left(app), 0);
        books_agree(app).await;
    })
    .await;
}

/// Of two refunds by hand the older one comes back, and goes out again: the payment follows each time.
#[tokio::test]
async fn a_part_that_comes_back_is_usable_too() {
    TestApp::run(async |app| {
        let running = running(app).await;
        let first = refund_by_hand(app, &running.payment, 25_000);
        refund_by_hand(app, &running.payment, left(app));
        all_is_told(app).await;
        comes_back(app, &first).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("PAID"));
        refund_by_hand(app, &running.payment, 25_000);
        all_is_told(app).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("REFUNDED"));
        assert_eq!(value(app, INTENT, running.posting.0).await.as_deref(), Some("SUCCEEDED dashboard"));
        books_agree(app).await;
        let last = app.stripe.books().refunds.last().unwrap().id.clone();
        comes_back(app, &last).await;
        let canceled = cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap();
        assert_eq!(canceled.refund_cents.0, 25_000);
        all_is_told(app).await;
        assert_eq!(left(app), 0);
        books_agree(app).await;
    })
    .await;
}

/// Nobody needs the payment any more: what comes back is owed to the company, and an operator has it refunded.
#[tokio::test]
async fn a_refund_that_comes_back_to_what_was_given_up_is_owed() {
    TestApp::run(async |app| {
        let running = running(app).await;
        let refund = refund_by_hand(app, &running.payment, left(app));
        all_is_told(app).await;
        assert_eq!(cancel_project(&app.state.pool, running.project, "ops", "x").await.unwrap().refund, None);
        comes_back(app, &refund).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("REFUND_PENDING"));
        let owed = troubled(app).await;
        assert_eq!(owed.len(), 1);
        assert!(retry_refund(&app.state.pool, owed[0].into(), "ops").await.unwrap());
        all_is_told(app).await;
        assert_eq!(left(app), 0);
        assert!(troubled(app).await.is_empty());
        books_agree(app).await;

        let acme = app.company("globex").await;
        let free = app.published_posting(&acme, &[10_000]).await;
        let payment = app.stripe.books().payment_intents.last().unwrap().id.clone();
        let refund = refund_by_hand(app, &payment, 10_000);
        status_becomes(app, free, "CANCELED").await;
        comes_back(app, &refund).await;
        let owed = troubled(app).await;
        assert!(retry_refund(&app.state.pool, owed[0].into(), "ops").await.unwrap());
        all_is_told(app).await;
        assert_eq!(value(app, SESSION, free.0).await.as_deref(), Some("REFUNDED"));
        books_agree(app).await;
    })
    .await;
}

/// The payment went back before anybody had heard of it, so that nothing was published: what comes back is owed, and the
/// posting can be paid anew.
#[tokio::test]
async fn what_comes_back_to_a_posting_that_was_never_published_is_owed() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let paid = app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        let refund = refund_by_hand(app, &paid.payment_intent, 10_000);
        execute(app, "UPDATE payment_session SET updated_at = now() - interval '61 seconds'").await;
        app.state.jobs.sweep().await.unwrap();
        jobs_are_done(app).await;
        assert_eq!(value(app, SESSION, posting.0).await.as_deref(), Some("REFUNDED"));
        app.stripe.webhooks_enabled(true);
        comes_back(app, &refund).await;
        assert_eq!(value(app, SESSION, posting.0).await.as_deref(), Some("REFUND_PENDING"));
        let owed = troubled(app).await;
        assert_eq!(owed.len(), 1);
        app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        status_becomes(app, posting, "PUBLISHED").await;
        assert!(retry_refund(&app.state.pool, owed[0].into(), "ops").await.unwrap());
        all_is_told(app).await;
        assert_eq!(left(app), 0);
        assert!(troubled(app).await.is_empty());
        books_agree(app).await;
    })
    .await;
}

/// A refund that failed is told without its payment: its charge says whose it is.
#[tokio::test]
async fn a_partial_event_of_a_refund_by_hand_is_understood() {
    TestApp::run(async |app| {
        let running = running(app).await;
        let refund = refund_by_hand(app, &running.payment, left(app));
        all_is_told(app).await;
        app.stripe.webhooks_enabled(false);
        app.stripe.set_refund_status(&refund, "failed").unwrap();
        let mut object = app.stripe.object(&refund).unwrap();
        object.as_object_mut().unwrap().remove("payment_intent");
        app.stripe.webhooks_enabled(true);
        app.stripe.send_event("refund.failed", object);
        all_is_told(app).await;
        assert_eq!(value(app, SESSION, running.posting.0).await.as_deref(), Some("PAID"));
        books_agree(app).await;
    })
    .await;
}

/// Our own refund was of what a part by hand had left. That part comes back: it is refunded next to what did go back, and
/// neither is taken for the other.
#[tokio::test]
async fn a_part_that_comes_back_after_our_own_refund_is_owed() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.published_posting(&acme, &[10_000]).await;
        let payment = app.stripe.books().payment_intents[0].id.clone();
        let by_hand = refund_by_hand(app, &payment, 3_000);
        all_is_told(app).await;
        assert_eq!(cancel(&acme, posting).await.expect(201)["refundAmount"], 70);
        all_is_told(app).await;
        comes_back(app, &by_hand).await;
        books_agree(app).await;
        // Told again, it changes nothing.
        for event in app.stripe.events_of("refund.created") {
            app.stripe.resend(&event.id);
        }
        let owed = troubled(app).await;
        assert_eq!(owed.len(), 1, "3,000 cents are with nobody");
        assert!(retry_refund(&app.state.pool, owed[0].into(), "ops").await.unwrap());
        all_is_told(app).await;
        let counting = app.stripe.books().refunds.into_iter().filter(freehunt_sandbox::stripe::Refund::counts);
        assert_eq!(counting.map(|refund| refund.amount).collect::<Vec<_>>(), [7_000, 3_000]);
        assert_eq!(value(app, SESSION, posting.0).await.as_deref(), Some("REFUNDED"));
        books_agree(app).await;
    })
    .await;
}

/// A part is refunded by hand after Stripe was asked for the refunds and before the payment is on record: whoever tells of
/// it then tells nobody.
#[tokio::test]
async fn a_refund_while_a_payment_is_recorded_is_entered() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let (told, adopted) = (app.unpaid_posting(&acme, &[10_000]).await, app.unpaid_posting(&acme, &[20_000]).await);
        let paid = app.stripe.pay(&open_session(&acme, told).await).unwrap();
        let session = app.state.stripe.get_checkout_session(&paid.session).await.unwrap();
        let payment = payment_of(&app.state.stripe, &session).await.unwrap();
        refund_by_hand(app, &paid.payment_intent, 1_000);
        assert_eq!(record_payment(&app.state.pool, &payment, &[]).await.unwrap(), PaymentOutcome::Published);

        let paid = app.stripe.pay(&open_session(&acme, adopted).await).unwrap();
        sqlx::query("UPDATE payment_session SET quarantine = 'x' WHERE job_posting_id = $1")
            .bind(adopted.0)
            .execute(&app.pool)
            .await
            .unwrap();
        let look = set_aside::look(&app.state.stripe, &paid.session).await.unwrap();
        refund_by_hand(app, &paid.payment_intent, 2_000);
        let set_aside = quarantine::SetAside {
            payment: &look.payment,
            refunds: &look.refunds,
            expires_at: app.state.clock.now(),
            live_mode: false,
            operator: "ops",
        };
        let outcome = quarantine::adopt(&app.state.pool, &set_aside).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Published);
        jobs_are_done(app).await;
        books_agree(app).await;
        assert_eq!(cancel(&acme, told).await.expect(201)["refundAmount"], 90);
        assert_eq!(cancel(&acme, adopted).await.expect(201)["refundAmount"], 180);
    })
    .await;
}

/// All of it, while the payment is recorded: the posting does not stay published on nothing.
#[tokio::test]
async fn a_whole_refund_while_a_payment_is_recorded_ends_the_posting() {
    TestApp::run(async |app| {
        app.stripe.webhooks_enabled(false);
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let paid = app.stripe.pay(&open_session(&acme, posting).await).unwrap();
        let session = app.state.stripe.get_checkout_session(&paid.session).await.unwrap();
        let payment = payment_of(&app.state.stripe, &session).await.unwrap();
        refund_by_hand(app, &paid.payment_intent, 10_000);
        record_payment(&app.state.pool, &payment, &[]).await.unwrap();
        eventually("the posting ends", async || app.posting_status(posting).await == "CANCELED").await;
        books_agree(app).await;
    })
    .await;
}
