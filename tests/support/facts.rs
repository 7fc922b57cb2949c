//! Facts that a test starts from, written as the servers would have left them: users with a session, profiles,
//! paid postings. Tests of login, registration and payment go through the servers instead.

use freehunt_authentik::SESSION_COOKIE;
use freehunt_domain::{
    ids::{CompanyId, FreelanceId, JobPostingId, UserId},
    sessions::Token,
    users::Role,
};
use freehunt_sandbox::authentik::NewUser;
use freehunt_stripe::NewAccount;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Persona, TestApp, logs, settings};

impl TestApp {
    pub(crate) fn nobody(&self, name: &str) -> Persona {
        Persona {
            name: name.to_owned(),
            email: format!("{name}@example.org"),
            user_id: UserId(Uuid::nil()),
            company_id: None,
            freelance_id: None,
            cookie: String::new(),
            base_url: self.url.clone(),
            client: self.client.clone(),
        }
    }

    /// A user with a session and no profile, known to Authentik under the same name.
    pub async fn user(&self, name: &str, role: Role) -> Persona {
        let email = format!("{name}@example.org");
        let known = self.authentik.add_user(NewUser {
            username: name.to_owned(),
            email: email.clone(),
            password: settings::PASSWORD.to_owned(),
            ..NewUser::default()
        });
        let known = known.unwrap_or_else(|refused| panic!("Authentik refuses {name}: {refused:?}"));
        let user_id: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "User" ("email", "username", "role") VALUES ($1, $2, $3) RETURNING "id""#,
        )
        .bind(&email)
        .bind(name)
        .bind(role)
        .fetch_one(&self.pool)
        .await
        .expect("the user is new");
        sqlx::query("INSERT INTO identity (user_id, authentik_uid, bound_by) VALUES ($1, $2, 'registration')")
            .bind(user_id)
            .bind(&known.uid)
            .execute(&self.pool)
            .await
            .expect("the identity is new");
        let token = Token::random().expect("randomness");
        // Confirmed for an hour to come: there is nothing that Authentik could confirm it by, however long the test takes.
        sqlx::query(
            "INSERT INTO session (token_hash, user_id, origin, validated_at, expires_at)
             VALUES ($1, $2, 'form', now() + interval '1 hour', now() + interval '1 day')",
        )
        .bind(token.hash())
        .bind(user_id)
        .execute(&self.pool)
        .await
        .expect("the session is new");
        let cookie = format!("freehunt_session={}", token.as_str());
        Persona { user_id: UserId(user_id), email, cookie, ..self.nobody(name) }
    }

    /// A user of the running original: known to both sides, with a cookie that Authentik itself issued.
    pub async fn original_user(&self, name: &str, role: Role) -> Persona {
        let persona = self.user(name, role).await;
        let cookie = format!("{SESSION_COOKIE}={}", self.authentik.session_for(name));
        logs::watch(&cookie);
        Persona { cookie, ..persona }
    }

    /// A company with its profile.
    pub async fn company(&self, name: &str) -> Persona {
        let persona = self.user(name, Role::Company).await;
        let id: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "Company" ("userId", "name", "siren", "description", "address")
               VALUES ($1, $2, '123456789', 'Une entreprise', '1 rue de la Paix, Paris') RETURNING "id""#,
        )
        .bind(persona.user_id.0)
        .bind(format!("{name} SAS"))
        .fetch_one(&self.pool)
        .await
        .expect("the company is new");
        Persona { company_id: Some(CompanyId(id)), ..persona }
    }

    /// A freelance with a profile and a payout account that may receive transfers.
    pub async fn freelance(&self, name: &str) -> Persona {
        let persona = self.user(name, Role::Freelance).await;
        let account = self.payout_account(&persona).await;
        let id: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location",
                   "seniority", "stripeAccountId")
               VALUES ($1, $2, 'Martin', 450, 'Développeuse', 'Lyon', 5, $3) RETURNING "id""#,
        )
        .bind(persona.user_id.0)
        .bind(name)
        .bind(&account)
        .fetch_one(&self.pool)
        .await
        .expect("the freelance is new");
        sqlx::query(
            "INSERT INTO payout_account (freelance_id, stripe_account_id, idempotency_key, transfers_active, details_submitted)
             VALUES ($1, $2, $3, true, true)",
        )
        .bind(id)
        .bind(&account)
        .bind(format!("account:{id}"))
        .execute(&self.pool)
        .await
        .expect("the account is new");
        Persona { freelance_id: Some(FreelanceId(id)), ..persona }
    }

    /// A Connect account whose onboarding is finished.
    async fn payout_account(&self, persona: &Persona) -> String {
        let new = NewAccount {
            email: persona.email.clone(),
            freelance_id: persona.user_id.to_string(),
            name: persona.name.clone(),
        };
        let key = format!("test-account:{}", persona.user_id);
        let account = self.state.stripe.create_account(&new, &key).await.expect("the account is made").id;
        self.stripe.finish_onboarding(&account).expect("the account can be onboarded");
        account
    }

    /// A posting that awaits its payment, with one checkpoint for each amount (in cents).
    pub async fn unpaid_posting(&self, owner: &Persona, amounts_cents: &[i64]) -> JobPostingId {
        let total: i64 = amounts_cents.iter().sum();
        let euros = |cents: i64| freehunt_domain::Cents(cents).to_euros();
        let id: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate",
                   "seniority", "totalAmount", "status")
               VALUES ($1, 'Refonte du site', 'Une mission', false, 'REMOTE', 400, 3, $2, 'PENDING_PAYMENT') RETURNING "id""#,
        )
        .bind(owner.company_id().0)
        .bind(euros(total))
        .fetch_one(&self.pool)
        .await
        .expect("the posting is new");
        for (index, amount) in amounts_cents.iter().enumerate() {
            sqlx::query(
                r#"INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "amount")
                   VALUES ($1, 'Une étape', timestamp '2027-01-10 11:00:00' + make_interval(days => $2), $3, $4)"#,
            )
            .bind(format!("Étape {}", index + 1))
            .bind(i32::try_from(index).expect("few checkpoints"))
            .bind(id)
            .bind(euros(*amount))
            .execute(&self.pool)
            .await
            .expect("the checkpoint is new");
        }
        JobPostingId(id)
    }

    /// A posting that was paid on the checkout page and is published; the money is in the stand-in's books.
    pub async fn published_posting(&self, owner: &Persona, amounts_cents: &[i64]) -> JobPostingId {
        let id = self.unpaid_posting(owner, amounts_cents).await;
        let session = owner
            .post(
                &format!("/job-postings/{id}/create-payment"),
                json!({
                    "successUrl": format!("{}/project/payment-success?session_id={{CHECKOUT_SESSION_ID}}&job_posting_id={id}", settings::FRONTEND),
                    "cancelUrl": format!("{}/dashboard/job-postings?payment=cancelled", settings::FRONTEND),
                    "customerEmail": owner.email,
                }),
            )
            .await
            .expect(201);
        let session_id = session["sessionId"].as_str().expect("the answer names the session").to_owned();
        self.stripe.pay(&session_id).unwrap_or_else(|error| panic!("the session can be paid: {error:?}"));
        crate::eventually("the posting is published", async || self.posting_status(id).await == "PUBLISHED").await;
        id
    }

    pub async fn posting_status(&self, id: JobPostingId) -> String {
        sqlx::query_scalar(r#"SELECT "status"::text FROM "JobPosting" WHERE "id" = $1"#)
            .bind(id.0)
            .fetch_one(&self.pool)
            .await
            .expect("the posting exists")
    }

    /// The checkpoints' ids, in the order they are shown.
    pub async fn checkpoint_ids(&self, posting: JobPostingId) -> Vec<Uuid> {
        sqlx::query_scalar(
            r#"SELECT "id" FROM "Checkpoint" WHERE "jobPostingId" = $1 ORDER BY "date", "createdAt", "id""#,
        )
        .bind(posting.0)
        .fetch_all(&self.pool)
        .await
        .expect("the checkpoints can be read")
    }

    /// Applies and is accepted; the project's id.
    pub async fn accepted_project(&self, posting: JobPostingId, freelance: &Persona, company: &Persona) -> Uuid {
        let application =
            json!({ "freelanceId": freelance.freelance_id(), "jobPostingId": posting, "status": "PENDING" });
        let candidate = freelance.post("/candidates/", application).await.expect(201);
        let path = format!("/candidates/{}/company", id_of(&candidate));
        let accepted = company.put(&path, json!({ "status": "ACCEPTED" })).await.expect(200);
        Uuid::parse_str(accepted["projectId"].as_str().expect("the answer carries projectId")).expect("an id")
    }
}

fn id_of(row: &Value) -> &str {
    row["id"].as_str().expect("the row has an id")
}
