//! A company and a freelance who do business through whatever replica answers.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use freehunt_domain::{ids::JobPostingId, payments::cancel_project::cancel_project, retry::retrying};
use freehunt_jobs::set_aside::{self, Decision};
use freehunt_sandbox::stripe::{Books, Paid};
use freehunt_stripe::CheckoutRequest;
use freehunt_tests::{Persona, TestApp, settings};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::replica::{Replicas, Schedule};
use crate::money::{checkout_body, value};

/// How often a step is repeated before the test gives up on it.
const PATIENCE: usize = 2_000;

/// Of a posting's checkpoints.
const AMOUNTS: [i64; 2] = [20_000, 30_000];
/// What is refunded, disputed or taken back in part: less than a transfer, so that Stripe refuses nothing of it by itself.
const PART: i64 = 5_000;

/// What was done.
#[derive(Default)]
pub struct Tally {
    published: AtomicUsize,
    canceled: AtomicUsize,
    paid_out: AtomicUsize,
    by_hand: AtomicUsize,
    disputes: AtomicUsize,
    given_up: AtomicUsize,
    decided: AtomicUsize,
}

impl Tally {
    /// Called when everything was found to be right.
    #[expect(clippy::print_stdout, reason = "the long run is asked for its counts")]
    pub fn report(&self, kills: usize, books: &Books) {
        let counts = [&self.published, &self.canceled, &self.paid_out, &self.by_hand, &self.disputes];
        let [published, canceled, paid_out, by_hand, disputes] = counts.map(|count| count.load(Ordering::Relaxed));
        let [given_up, decided] = [&self.given_up, &self.decided].map(|count| count.load(Ordering::Relaxed));
        println!(
            "{kills} kills: {published} published, {canceled} canceled, {paid_out} checkpoints paid, {by_hand} refunded by \
             hand, {disputes} disputed, {given_up} projects ended, {decided} payments decided on; at Stripe {} sessions, {} \
             payments, {} transfers, {} refunds; 0 violations, 0 payments made twice, 0 lost",
            books.sessions.len(),
            books.charges.len(),
            books.transfers.len(),
            books.refunds.len(),
        );
    }
}

pub struct Actor<'a> {
    app: &'a TestApp,
    replicas: &'a Replicas,
    company: Persona,
    freelance: Persona,
    tally: &'a Tally,
}

impl<'a> Actor<'a> {
    pub async fn new(app: &'a TestApp, replicas: &'a Replicas, number: usize, tally: &'a Tally) -> Self {
        let company = app.company(&format!("company{number}")).await;
        let freelance = app.freelance(&format!("freelance{number}")).await;
        Self { app, replicas, company, freelance, tally }
    }

    pub async fn act_until(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            self.act().await;
        }
    }

    /// One posting's life.
    async fn act(&self) {
        let posting = self.app.unpaid_posting(&self.company, &AMOUNTS).await;
        if self.replicas.below(6) == 0 {
            return self.pay_elsewhere(posting).await;
        }
        let Some(session) = self.open_page(posting).await else { return };
        match self.replicas.below(8) {
            // Paid and given up at the same moment.
            0 => {
                let _refused = self.app.stripe.pay(&session);
                self.cancel(posting).await;
            }
            1 => {
                let (_, _refused) = tokio::join!(self.cancel(posting), async { self.app.stripe.pay(&session) });
            }
            2 => {
                self.pay_until_published(posting, &session).await;
                tokio::join!(self.cancel(posting), self.cancel(posting));
            }
            // Given up while a part, or all, is given back in Stripe's dashboard.
            3 => {
                let paid = self.pay_until_published(posting, &session).await;
                let part = (self.replicas.below(3) > 0).then_some(PART);
                tokio::join!(self.cancel(posting), async { self.refund_by_hand(&paid, part) });
            }
            4 => {
                let paid = self.pay_until_published(posting, &session).await;
                self.dispute(posting, &paid).await;
            }
            5 | 6 => {
                let paid = self.pay_until_published(posting, &session).await;
                self.begin_and_give_up(posting, &paid).await;
            }
            _ => {
                self.pay_until_published(posting, &session).await;
                self.work(posting).await;
            }
        }
    }

    fn refund_by_hand(&self, paid: &Paid, amount: Option<i64>) {
        // Refused when our own came first.
        let refunded = self.app.stripe.refund_from_dashboard(&paid.payment_intent, amount);
        self.tally.by_hand.fetch_add(usize::from(refunded.is_ok()), Ordering::Relaxed);
    }

    /// The customer's bank takes the payment or a part of it back, and decides.
    async fn dispute(&self, posting: JobPostingId, paid: &Paid) {
        let amount = if self.replicas.below(2) == 0 { PART } else { AMOUNTS.iter().sum() };
        let dispute = self.app.stripe.dispute_part(&paid.charge, amount).expect("it is the first");
        if self.replicas.below(2) == 0 {
            self.becomes(posting, "SELECT status FROM dispute WHERE job_posting_id = $1", "needs_response").await;
        }
        let is_won = self.replicas.below(2) == 0;
        self.app.stripe.close_dispute(&dispute, is_won).expect("it is open");
        self.becomes(
            posting,
            "SELECT status FROM dispute WHERE job_posting_id = $1",
            if is_won { "won" } else { "lost" },
        )
        .await;
        self.cancel(posting).await;
        // The bank gives back after all what there was nothing left of to be refunded.
        if !is_won && amount > PART && self.replicas.below(2) == 0 {
            self.app.stripe.set_dispute_status(&dispute, "won").expect("it is known");
            self.becomes(posting, "SELECT status FROM refund_intent WHERE job_posting_id = $1", "SUCCEEDED").await;
        }
        self.tally.disputes.fetch_add(1, Ordering::Relaxed);
    }

    /// One checkpoint is paid, then perhaps taken back or refunded in part by hand, and an operator ends the project.
    async fn begin_and_give_up(&self, posting: JobPostingId, paid: &Paid) {
        self.accept(posting).await;
        let checkpoint = self.app.checkpoint_ids(posting).await[0];
        self.approve(checkpoint).await;
        match self.replicas.below(3) {
            0 => self.refund_by_hand(paid, Some(PART)),
            1 => {
                let books = self.app.stripe.books();
                let transfer = books.transfers_of_checkpoint(&checkpoint.to_string())[0].id.clone();
                self.app.stripe.reverse_transfer(&transfer, Some(PART)).expect("so much was sent");
            }
            _ => {}
        }
        let project: Uuid = sqlx::query_scalar(r#"SELECT "id" FROM "Project" WHERE "jobPostingId" = $1"#)
            .bind(posting.0)
            .fetch_one(&self.app.pool)
            .await
            .expect("the project is there");
        let canceled = retrying(|| cancel_project(&self.app.state.pool, project.into(), "ops", "x")).await;
        canceled.unwrap_or_else(|error| panic!("nothing is on its way: {error}"));
        self.tally.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// A page that no row knows is paid, and an operator decides.
    async fn pay_elsewhere(&self, posting: JobPostingId) {
        let request = CheckoutRequest {
            job_posting_id: posting.to_string(),
            company_id: self.company.company_id().to_string(),
            title: "Publication".to_owned(),
            amount_cents: AMOUNTS.iter().sum(),
            customer_email: self.company.email.clone(),
            success_url: format!("{}/ok", settings::FRONTEND),
            cancel_url: format!("{}/no", settings::FRONTEND),
            expires_at: self.app.state.clock.now().timestamp() + 3600,
            metadata: BTreeMap::new(),
        };
        let key = format!("original:{posting}");
        let page = self.app.state.stripe.create_checkout_session(&request, &key).await.expect("the page is made").id;
        self.app.stripe.pay(&page).expect("the open page can be paid");
        let decision = Decision { stripe_session_id: &page, operator: "ops", live_mode: false };
        let (pool, stripe) = (&self.app.state.pool, &self.app.state.stripe);
        if self.replicas.below(2) == 0 {
            set_aside::adopt(pool, stripe, decision).await.expect("it is what was to be paid");
            self.work(posting).await;
        } else {
            set_aside::give_back(pool, stripe, decision).await.expect("it was paid");
        }
        self.tally.decided.fetch_add(1, Ordering::Relaxed);
    }

    async fn becomes(&self, posting: JobPostingId, statement: &'static str, expected: &str) {
        for _ in 0..PATIENCE {
            if value(self.app, statement, posting.0).await.as_deref() == Some(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{statement} never yields {expected}");
    }

    async fn open_page(&self, posting: JobPostingId) -> Option<String> {
        let path = format!("/job-postings/{posting}/create-payment");
        let body = checkout_body(&self.company, posting);
        let (one, two) = tokio::join!(
            self.call(&self.company, Method::POST, &path, &body),
            self.call(&self.company, Method::POST, &path, &body)
        );
        assert_eq!((one.0, two.0), (201, 201), "{one:?} {two:?}");
        two.1["sessionId"].as_str().map(ToOwned::to_owned)
    }

    async fn cancel(&self, posting: JobPostingId) {
        let path = format!("/job-postings/{posting}/cancel");
        let (status, body) = self.call(&self.company, Method::POST, &path, &json!({ "reason": "x" })).await;
        assert!([201, 409].contains(&status), "{status} {body}");
        assert_eq!(self.app.posting_status(posting).await, "CANCELED");
        self.tally.canceled.fetch_add(usize::from(status == 201), Ordering::Relaxed);
    }

    async fn pay_until_published(&self, posting: JobPostingId, session: &str) -> Paid {
        let paid = self.app.stripe.pay(session);
        let paid = paid.unwrap_or_else(|error| panic!("the open page can be paid: {error:?}"));
        for _ in 0..PATIENCE {
            if self.app.posting_status(posting).await == "PUBLISHED" {
                self.tally.published.fetch_add(1, Ordering::Relaxed);
                return paid;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a paid posting was never published");
    }

    /// Apply, accept, submit and approve.
    async fn work(&self, posting: JobPostingId) {
        self.accept(posting).await;
        for checkpoint in self.app.checkpoint_ids(posting).await {
            let (path, done) = (format!("/checkpoints/{checkpoint}"), json!({ "status": "DONE" }));
            let (status, _) = self.call(&self.freelance, Method::PUT, &path, &done).await;
            assert_eq!(status, 200);
            self.approve(checkpoint).await;
        }
    }

    async fn accept(&self, posting: JobPostingId) {
        let application =
            json!({ "freelanceId": self.freelance.freelance_id(), "jobPostingId": posting, "status": "PENDING" });
        // A repetition is refused, as the first one may have been answered to nobody.
        let (status, body) = self.call(&self.freelance, Method::POST, "/candidates", &application).await;
        assert!([201, 400, 409].contains(&status), "{status} {body}");
        let candidate: Uuid = sqlx::query_scalar(r#"SELECT "id" FROM "Candidate" WHERE "jobPostingId" = $1"#)
            .bind(posting.0)
            .fetch_one(&self.app.pool)
            .await
            .expect("the application is there");
        let path = format!("/candidates/{candidate}/company");
        let (status, body) = self.call(&self.company, Method::PUT, &path, &json!({ "status": "ACCEPTED" })).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Twice at once.
    async fn approve(&self, checkpoint: Uuid) {
        let (path, done) = (format!("/checkpoints/{checkpoint}"), json!({ "status": "DONE" }));
        let (one, two) = tokio::join!(
            self.call(&self.company, Method::PUT, &path, &done),
            self.call(&self.company, Method::PUT, &path, &done)
        );
        assert_eq!((one.0, two.0), (200, 200), "{one:?} {two:?}");
        assert_eq!(two.1["status"], "DONE");
        self.tally.paid_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks replica after replica until one gives an answer that is not "later".
    async fn call(&self, persona: &Persona, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let mut last = String::new();
        for _ in 0..PATIENCE {
            let persona = self.app.at(persona, self.replicas.any_url());
            match persona.request(method.clone(), path).json(body).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    assert_ne!(status, 500, "{method} {path}");
                    match response.json().await {
                        Ok(body) if status != 503 => return (status, body),
                        Ok(body) => last = format!("{status} {body}"),
                        Err(error) => last = error.to_string(),
                    }
                }
                Err(error) => last = format!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let jobs: Vec<(String, String, i32, Option<String>)> =
            sqlx::query_as("SELECT kind, state, attempts, last_error FROM job WHERE state <> 'DONE'")
                .fetch_all(&self.app.pool)
                .await
                .expect("the jobs can be read");
        panic!("{method} {path} was never answered; last: {last}; jobs: {jobs:?}");
    }
}
