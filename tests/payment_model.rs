//! Random sequences of what companies, freelances, customers, banks, operators and Stripe's faults do, held against a model
//! of the state machines that knows no faults: they may delay, never change, what comes out.
//!
//! More cases than the suite's own: `PROPTEST_CASES=200 cargo test -p freehunt-tests --test end_to_end payment_model`

mod model;

use std::collections::BTreeMap;

use freehunt_domain::{
    ids::{JobPostingId, ProjectId},
    payments::{cancel_project::cancel_project, retry_refund},
};
use freehunt_jobs::set_aside::{self, Decision};
use freehunt_sandbox::{
    stand_in::Misbehaviour,
    stripe::{Books, Paid},
};
use freehunt_stripe::CheckoutRequest;
use freehunt_tests::{Persona, TestApp, TestOptions, eventually, settings};
use http::Method;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

use self::model::{Action, CHECKPOINTS, Fault, Model, PART, Seen};
use crate::money::{advance, books_agree, cancel, create_payment, events_are_read, execute, keys_rest, value};

/// Sequences in the suite's own run.
const SHORT_RUN: u32 = 4;
/// More than any sequence gives back or pays out.
const OTHER_MONEY: i64 = 10_000_000;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let fault = prop_oneof![
        Just(Fault::LoseAnswer),
        Just(Fault::Reset),
        Just(Fault::Stored),
        Just(Fault::StoredAfterWork),
        Just(Fault::Deaf)
    ];
    let fault = fault.prop_map(Action::Fault).boxed();
    let index = 0..CHECKPOINTS.len();
    let step = prop_oneof![
        1 => Just(vec![Action::OpenPage]),
        2 => Just(vec![Action::Pay]),
        1 => Just(vec![Action::ExpirePage]),
        1 => Just(vec![Action::Cancel]),
        2 => Just(vec![Action::Accept]),
        1 => index.clone().prop_map(|index| vec![Action::Submit(index)]),
        3 => index.clone().prop_map(|index| vec![Action::Approve(index)]),
        1 => Just(vec![Action::RepeatEvents]),
        3 => fault.clone().prop_map(|fault| vec![fault]),
        3 => prop::bool::weighted(0.3).prop_map(|all| vec![Action::RefundByHand { all }]),
        1 => Just(vec![Action::ReturnRefund]),
        3 => any::<bool>().prop_map(|all| vec![Action::RefundByHand { all }, Action::ReturnRefund]),
        2 => Just(vec![Action::RetryRefund]),
        2 => (index, any::<bool>()).prop_map(|(index, all)| vec![Action::ReverseTransfer { index, all }]),
        // Mostly with nothing in between.
        2 => any::<(bool, bool)>().prop_map(|(all, by_inquiry)| vec![Action::Dispute { all, by_inquiry }]),
        3 => any::<(bool, bool, bool)>().prop_map(|(all, by_inquiry, is_won)| {
            vec![Action::Dispute { all, by_inquiry }, Action::CloseDispute { is_won }]
        }),
        2 => any::<bool>().prop_map(|is_won| vec![Action::CloseDispute { is_won }]),
        3 => Just(vec![Action::TurnDispute]),
        1 => Just(vec![Action::Dispute { all: true, by_inquiry: false }, Action::CloseDispute { is_won: false },
                       Action::Cancel, Action::TurnDispute]),
        1 => Just(vec![Action::Dispute { all: true, by_inquiry: false }, Action::CloseDispute { is_won: false },
                       Action::CancelProject, Action::TurnDispute]),
        1 => Just(vec![Action::PayUnrecorded]),
        1 => Just(vec![Action::PayUnrecorded, Action::Adopt]),
        1 => Just(vec![Action::PayUnrecorded, Action::GiveBack]),
        1 => Just(vec![Action::Adopt]),
        2 => Just(vec![Action::CancelProject]),
    ];
    // Most of it happens once a posting is paid.
    let way = [Action::OpenPage, Action::Pay, Action::Accept, Action::Approve(0)];
    let beginning = prop_oneof![1 => 0..2_usize, 4 => 2..=way.len()].prop_map(move |length| way[..length].to_vec());
    (prop::option::of(fault), beginning, prop::collection::vec(step, 4..10)).prop_map(|(fault, beginning, steps)| {
        fault.into_iter().chain(beginning).chain(steps.into_iter().flatten()).collect()
    })
}

struct World<'a> {
    app: &'a TestApp,
    acme: Persona,
    alice: Persona,
    posting: JobPostingId,
    page: Option<String>,
    /// The payment that the posting was published on.
    paid: Option<Paid>,
    /// The payment that no row knows, unless it was adopted.
    unrecorded: Option<Paid>,
}

impl World<'_> {
    /// The status of the answer; 0 for what is done and not asked over HTTP, 404 where that is refused.
    async fn perform(&mut self, action: Action) -> u16 {
        let books = self.app.stripe.books();
        match action {
            Action::OpenPage => {
                let answer = create_payment(&self.acme, self.posting).await;
                if answer.status == 201 {
                    self.page = answer.body["sessionId"].as_str().map(ToOwned::to_owned);
                }
                answer.status
            }
            Action::Pay => {
                let paid = self.page.as_deref().and_then(|page| self.app.stripe.pay(page).ok());
                let is_paid = paid.is_some();
                self.paid = paid.or(self.paid.take());
                done(is_paid)
            }
            Action::ExpirePage => done(self.page.as_deref().is_some_and(|page| self.app.stripe.expire(page).is_ok())),
            Action::Cancel => cancel(&self.acme, self.posting).await.status,
            Action::Accept => self.accept().await,
            Action::Submit(index) => advance(&self.alice, self.checkpoint(index).await).await.status,
            Action::Approve(index) => advance(&self.acme, self.checkpoint(index).await).await.status,
            Action::RepeatEvents => {
                for event in self.app.stripe.events() {
                    self.app.stripe.resend(&event.id);
                }
                0
            }
            Action::Fault(fault) => {
                self.upset(fault);
                0
            }
            Action::RefundByHand { all } => {
                let Some(paid) = &self.paid else { return 404 };
                let amount = if all { self.left(paid) } else { PART };
                let fits = amount > 0 && amount <= self.left(paid);
                done(fits && self.app.stripe.refund_from_dashboard(&paid.payment_intent, Some(amount)).is_ok())
            }
            Action::ReturnRefund => {
                let Some(paid) = &self.paid else { return 404 };
                let counting = books.refunds_of(&paid.payment_intent);
                let newest = counting.into_iter().rfind(|refund| refund.from_dashboard);
                done(newest.is_some_and(|refund| self.app.stripe.set_refund_status(&refund.id, "failed").is_ok()))
            }
            Action::RetryRefund => self.retry_refund(&books).await,
            Action::ReverseTransfer { index, all } => {
                let checkpoint = self.checkpoint(index).await.to_string();
                let transfer = books.transfers_of_checkpoint(&checkpoint).first().map(|transfer| transfer.id.clone());
                let amount = (!all).then_some(PART);
                done(transfer.is_some_and(|transfer| self.app.stripe.reverse_transfer(&transfer, amount).is_ok()))
            }
            Action::Dispute { all, by_inquiry } => {
                let Some(paid) = &self.paid else { return 404 };
                let charge = books.charge_of(&paid.payment_intent).expect("it was charged");
                let unrefunded = charge.amount - charge.amount_refunded;
                let amount = if all { unrefunded } else { PART };
                let fits = amount > 0 && amount <= unrefunded;
                done(fits && self.dispute(&charge.id, amount, by_inquiry))
            }
            Action::TurnDispute => done(self.turn_dispute()),
            Action::CloseDispute { is_won } => {
                let open = books.disputes.iter().find(|dispute| dispute.status == "needs_response");
                done(open.is_some_and(|dispute| self.app.stripe.close_dispute(&dispute.id, is_won).is_ok()))
            }
            Action::PayUnrecorded => self.pay_unrecorded().await,
            Action::Adopt => {
                let Some(paid) = &self.unrecorded else { return 404 };
                let adopted = set_aside::adopt(&self.app.state.pool, &self.app.state.stripe, decision(paid)).await;
                if matches!(adopted, Ok(freehunt_domain::payments::PaymentOutcome::Published)) {
                    self.paid = self.unrecorded.clone();
                }
                done(adopted.is_ok())
            }
            Action::GiveBack => {
                let Some(paid) = &self.unrecorded else { return 404 };
                let given = set_aside::give_back(&self.app.state.pool, &self.app.state.stripe, decision(paid)).await;
                done(given.is_ok())
            }
            Action::CancelProject => {
                let project = r#"SELECT "id"::text FROM "Project" WHERE "jobPostingId" = $1"#;
                let Some(project) = value(self.app, project, self.posting.0).await else { return 404 };
                let project = ProjectId(project.parse().expect("an id"));
                done(cancel_project(&self.app.state.pool, project, "ops", "x").await.is_ok())
            }
        }
    }

    fn dispute(&self, charge: &str, amount: i64, by_inquiry: bool) -> bool {
        if !by_inquiry {
            return self.app.stripe.dispute_part(charge, amount).is_ok();
        }
        let inquiry = self.app.stripe.inquire(charge, amount);
        inquiry.is_ok_and(|inquiry| self.app.stripe.set_dispute_status(&inquiry, "needs_response").is_ok())
    }

    /// Unless the bank still decides, or what was left went back already.
    fn turn_dispute(&self) -> bool {
        let Some(paid) = &self.paid else { return false };
        let books = self.app.stripe.books();
        let charge = books.charge_of(&paid.payment_intent).expect("it was charged");
        let is_given_back = books.refunds_of(&paid.payment_intent).iter().any(|refund| !refund.from_dashboard);
        let decided = books.disputes.iter().rfind(|dispute| dispute.charge == charge.id);
        let turned = match decided.map(|dispute| dispute.status.as_str()) {
            Some("won") => "lost",
            Some("lost") => "won",
            _ => return false,
        };
        let id = decided.map(|dispute| dispute.id.as_str()).unwrap_or_default();
        !is_given_back && self.app.stripe.set_dispute_status(id, turned).is_ok()
    }

    async fn retry_refund(&self, books: &Books) -> u16 {
        // It would wait for the end of the dispute.
        if self.paid.is_none() || books.disputes.iter().any(|dispute| dispute.status == "needs_response") {
            return 404;
        }
        let failed = "SELECT id::text FROM refund_intent WHERE status = 'FAILED' AND job_posting_id = $1";
        let Some(failed) = value(self.app, failed, self.posting.0).await else { return 404 };
        let failed: uuid::Uuid = failed.parse().expect("an id");
        done(retry_refund(&self.app.state.pool, failed.into(), "ops").await.expect("the database is there"))
    }

    /// Cents that Stripe's books say are left of a payment.
    fn left(&self, paid: &Paid) -> i64 {
        let books = self.app.stripe.books();
        let charge = books.charge_of(&paid.payment_intent).expect("it was charged");
        let lost = books.disputes.iter().filter(|dispute| dispute.charge == charge.id && dispute.status == "lost");
        let gone = charge.amount_refunded + books.transferred_from(&charge.id);
        charge.amount - gone - lost.map(|dispute| dispute.amount).sum::<i64>()
    }

    /// A page for the posting, as the original had opened it.
    async fn pay_unrecorded(&mut self) -> u16 {
        if self.unrecorded.is_some() {
            return 404;
        }
        let request = CheckoutRequest {
            job_posting_id: self.posting.to_string(),
            company_id: self.acme.company_id().to_string(),
            title: "Publication".to_owned(),
            amount_cents: CHECKPOINTS.iter().sum(),
            customer_email: self.acme.email.clone(),
            success_url: format!("{}/ok", settings::FRONTEND),
            cancel_url: format!("{}/no", settings::FRONTEND),
            expires_at: self.app.state.clock.now().timestamp() + 3600,
            metadata: BTreeMap::new(),
        };
        // The faults that wait for the next page are spent on these.
        for number in 0..8 {
            let key = format!("original:{}:{number}", self.posting);
            if let Ok(page) = self.app.state.stripe.create_checkout_session(&request, &key).await {
                self.unrecorded = self.app.stripe.pay(&page.id).ok();
                return done(self.unrecorded.is_some());
            }
        }
        panic!("the page is never made");
    }

    async fn checkpoint(&self, index: usize) -> uuid::Uuid {
        self.app.checkpoint_ids(self.posting).await[index]
    }

    async fn accept(&self) -> u16 {
        let body =
            json!({ "freelanceId": self.alice.freelance_id(), "jobPostingId": self.posting, "status": "PENDING" });
        let applied = self.alice.post("/candidates/", body).await;
        let Some(candidate) = applied.body["id"].as_str() else { return applied.status };
        let path = format!("/candidates/{candidate}/company");
        self.acme.put(&path, json!({ "status": "ACCEPTED" })).await.status
    }

    fn upset(&self, fault: Fault) {
        let controls = self.app.stripe.controls();
        for path in ["/v1/checkout/sessions", "/v1/transfers", "/v1/refunds"] {
            match fault {
                // The client repeats a call twice: these outlast one of its calls.
                Fault::LoseAnswer => controls.misbehave_on(Method::POST, path, 4, Misbehaviour::LoseAnswer),
                Fault::Reset => controls.misbehave_on(Method::POST, path, 4, Misbehaviour::Reset),
                Fault::Stored => self.app.stripe.store_500_for_next(path),
                Fault::StoredAfterWork => self.app.stripe.store_500_after_work_for_next(path),
                Fault::Deaf => self.app.stripe.webhooks_enabled(false),
            }
        }
    }

    /// Whatever is under way comes to its end, as it would in time.
    async fn settle(&mut self) {
        self.app.stripe.wait_until_delivered().await;
        self.jobs_come_to_their_end().await;
        events_are_read(self.app).await;
        execute(
            self.app,
            "UPDATE payment_session SET updated_at = now() - interval '61 seconds' WHERE status = 'OPEN'",
        )
        .await;
        self.app.state.jobs.sweep().await.expect("the database is there");
        self.jobs_come_to_their_end().await;
        let page = "SELECT stripe_session_id FROM payment_session WHERE job_posting_id = $1 AND status = 'OPEN'";
        // A page whose making was answered to nobody is there all the same.
        if let Some(page) = value(self.app, page, self.posting.0).await {
            self.page = Some(page);
        }
    }

    /// Also those that wait until an earlier request can no longer be carried out.
    async fn jobs_come_to_their_end(&self) {
        eventually("no job is left", async || {
            keys_rest(self.app).await;
            execute(self.app, "UPDATE job SET run_at = now() WHERE state = 'READY' AND run_at > now()").await;
            self.app.state.jobs.wake();
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM job WHERE state = 'READY'")
                .fetch_one(&self.app.pool)
                .await
                .expect("the jobs can be counted");
            left == 0
        })
        .await;
    }

    async fn observe(&self) -> Seen {
        let row: (String, bool, bool, Option<String>) = sqlx::query_as(
            r#"SELECT p."status"::text,
                      EXISTS (SELECT FROM payment_session s WHERE s.job_posting_id = p."id" AND s.status = 'OPEN'),
                      EXISTS (SELECT FROM payment_session s WHERE s.job_posting_id = p."id" AND s.paid_at IS NOT NULL),
                      (SELECT r."status"::text FROM "Project" r WHERE r."jobPostingId" = p."id")
               FROM "JobPosting" p WHERE p."id" = $1"#,
        )
        .bind(self.posting.0)
        .fetch_one(&self.app.pool)
        .await
        .expect("the posting is there");
        let checkpoints: Vec<(String, String)> = sqlx::query_as(
            r#"SELECT "id"::text, "status"::text FROM "Checkpoint" WHERE "jobPostingId" = $1
               ORDER BY "date", "createdAt", "id""#,
        )
        .bind(self.posting.0)
        .fetch_all(&self.app.pool)
        .await
        .expect("the checkpoints are there");
        let books = self.app.stripe.books();
        let counts = books.refunds.iter().filter(|refund| refund.counts());
        let paid_out = |id: &str| books.transfers_of_checkpoint(id).iter().map(|transfer| transfer.net()).sum::<i64>();
        Seen {
            status: row.0,
            has_page: row.1,
            was_paid: row.2,
            project: row.3,
            checkpoints: [checkpoints[0].1.clone(), checkpoints[1].1.clone()],
            refunded: counts.map(|refund| refund.amount).sum(),
            paid_out: [paid_out(&checkpoints[0].0), paid_out(&checkpoints[1].0)],
        }
    }
}

fn done(is_done: bool) -> u16 {
    if is_done { 0 } else { 404 }
}

fn decision(paid: &Paid) -> Decision<'_> {
    Decision { stripe_session_id: &paid.session, operator: "ops", live_mode: false }
}

async fn check(actions: &[Action]) {
    let options = TestOptions::default().with("STRIPE_TIMEOUT_MS", "3000");
    TestApp::run_with(options, async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &CHECKPOINTS).await;
        app.stripe.add_available_balance(OTHER_MONEY);
        let mut world = World { app, acme, alice, posting, page: None, paid: None, unrecorded: None };
        let mut model = Model::new();
        // What was set aside is decided on in the end, so that the books agree.
        for (number, &action) in actions.iter().chain(&[Action::GiveBack]).enumerate() {
            let granted = model.apply(action);
            let status = world.perform(action).await;
            // A fault may turn a grant into "later", never into a refusal, and a refusal into nothing else.
            let refused = (400..500).contains(&status);
            assert_eq!(refused, !granted, "{status} to {action:?}, number {number} of {actions:?}");
            world.settle().await;
            assert_eq!(world.observe().await, model.seen(), "after {action:?}, number {number} of {actions:?}");
        }
        for checkpoint in app.checkpoint_ids(posting).await {
            assert!(app.stripe.books().transfers_of_checkpoint(&checkpoint.to_string()).len() <= 1);
        }
        books_agree(app).await;
    })
    .await;
}

#[test]
fn faults_change_nothing_that_comes_out() {
    // The default stands for "nobody asked for a number".
    let asked = ProptestConfig::default().cases;
    let cases = if asked == 256 { SHORT_RUN } else { asked };
    let config = ProptestConfig { cases, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = runner.run(&actions(), |actions| {
        runtime.block_on(check(&actions));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
