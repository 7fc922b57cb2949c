//! A company and a freelance who do business through whatever replica answers.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use freehunt_domain::ids::JobPostingId;
use freehunt_sandbox::stripe::Books;
use freehunt_tests::{Persona, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::replica::{Replicas, Schedule};
use crate::money::checkout_body;

/// How often a step is repeated before the test gives up on it.
const PATIENCE: usize = 2_000;

/// What was done.
#[derive(Default)]
pub struct Tally {
    published: AtomicUsize,
    canceled: AtomicUsize,
    paid_out: AtomicUsize,
}

impl Tally {
    /// Called when everything was found to be right.
    #[expect(clippy::print_stdout, reason = "the long run is asked for its counts")]
    pub fn report(&self, kills: usize, books: &Books) {
        let [published, canceled, paid_out] =
            [&self.published, &self.canceled, &self.paid_out].map(|count| count.load(Ordering::Relaxed));
        println!(
            "{kills} kills: {published} published, {canceled} canceled, {paid_out} checkpoints paid; at Stripe {} sessions, \
             {} payments, {} transfers, {} refunds; 0 violations, 0 payments made twice, 0 lost",
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
        let posting = self.app.unpaid_posting(&self.company, &[20_000, 30_000]).await;
        let Some(session) = self.open_page(posting).await else { return };
        match self.replicas.below(4) {
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
            _ => {
                self.pay_until_published(posting, &session).await;
                self.work(posting).await;
            }
        }
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

    async fn pay_until_published(&self, posting: JobPostingId, session: &str) {
        self.app.stripe.pay(session).unwrap_or_else(|error| panic!("the open page can be paid: {error:?}"));
        for _ in 0..PATIENCE {
            if self.app.posting_status(posting).await == "PUBLISHED" {
                self.tally.published.fetch_add(1, Ordering::Relaxed);
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a paid posting was never published");
    }

    /// Apply, accept, submit and approve.
    async fn work(&self, posting: JobPostingId) {
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
        for checkpoint in self.app.checkpoint_ids(posting).await {
            let path = format!("/checkpoints/{checkpoint}");
            let done = json!({ "status": "DONE" });
            let (status, _) = self.call(&self.freelance, Method::PUT, &path, &done).await;
            assert_eq!(status, 200);
            let (one, two) = tokio::join!(
                self.call(&self.company, Method::PUT, &path, &done),
                self.call(&self.company, Method::PUT, &path, &done)
            );
            assert_eq!((one.0, two.0), (200, 200), "{one:?} {two:?}");
            assert_eq!(two.1["status"], "DONE");
            self.tally.paid_out.fetch_add(1, Ordering::Relaxed);
        }
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
