use std::{cell::Cell, fmt::Display};

use freehunt_domain::ids::JobPostingId;
use freehunt_tests::{ChatClient, Persona, Replica, Serving, TestApp, eventually, settings};
use serde_json::{Value, json};
use uuid::Uuid;

use super::folder;
use crate::{
    auth::{cookies_of, with_cookie},
    chat::say,
    money::{advance, books_agree, cancel, jobs_are_done, keys_rest, open_session, status_becomes, text},
};

/// Which side answers one request after the other: `o`lder or `n`ewer.
const TURNS: [&str; 4] = ["o", "on", "no", "oon"];

/// An older and a newer server of each kind, on one database.
struct Sides<'a> {
    app: &'a TestApp,
    older_api: String,
    older_chat: String,
    newer_chat: String,
    turns: &'static str,
    requests: Cell<usize>,
}

impl Sides<'_> {
    /// The same person, at the API whose turn it is.
    fn at(&self, persona: &Persona) -> Persona {
        let request = self.requests.replace(self.requests.get() + 1);
        let is_older = self.turns.as_bytes()[request % self.turns.len()] == b'o';
        self.app.at(persona, if is_older { &self.older_api } else { &self.app.url })
    }

    async fn get(&self, persona: &Persona, path: impl Display) -> Value {
        self.at(persona).get(&path.to_string()).await.expect(200)
    }

    /// By the form.
    async fn signed_in(&self, persona: &Persona) -> Persona {
        let body = json!({ "email": persona.email, "password": settings::PASSWORD });
        let answer = self.at(&self.app.anonymous()).post("/auth/login", body).await;
        let persona = with_cookie(persona, &cookies_of(&answer));
        answer.expect(201);
        assert_eq!(self.get(&persona, "/auth/getme").await["email"], persona.email);
        persona
    }

    /// Drafted with two checkpoints, paid and told of by a webhook.
    async fn published(&self, company: &Persona) -> (JobPostingId, Vec<Uuid>) {
        let draft = json!({
            "title": format!("Ouvrage {}", company.name), "description": "Refaire le moteur", "location": "REMOTE",
            "isPromoted": false, "averageDailyRate": 500, "seniority": 3, "companyId": company.company_id(),
            "totalAmount": 500,
        });
        let posting = self.at(company).post("/job-postings/", draft).await.expect(201);
        let posting = JobPostingId(Uuid::parse_str(&text(&posting, "id")).expect("an id"));
        for (number, amount) in [200.5, 299.5].into_iter().enumerate() {
            let checkpoint = json!({
                "name": format!("Étape {number}"), "description": "Jalon", "date": format!("2027-01-1{number}T11:00:00.000Z"),
                "status": "TODO", "jobPostingId": posting, "amount": amount,
            });
            self.at(company).post("/checkpoints", checkpoint).await.expect(201);
        }
        let page = open_session(&self.at(company), posting).await;
        self.app.stripe.pay(&page).expect("the page can be paid");
        status_becomes(self.app, posting, "PUBLISHED").await;
        let found = self.at(&self.app.anonymous()).post("/job-postings/search", json!({ "title": company.name })).await;
        assert_eq!(found.expect(200)["data"][0]["id"], posting.to_string());
        (posting, self.app.checkpoint_ids(posting).await)
    }

    /// The project's id.
    async fn accepted(&self, posting: JobPostingId, freelance: &Persona, company: &Persona) -> String {
        let application =
            json!({ "freelanceId": freelance.freelance_id(), "jobPostingId": posting, "status": "PENDING" });
        let candidate = text(&self.at(freelance).post("/candidates/", application).await.expect(201), "id");
        let path = format!("/candidates/{candidate}/company");
        let accepted = self.at(company).put(&path, json!({ "status": "ACCEPTED" })).await.expect(200);
        text(&accepted, "projectId")
    }

    /// One reads at an older messaging server, the other at a newer one; both write.
    async fn talk(&self, project: &str, freelance: &Persona, company: &Persona) {
        let conversation = text(&self.get(freelance, format_args!("/projects/{project}")).await, "conversationId");
        let sockets = [
            freelance.try_chat_at(&self.older_chat).await.expect("a socket of the older server"),
            company.try_chat_at(&self.newer_chat).await.expect("a socket of the newer server"),
        ];
        for socket in &sockets {
            socket.settle().await;
        }
        for (number, writer) in [freelance, company, freelance, company].into_iter().enumerate() {
            say(&self.at(writer), &conversation, &format!("Message {number}")).await;
        }
        for socket in &sockets {
            heard_all(socket).await;
        }
        for reader in [freelance, company] {
            let messages = self.get(reader, format_args!("/messages/conversation/{conversation}")).await;
            // The first one is the platform's own.
            assert_eq!(messages.as_array().map(Vec::len), Some(5), "{messages}");
        }
    }

    /// Everything that the platform is for, once.
    async fn do_business(&self, name: &str) {
        let company = self.app.company(&format!("company-{name}")).await;
        let freelance = self.app.freelance(&format!("freelance-{name}")).await;
        let (company, freelance) = (self.signed_in(&company).await, self.signed_in(&freelance).await);
        let (posting, checkpoints) = self.published(&company).await;
        let project = self.accepted(posting, &freelance, &company).await;
        self.talk(&project, &freelance, &company).await;
        for checkpoint in &checkpoints {
            advance(&self.at(&freelance), *checkpoint).await.expect(200);
            assert_eq!(advance(&self.at(&company), *checkpoint).await.expect(200)["status"], "DONE");
        }
        let (canceled, _) = self.published(&company).await;
        cancel(&self.at(&company), canceled).await.expect(201);
        keys_rest(self.app).await;
        jobs_are_done(self.app).await;
        let books = self.app.stripe.books();
        for checkpoint in &checkpoints {
            assert_eq!(books.transfers_of_checkpoint(&checkpoint.to_string()).len(), 1);
        }
        let paid = books.paid_sessions_of_posting(&canceled.to_string())[0].payment_intent.clone();
        assert_eq!(books.refunds_of(&paid.expect("it was paid")).len(), 1);
        self.at(&company).post("/auth/logout", json!({})).await.expect(201);
        // The other side is told.
        eventually("the session has ended", async || self.at(&company).get("/auth/getme").await.status == 401).await;
    }
}

async fn heard_all(socket: &ChatClient) {
    eventually("all four have come", async || {
        let heard = socket.received("newMessage");
        (0..4).all(|number| heard.iter().any(|message| message["content"] == format!("Message {number}")))
    })
    .await;
}

/// Fault case 147.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the programs of an older version: tests/rollback/run"]
async fn older_and_newer_servers_do_business_on_one_database() {
    let programs = folder("FREEHUNT_OLD_PROGRAMS");
    TestApp::run(async |app| {
        // They find the newer migrations, and start nevertheless.
        let api = Replica::start(app, Serving::Program(programs.join("freehunt-api"))).await;
        let chat = Replica::start(app, Serving::Program(programs.join("freehunt-messaging"))).await;
        let newer_chat = app.chat_server().await;
        api.is_serving().await;
        chat.is_serving().await;
        let mut requests = 0;
        for turns in TURNS {
            let webhooks = if turns.starts_with('o') { &api.url } else { &app.url };
            app.stripe.set_webhook_targets(vec![format!("{webhooks}/stripe/webhook")]);
            let (older_api, older_chat, newer_chat) = (api.url.clone(), chat.url.clone(), newer_chat.url.clone());
            let sides = Sides { app, older_api, older_chat, newer_chat, turns, requests: Cell::new(0) };
            sides.do_business(turns).await;
            requests += sides.requests.get();
        }
        books_agree(app).await;
        let books = app.stripe.books();
        println!(
            "{} times all of it, {requests} requests: {} payments, {} transfers, {} refunds; the books agree",
            TURNS.len(),
            books.charges.len(),
            books.transfers.len(),
            books.refunds.len()
        );
    })
    .await;
}
