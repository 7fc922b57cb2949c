//! What the table-driven tests start from: two sides of a project, strangers to it, and a name for everything that a
//! path or a body may speak of. `{{name}}` in a text stands for such a fact; `{{new-…}}` makes a fresh one.

use std::collections::BTreeMap;

use freehunt_domain::{ids::JobPostingId, users::Role};
use freehunt_tests::{Persona, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who there is and what they have.
///
/// - `acme` is the company that owns everything; `alice` the freelance of its project, who also applied elsewhere.
/// - `bob` (freelance) and `globex` (company, nothing published) are strangers.
/// - `carol` (freelance) and `dora` (company) have no profile yet.
pub struct World {
    personas: BTreeMap<String, Persona>,
    names: BTreeMap<String, String>,
}

/// Names that hold for one request, over the world's.
pub type Names = BTreeMap<String, String>;

impl World {
    pub async fn build(app: &TestApp) -> Self {
        let mut world = Self { personas: BTreeMap::new(), names: BTreeMap::new() };
        world.add(app.anonymous());
        for name in ["alice", "bob"] {
            world.add(app.freelance(name).await);
        }
        for name in ["acme", "globex"] {
            world.add(app.company(name).await);
        }
        world.add(app.user("carol", Role::Freelance).await);
        world.add(app.user("dora", Role::Company).await);
        world.name("unknown", "00000000-0000-4000-8000-000000000000");
        world.name("FRONTEND", freehunt_tests::settings::FRONTEND);
        world.add_skills(app).await;
        world.add_postings(app).await;
        world.add_project(app).await;
        world.add_avatar(app).await;
        world.ask_for_rust(app).await;
        world
    }

    pub fn persona(&self, name: &str) -> &Persona {
        self.personas.get(name).unwrap_or_else(|| panic!("there is no persona {name}"))
    }

    pub fn get(&self, name: &str) -> &str {
        self.names.get(name).unwrap_or_else(|| panic!("nothing is named {name}"))
    }

    pub fn name(&mut self, name: &str, value: impl ToString) {
        self.names.insert(name.to_owned(), value.to_string());
    }

    fn add(&mut self, persona: Persona) {
        let title = capitalised(&persona.name);
        self.name(&format!("u{title}"), persona.user_id);
        self.name(&format!("e{title}"), &persona.email);
        if let Some(id) = persona.company_id {
            self.name(&format!("c{title}"), id);
        }
        if let Some(id) = persona.freelance_id {
            self.name(&format!("f{title}"), id);
        }
        self.personas.insert(persona.name.clone(), persona);
    }

    async fn add_skills(&mut self, app: &TestApp) {
        let skills = [("JS", "JavaScript"), ("Rust", "Rust"), ("Dev", "DevOps"), ("SQL", "SQL")];
        for (short, name) in skills {
            let id: Uuid = sqlx::query_scalar(
                r#"INSERT INTO "Skill" ("name", "normalizedName", "aliases", "type")
                   VALUES ($1, lower($1), ARRAY[$1 || '.org'], 'TECHNICAL') RETURNING "id""#,
            )
            .bind(name)
            .fetch_one(&app.pool)
            .await
            .expect("the skill is new");
            self.name(&format!("sk{short}"), id);
            for name in if short == "SQL" { &["bob"][..] } else { &["alice"] } {
                sqlx::query(r#"INSERT INTO "_FreelanceToSkill" ("A", "B") VALUES ($1, $2)"#)
                    .bind(self.persona(name).freelance_id().0)
                    .bind(id)
                    .execute(&app.pool)
                    .await
                    .expect("the freelance gets the skill");
            }
        }
    }

    /// A draft of each company, a published posting with alice's application, and a canceled one she applied to.
    async fn add_postings(&mut self, app: &TestApp) {
        let (acme, globex) = (self.persona("acme").clone(), self.persona("globex").clone());
        for (name, owner) in [("Unpaid", &acme), ("Globex", &globex)] {
            let posting = app.unpaid_posting(owner, &[50_000]).await;
            self.name(&format!("j{name}"), posting);
            self.name(&format!("k{name}"), app.checkpoint_ids(posting).await[0]);
        }
        for name in ["Published", "Canceled"] {
            let posting = published(app, &acme).await;
            self.name(&format!("j{name}"), posting);
            self.name(&format!("k{name}"), app.checkpoint_ids(posting).await[0]);
            self.name(&format!("ca{name}"), self.apply(app, posting).await);
        }
        sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'CANCELED', "canceledAt" = now() WHERE "id" = $1::uuid"#)
            .bind(self.get("jCanceled"))
            .execute(&app.pool)
            .await
            .expect("the posting can be canceled");
    }

    async fn apply(&self, app: &TestApp, posting: JobPostingId) -> Uuid {
        sqlx::query_scalar(r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") VALUES ($1, $2) RETURNING "id""#)
            .bind(posting.0)
            .bind(self.persona("alice").freelance_id().0)
            .fetch_one(&app.pool)
            .await
            .expect("the application is new")
    }

    /// The project of alice and acme, made by accepting her, with a message of each in its conversation.
    async fn add_project(&mut self, app: &TestApp) {
        let (acme, alice) = (self.persona("acme").clone(), self.persona("alice").clone());
        let posting = published(app, &acme).await;
        let candidate = self.apply(app, posting).await;
        let accepted = acme.put(&format!("/candidates/{candidate}/company"), json!({ "status": "ACCEPTED" })).await;
        let accepted = accepted.expect(200);
        let project = accepted["projectId"].as_str().expect("the answer carries projectId").to_owned();
        let conversation: Uuid = sqlx::query_scalar(r#"SELECT "conversationId" FROM "Project" WHERE "id" = $1::uuid"#)
            .bind(&project)
            .fetch_one(&app.pool)
            .await
            .expect("the project has a conversation");
        self.name("jProject", posting);
        self.name("kProject", app.checkpoint_ids(posting).await[0]);
        self.name("caAccepted", candidate);
        self.name("pr1", project);
        self.name("cv1", conversation);
        self.name("mAlice", message(app, conversation, &alice, &acme).await);
        self.name("mAcme", message(app, conversation, &acme, &alice).await);
    }

    /// Every posting so far asks for the same skill.
    async fn ask_for_rust(&self, app: &TestApp) {
        sqlx::query(r#"INSERT INTO "_JobPostingToSkill" ("A", "B") SELECT "id", $1::uuid FROM "JobPosting""#)
            .bind(self.get("skRust"))
            .execute(&app.pool)
            .await
            .expect("the postings get the skill");
    }

    async fn add_avatar(&mut self, app: &TestApp) {
        let (key, url) = self.uploaded(app).await;
        let document: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "Document" ("name", "url", "type", "userId") VALUES ('a.png', $1, 'AVATAR', $2) RETURNING "id""#,
        )
        .bind(&url)
        .bind(self.persona("alice").user_id.0)
        .fetch_one(&app.pool)
        .await
        .expect("the avatar is new");
        sqlx::query("UPDATE uploaded_object SET attached_at = now() WHERE key = $1")
            .bind(key)
            .execute(&app.pool)
            .await
            .expect("the object can be attached");
        self.name("dAlice", document);
        self.name("avatarUrl", url);
        let account: String = sqlx::query_scalar(r#"SELECT "stripeAccountId" FROM "Freelance" WHERE "id" = $1"#)
            .bind(self.persona("alice").freelance_id().0)
            .fetch_one(&app.pool)
            .await
            .expect("alice has an account");
        self.name("acctAlice", account);
    }

    /// A picture in the bucket that this server says it put there for alice.
    async fn uploaded(&self, app: &TestApp) -> (String, String) {
        let alice = self.persona("alice").user_id;
        let key = format!("avatars/{alice}/{}.png", Uuid::new_v4());
        let url = format!("{}/freehunt-avatar/{key}", app.s3.url().trim_end_matches('/'));
        sqlx::query("INSERT INTO uploaded_object (key, user_id, url) VALUES ($1, $2, $3)")
            .bind(&key)
            .bind(alice.0)
            .bind(&url)
            .execute(&app.pool)
            .await
            .expect("the object is new");
        (key, url)
    }

    /// The text with every `{{name}}` replaced. What is made fresh is remembered in `fresh` for the same request.
    pub async fn fill(&self, app: &TestApp, fresh: &mut Names, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").unwrap_or_else(|| panic!("an unclosed name in {text}"));
            filled.push_str(before);
            if name.starts_with("new-") && !fresh.contains_key(name) {
                let made = self.make(app, name).await;
                fresh.insert(name.to_owned(), made);
            }
            filled.push_str(fresh.get(name).map_or_else(|| self.get(name), String::as_str));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// Runs SQL that may name the world's facts.
    pub async fn execute(&self, app: &TestApp, sql: &str) {
        app.execute(&self.fill(app, &mut Names::new(), sql).await).await;
    }

    /// As [`World::fill`], for every text in a JSON value.
    pub async fn fill_json(&self, app: &TestApp, fresh: &mut Names, value: &Value) -> Value {
        if value.is_null() {
            return Value::Null;
        }
        let text = self.fill(app, fresh, &value.to_string()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    async fn make(&self, app: &TestApp, what: &str) -> String {
        let (acme, alice) = (self.persona("acme"), self.persona("alice"));
        match what {
            "new-word" => format!("w{}", Uuid::new_v4().simple()),
            "new-unpaid" => app.unpaid_posting(acme, &[50_000]).await.to_string(),
            "new-unpaid-checkpoint" => {
                let posting = app.unpaid_posting(acme, &[20_000, 30_000]).await;
                app.checkpoint_ids(posting).await[0].to_string()
            }
            "new-published" => published(app, acme).await.to_string(),
            "new-pending" => self.apply(app, published(app, acme).await).await.to_string(),
            "new-paid-checkpoint" => {
                let posting = app.published_posting(acme, &[20_000, 30_000]).await;
                app.accepted_project(posting, alice, acme).await;
                app.checkpoint_ids(posting).await[0].to_string()
            }
            "new-message" => {
                let conversation = Uuid::parse_str(self.get("cv1")).expect("an id");
                message(app, conversation, alice, acme).await.to_string()
            }
            "new-upload" => self.uploaded(app).await.1,
            _ => panic!("nobody knows how to make {what}"),
        }
    }
}

fn capitalised(name: &str) -> String {
    name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect()
}

/// A posting of two checkpoints that was paid, as the server would have left it; Stripe's stand-in knows nothing of it.
async fn published(app: &TestApp, owner: &Persona) -> JobPostingId {
    let posting = app.unpaid_posting(owner, &[20_000, 30_000]).await;
    let session: Uuid = sqlx::query_scalar(
        "INSERT INTO payment_session (job_posting_id, company_id, number, status, amount_subtotal_cents, amount_total_cents,
             live_mode, title, customer_email, success_url, cancel_url, expires_at, idempotency_key, stripe_session_id,
             stripe_payment_intent_id, stripe_charge_id, paid_at)
         VALUES ($1, $2, 1, 'PAID', 50000, 50000, false, 'Refonte du site', $3, 'http://localhost:5173/', 'http://localhost:5173/',
             now() + interval '1 hour', 'checkout:' || $1 || ':1', 'cs_' || $1, 'pi_' || $1, 'ch_' || $1, now())
         RETURNING id",
    )
    .bind(posting.0)
    .bind(owner.company_id().0)
    .bind(&owner.email)
    .fetch_one(&app.pool)
    .await
    .expect("the session is new");
    sqlx::query(
        "INSERT INTO ledger_entry (kind, reference, job_posting_id, amount_cents, payment_session_id)
         VALUES ('charge', 'ch_' || $1, $1, 50000, $2)",
    )
    .bind(posting.0)
    .bind(session)
    .execute(&app.pool)
    .await
    .expect("the booking is new");
    sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED', "stripeSessionId" = 'cs_' || $1 WHERE "id" = $1"#)
        .bind(posting.0)
        .execute(&app.pool)
        .await
        .expect("the posting can be published");
    posting
}

async fn message(app: &TestApp, conversation: Uuid, sender: &Persona, receiver: &Persona) -> Uuid {
    sqlx::query_scalar(
        r#"INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content")
           VALUES ($1, $2, $3, 'Bonjour') RETURNING "id""#,
    )
    .bind(conversation)
    .bind(sender.user_id.0)
    .bind(receiver.user_id.0)
    .fetch_one(&app.pool)
    .await
    .expect("the message is new")
}
