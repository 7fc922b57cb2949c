//! Random sequences of what companies, freelances, customers and Stripe's faults do, held against a model of the state
//! machines that knows no faults: they may delay, never change, what comes out.
//!
//! More cases than the suite's own: `PROPTEST_CASES=200 cargo test -p freehunt-tests --test end_to_end payment_model`

use freehunt_domain::ids::JobPostingId;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Persona, TestApp, TestOptions};
use http::Method;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

use crate::money::{advance, books_agree, cancel, create_payment, jobs_are_done, value};

const CHECKPOINTS: [i64; 2] = [12_345, 6_789];
/// Sequences in the suite's own run.
const SHORT_RUN: u32 = 4;

#[derive(Clone, Copy, Debug)]
enum Action {
    OpenPage,
    Pay,
    ExpirePage,
    Cancel,
    Accept,
    Submit(usize),
    Approve(usize),
    RepeatEvents,
    Fault(Fault),
}

/// What goes wrong with the next call that moves money.
#[derive(Clone, Copy, Debug)]
enum Fault {
    LoseAnswer,
    Reset,
    /// Stored under the key, with nothing done.
    Stored,
    /// Stored under the key, with the work done.
    StoredAfterWork,
    /// The next events are told to nobody.
    Deaf,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let fault = prop_oneof![
        Just(Fault::LoseAnswer),
        Just(Fault::Reset),
        Just(Fault::Stored),
        Just(Fault::StoredAfterWork),
        Just(Fault::Deaf)
    ];
    let action = prop_oneof![
        3 => Just(Action::OpenPage),
        4 => Just(Action::Pay),
        1 => Just(Action::ExpirePage),
        1 => Just(Action::Cancel),
        3 => Just(Action::Accept),
        2 => (0..2_usize).prop_map(Action::Submit),
        3 => (0..2_usize).prop_map(Action::Approve),
        1 => Just(Action::RepeatEvents),
        3 => fault.prop_map(Action::Fault),
    ];
    prop::collection::vec(action, 6..18)
}

/// What should come out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    status: &'static str,
    has_page: bool,
    was_paid: bool,
    is_accepted: bool,
    checkpoints: [&'static str; 2],
}

impl Model {
    fn new() -> Self {
        let (status, checkpoints) = ("PENDING_PAYMENT", ["TODO", "TODO"]);
        Self { status, has_page: false, was_paid: false, is_accepted: false, checkpoints }
    }

    fn is_completed(&self) -> bool {
        self.checkpoints == ["DONE", "DONE"]
    }

    /// Whether the action is granted; what it changes is changed.
    fn apply(&mut self, action: Action) -> bool {
        match action {
            Action::OpenPage => {
                let granted = self.status == "PENDING_PAYMENT";
                self.has_page |= granted;
                granted
            }
            Action::Pay => {
                let granted = self.has_page;
                if granted {
                    (self.status, self.has_page, self.was_paid) = ("PUBLISHED", false, true);
                }
                granted
            }
            Action::ExpirePage => std::mem::take(&mut self.has_page),
            Action::Cancel => {
                let granted = self.status != "CANCELED" && !self.is_accepted;
                if granted {
                    (self.status, self.has_page) = ("CANCELED", false);
                }
                granted
            }
            Action::Accept => {
                let granted = self.status == "PUBLISHED" && !self.is_accepted;
                self.is_accepted |= granted;
                granted
            }
            Action::Submit(index) => {
                let granted = self.is_accepted && self.checkpoints[index] != "DONE";
                if granted {
                    self.checkpoints[index] = "PENDING_COMPANY_APPROVAL";
                }
                granted
            }
            Action::Approve(index) => {
                if self.is_accepted {
                    self.checkpoints[index] = "DONE";
                }
                self.is_accepted
            }
            Action::RepeatEvents | Action::Fault(_) => true,
        }
    }

    /// Cents that Stripe should have given back.
    fn refunded(&self) -> i64 {
        if self.was_paid && self.status == "CANCELED" { CHECKPOINTS.iter().sum() } else { 0 }
    }
}

struct World<'a> {
    app: &'a TestApp,
    acme: Persona,
    alice: Persona,
    posting: JobPostingId,
    page: Option<String>,
}

impl World<'_> {
    /// The status of the answer; 0 for what is not asked over HTTP, 404 where it cannot be asked at all.
    async fn perform(&mut self, action: Action) -> u16 {
        match action {
            Action::OpenPage => {
                let answer = create_payment(&self.acme, self.posting).await;
                if answer.status == 201 {
                    self.page = answer.body["sessionId"].as_str().map(ToOwned::to_owned);
                }
                answer.status
            }
            Action::Pay => self.at_stripe(|app, page| app.stripe.pay(page).is_ok()),
            Action::ExpirePage => self.at_stripe(|app, page| app.stripe.expire(page).is_ok()),
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
        }
    }

    fn at_stripe(&self, act: impl Fn(&TestApp, &str) -> bool) -> u16 {
        let done = self.page.as_deref().is_some_and(|page| act(self.app, page));
        if done { 0 } else { 404 }
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
        jobs_are_done(self.app).await;
        crate::money::execute(
            self.app,
            "UPDATE payment_session SET updated_at = now() - interval '61 seconds' WHERE status = 'OPEN'",
        )
        .await;
        self.app.state.jobs.sweep().await.expect("the database is there");
        jobs_are_done(self.app).await;
        let page = "SELECT stripe_session_id FROM payment_session WHERE job_posting_id = $1 AND status = 'OPEN'";
        // A page whose making was answered to nobody is there all the same.
        if let Some(page) = value(self.app, page, self.posting.0).await {
            self.page = Some(page);
        }
    }

    async fn observe(&self) -> Model {
        let id = self.posting.0;
        let row: (String, bool, bool, bool) = sqlx::query_as(
            r#"SELECT p."status"::text,
                      EXISTS (SELECT FROM payment_session s WHERE s.job_posting_id = p."id" AND s.status = 'OPEN'),
                      EXISTS (SELECT FROM payment_session s WHERE s.job_posting_id = p."id" AND s.paid_at IS NOT NULL),
                      EXISTS (SELECT FROM "Project" r WHERE r."jobPostingId" = p."id")
               FROM "JobPosting" p WHERE p."id" = $1"#,
        )
        .bind(id)
        .fetch_one(&self.app.pool)
        .await
        .expect("the posting is there");
        let statuses: Vec<String> = sqlx::query_scalar(
            r#"SELECT "status"::text FROM "Checkpoint" WHERE "jobPostingId" = $1 ORDER BY "date", "createdAt", "id""#,
        )
        .bind(id)
        .fetch_all(&self.app.pool)
        .await
        .expect("the checkpoints are there");
        let name = |text: &str| {
            ["PENDING_PAYMENT", "PUBLISHED", "CANCELED", "TODO", "PENDING_COMPANY_APPROVAL", "DONE"]
                .into_iter()
                .find(|name| *name == text)
                .unwrap_or("something else")
        };
        Model {
            status: name(&row.0),
            has_page: row.1,
            was_paid: row.2,
            is_accepted: row.3,
            checkpoints: [name(&statuses[0]), name(&statuses[1])],
        }
    }
}

async fn check(actions: &[Action]) {
    let options = TestOptions::default().with("STRIPE_TIMEOUT_MS", "3000");
    TestApp::run_with(options, async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &CHECKPOINTS).await;
        let (mut world, mut model) = (World { app, acme, alice, posting, page: None }, Model::new());
        for (number, &action) in actions.iter().enumerate() {
            let granted = model.apply(action);
            let status = world.perform(action).await;
            // A fault may turn a grant into "later", never into a refusal, and a refusal into nothing else.
            let refused = (400..500).contains(&status);
            assert_eq!(refused, !granted, "{status} to {action:?}, number {number} of {actions:?}");
            world.settle().await;
            assert_eq!(world.observe().await, model, "after {action:?}, number {number} of {actions:?}");
        }
        let books = app.stripe.books();
        assert_eq!(books.refunds.iter().map(|refund| refund.amount).sum::<i64>(), model.refunded());
        let done = model.checkpoints.iter().filter(|status| **status == "DONE").count();
        assert_eq!(books.transfers.len(), done);
        let project = r#"SELECT "status"::text FROM "Project" WHERE "jobPostingId" = $1"#;
        let is_completed = value(app, project, posting.0).await.as_deref() == Some("COMPLETED");
        assert_eq!(is_completed, model.is_completed());
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
