//! `/candidates`: applying, withdrawing, and the company's decision with all that it makes.

use freehunt_domain::ids::JobPostingId;
use freehunt_tests::{Persona, TestApp, TestOptions, settings};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A published posting with a payment on record, as a paid checkout leaves it.
pub async fn paid_posting(app: &TestApp, owner: &Persona, amounts_cents: &[i64]) -> JobPostingId {
    let posting = app.unpaid_posting(owner, amounts_cents).await;
    sqlx::query(
        "INSERT INTO payment_session (job_posting_id, company_id, number, status, amount_subtotal_cents, live_mode, title,
             customer_email, success_url, cancel_url, expires_at, idempotency_key, stripe_session_id, paid_at)
         VALUES ($1, $2, 1, 'PAID', $3, false, 'Refonte', 'acme@example.org', 'http://localhost', 'http://localhost',
             now(), $4, $4, now())",
    )
    .bind(posting.0)
    .bind(owner.company_id().0)
    .bind(amounts_cents.iter().sum::<i64>())
    .bind(format!("checkout:{posting}:1"))
    .execute(&app.pool)
    .await
    .expect("the payment is new");
    set_status(app, posting, "PUBLISHED").await;
    posting
}

async fn set_status(app: &TestApp, posting: JobPostingId, status: &str) {
    sqlx::query(r#"UPDATE "JobPosting" SET "status" = $2::"JobPostingStatus" WHERE "id" = $1"#)
        .bind(posting.0)
        .bind(status)
        .execute(&app.pool)
        .await
        .expect("the posting can be changed");
}

fn application(freelance: &Persona, posting: JobPostingId) -> Value {
    json!({ "freelanceId": freelance.freelance_id(), "jobPostingId": posting, "status": "PENDING" })
}

/// Applies; the path at which the company decides.
async fn apply(freelance: &Persona, posting: JobPostingId) -> String {
    let created = freelance.post("/candidates/", application(freelance, posting)).await.expect(201);
    format!("/candidates/{}", created["id"].as_str().expect("an id"))
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let count = format!(r#"SELECT count(*) FROM "{table}""#);
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&app.pool).await.expect("the table can be read")
}

/// For crowds: they are about who wins, not about how long somebody waits for a connection.
pub fn patient() -> TestOptions {
    TestOptions::default().with("DATABASE_ACQUIRE_TIMEOUT_MS", "20000")
}

fn texts(value: &Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn an_application_is_made_read_and_withdrawn() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let created = bob.post("/candidates/", application(&bob, posting)).await.expect(201);
        assert_eq!(created["status"], "PENDING");
        assert_eq!(created["jobPosting"]["totalAmount"], 450.5);
        assert!(created["jobPosting"].get("stripeSessionId").is_none());
        assert!(created["freelance"]["stripeAccountId"].is_string(), "one's own account is one's own");

        let path = format!("/candidates/{}", created["id"].as_str().unwrap());
        let bare = bob.get(&path).await.expect(200);
        assert!(bare.get("freelance").is_none());
        assert_eq!(acme.get(&path).await.expect(200), bare);
        let of_mine = format!("/candidates/freelance/{}/job-posting/{posting}", bob.freelance_id());
        assert_eq!(bob.get(&of_mine).await.expect(200), bare);
        assert_eq!(acme.get(&format!("/candidates/job-posting/{posting}")).await.expect(200), json!([bare]));

        let again = bob.post("/candidates/", application(&bob, posting)).await;
        assert_eq!(again.message(), "Candidate already exists");
        again.expect(400);

        assert_eq!(bob.delete(&path).await.expect(200), bare);
        assert_eq!(bob.delete(&path).await.message(), "Candidate not found");
        bob.get(&of_mine).await.expect(404);
    })
    .await;
}

/// Fault case 33.
#[tokio::test]
async fn nobody_applies_for_others_or_as_accepted() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let mut accepted = application(&bob, posting);
        accepted["status"] = json!("ACCEPTED");
        bob.post("/candidates", accepted).await.expect(400);
        bob.post("/candidates", application(&eve, posting)).await.expect(403);
        acme.post("/candidates", application(&bob, posting)).await.expect(403);
        app.anonymous().post("/candidates", application(&bob, posting)).await.expect(401);

        // A row of the original may make one user both.
        sqlx::query(r#"UPDATE "Company" SET "userId" = $2 WHERE "id" = $1"#)
            .bind(acme.company_id().0)
            .bind(bob.user_id.0)
            .execute(&app.pool)
            .await
            .unwrap();
        bob.post("/candidates", application(&bob, posting)).await.expect(403);
        assert_eq!(count(app, "Candidate").await, 0);
    })
    .await;
}

#[tokio::test]
async fn applications_are_refused_in_the_original_s_words() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let body = json!({ "jobPostingId": "x", "freelanceId": "", "status": "MAYBE" });
        assert_eq!(
            bob.post("/candidates", body).await.expect(400)["message"],
            json!([
                "jobPostingId must be a UUID",
                "freelanceId must be a UUID",
                "freelanceId should not be empty",
                "status must be one of the following values: PENDING, ACCEPTED, REJECTED"
            ])
        );
        let posting = paid_posting(app, &acme, &[45_050]).await;
        sqlx::query(r#"DELETE FROM "Checkpoint""#).execute(&app.pool).await.unwrap();
        let without = bob.post("/candidates", application(&bob, posting)).await;
        assert_eq!(without.message(), "Job posting does not have a checkpoint");
        without.expect(400);
        sqlx::query(r#"UPDATE "Freelance" SET "stripeAccountId" = NULL"#).execute(&app.pool).await.unwrap();
        sqlx::query("DELETE FROM payout_account").execute(&app.pool).await.unwrap();
        let unconnected = bob.post("/candidates", application(&bob, posting)).await;
        assert!(unconnected.message().contains("must connect your Stripe account"));
        unconnected.expect(400);
    })
    .await;
}

/// Fault case 37: an unpublished posting looks as if it did not exist.
#[tokio::test]
async fn unpublished_postings_take_no_applications() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = app.unpaid_posting(&acme, &[45_050]).await;
        let hidden = bob.post("/candidates", application(&bob, posting)).await;
        let unknown = bob.post("/candidates", application(&bob, JobPostingId(uuid::Uuid::new_v4()))).await;
        assert_eq!(hidden.text, unknown.text);
        hidden.expect(404);
    })
    .await;
}

#[tokio::test]
async fn the_company_sees_its_applicants_without_their_addresses_and_accounts() {
    TestApp::run(async |app| {
        let (acme, globex) = (app.company("acme").await, app.company("globex").await);
        let bob = app.freelance("bob").await;
        let posting = paid_posting(app, &acme, &[45_050]).await;
        apply(&bob, posting).await;
        let path = format!("/candidates/company/{}", acme.company_id());
        let list = acme.get(&path).await.expect(200);
        let candidate = &list[0];
        assert_eq!(candidate["freelance"]["user"]["id"], json!(bob.user_id));
        assert_eq!(candidate["freelance"]["user"]["username"], "bob");
        assert_eq!(candidate["freelance"]["skills"], json!([]));
        assert_eq!(candidate["freelance"]["averageDailyRate"], 450);
        assert_eq!(candidate["jobPosting"]["title"], "Refonte du site");
        assert_eq!(candidate["jobPosting"]["company"]["siren"], "123456789");
        assert!(candidate["jobPosting"].get("stripeSessionId").is_some(), "its company sees how a posting was paid");
        assert!(!texts(&list).contains("bob@example.org"));
        assert!(!texts(&list).contains("stripeAccountId"));
        let refused = globex.get(&path).await;
        assert_eq!(refused.message(), "Unauthorized: You can only view candidates for your own company");
        refused.expect(403);
        bob.get(&path).await.expect(403);
        app.anonymous().get(&path).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn accepting_makes_the_project_its_conversation_and_the_welcome() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[10, 20, 70_090]).await;
        let (of_bob, of_eve) = (apply(&bob, posting).await, apply(&eve, posting).await);
        let accepted = acme.put(&format!("{of_bob}/company"), json!({ "status": "ACCEPTED" })).await.expect(200);
        assert_eq!(accepted["status"], "ACCEPTED");
        assert!(!texts(&accepted).contains("bob@example.org") && !texts(&accepted).contains("stripeAccountId"));

        let project = bob.get(&format!("/projects/{}", accepted["projectId"].as_str().unwrap())).await.expect(200);
        assert_eq!(project["name"], "Refonte du site");
        assert_eq!(project["description"], "Une mission");
        assert_eq!(project["amount"], 701.2);
        assert_eq!(project["startDate"], "2027-01-10T11:00:00.000Z");
        assert_eq!(project["endDate"], "2027-01-12T11:00:00.000Z");
        assert_eq!(project["status"], "IN_PROGRESS");
        let conversation = project["conversationId"].as_str().unwrap();
        let talk = bob.get(&format!("/conversations/{conversation}")).await.expect(200);
        assert_eq!(talk["senderId"], json!(acme.user_id));
        assert_eq!(talk["receiverId"], json!(bob.user_id));
        assert_eq!(talk["project"]["name"], "Refonte du site");
        assert!(talk["messages"][0]["content"].as_str().unwrap().starts_with("🎉 Félicitations !"));

        assert_eq!(eve.get(&of_eve).await.expect(200)["status"], "REJECTED");
        let second = acme.put(&format!("{of_eve}/company"), json!({ "status": "ACCEPTED" })).await;
        assert_eq!(second.message(), "A candidate has already been accepted for this job posting");
        second.expect(400);
        let again = acme.put(&format!("{of_bob}/company"), json!({ "status": "ACCEPTED" })).await.expect(200);
        assert_eq!(again["projectId"], accepted["projectId"]);
        acme.put(&format!("{of_bob}/company"), json!({ "status": "REJECTED" })).await.expect(409);
        bob.delete(&of_bob).await.expect(409);
        let late = app.freelance("late").await;
        let refused = late.post("/candidates/", application(&late, posting)).await;
        assert_eq!(refused.message(), "Cannot apply: A freelance has already been selected for this job posting");
        let events: Vec<String> =
            sqlx::query_scalar("SELECT kind FROM chat_event ORDER BY id").fetch_all(&app.pool).await.unwrap();
        assert_eq!(events, ["newConversation", "newMessage", "conversationReady"]);
        let acts: Vec<String> = sqlx::query_scalar(r#"SELECT "action" FROM "Log" WHERE "tableName" = 'Candidate'"#)
            .fetch_all(&app.pool)
            .await
            .unwrap();
        assert_eq!(acts, ["accept"]);
    })
    .await;
}

#[tokio::test]
async fn rejecting_is_final_and_makes_nothing() {
    TestApp::run(async |app| {
        let (acme, globex) = (app.company("acme").await, app.company("globex").await);
        let bob = app.freelance("bob").await;
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let candidate = apply(&bob, posting).await;
        let decide = format!("{candidate}/company");
        let refused = globex.put(&decide, json!({ "status": "REJECTED" })).await;
        assert_eq!(refused.message(), "Unauthorized: You can only update candidates for your own job postings");
        refused.expect(403);
        bob.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(403);
        acme.put(&decide, json!({ "status": "YES" })).await.expect(400);
        acme.put(&decide, json!({ "status": "PENDING" })).await.expect(409);
        let rejected = acme.put(&decide, json!({ "status": "REJECTED" })).await.expect(200);
        assert!(rejected.get("projectId").is_none());
        assert_eq!(acme.put(&decide, json!({ "status": "REJECTED" })).await.expect(200), rejected);
        acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(409);
        acme.put(&candidate, json!({ "status": "ACCEPTED" })).await.expect(403);
        assert_eq!(count(app, "Project").await, 0);
    })
    .await;
}

/// Fault case 110, and a published posting without a payment on record.
#[tokio::test]
async fn nothing_is_accepted_on_a_posting_that_is_not_published_and_paid() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let decide = format!("{}/company", apply(&bob, posting).await);
        for status in ["PENDING_PAYMENT", "CANCELED", "PAID", "DRAFT", "EXPIRED"] {
            set_status(app, posting, status).await;
            acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(409);
        }
        set_status(app, posting, "PUBLISHED").await;
        sqlx::query("UPDATE payment_session SET status = 'REFUNDED'").execute(&app.pool).await.unwrap();
        acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(409);
        for table in ["Project", "Conversation", "Message"] {
            assert_eq!(count(app, table).await, 0, "{table}");
        }
        // An operator's word on a posting that the original published.
        sqlx::query("INSERT INTO legacy_publication (job_posting_id, acceptance_allowed_at) VALUES ($1, now())")
            .bind(posting.0)
            .execute(&app.pool)
            .await
            .unwrap();
        acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(200);
    })
    .await;
}

/// Fault case 106.
#[tokio::test]
async fn of_two_candidates_accepted_at_once_one_wins() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let of_bob = format!("{}/company", apply(&bob, posting).await);
        let of_eve = format!("{}/company", apply(&eve, posting).await);
        let accept = || json!({ "status": "ACCEPTED" });
        let (first, second) = tokio::join!(acme.put(&of_bob, accept()), acme.put(&of_eve, accept()));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{} {}", first.text, second.text);
        let accepted: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "Candidate" WHERE "status" = 'ACCEPTED'"#)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(accepted, 1);
        for table in ["Project", "Conversation", "Message"] {
            assert_eq!(count(app, table).await, 1, "{table}");
        }
    })
    .await;
}

/// Fault case 107.
#[tokio::test]
async fn fifty_acceptances_of_one_candidate_make_one_project() {
    TestApp::run_with(patient(), async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let decide = format!("{}/company", apply(&bob, posting).await);
        let answers = join_all((0..50).map(|_| acme.put(&decide, json!({ "status": "ACCEPTED" })))).await;
        let projects: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)["projectId"].clone()).collect();
        assert!(projects[0].is_string());
        assert!(projects.iter().all(|project| *project == projects[0]));
        for table in ["Project", "Conversation", "Message"] {
            assert_eq!(count(app, table).await, 1, "{table}");
        }
    })
    .await;
}

/// Fault case 108: acceptance and withdrawal at once.
#[tokio::test]
async fn acceptance_and_withdrawal_are_one_after_the_other() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for round in 0..8 {
            let freelance = app.freelance(&format!("bob{round}")).await;
            let posting = paid_posting(app, &acme, &[45_050]).await;
            let candidate = apply(&freelance, posting).await;
            let decide = format!("{candidate}/company");
            let (accepted, withdrawn) =
                tokio::join!(acme.put(&decide, json!({ "status": "ACCEPTED" })), freelance.delete(&candidate));
            match (accepted.status, withdrawn.status) {
                (200, 409) | (404, 200) => {}
                other => panic!("{other:?}: {} {}", accepted.text, withdrawn.text),
            }
            let exists = freelance.get(&format!("/projects/exists/job-posting/{posting}")).await;
            assert_eq!(exists.body, json!(accepted.status == 200));
        }
    })
    .await;
}

/// Fault case 108: acceptance and cancellation at once.
#[tokio::test]
async fn acceptance_and_cancellation_are_one_after_the_other() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for round in 0..4 {
            let freelance = app.freelance(&format!("bob{round}")).await;
            let posting = app.published_posting(&acme, &[45_050]).await;
            let decide = format!("{}/company", apply(&freelance, posting).await);
            let cancel = format!("/job-postings/{posting}/cancel");
            let (accepted, canceled) = tokio::join!(
                acme.put(&decide, json!({ "status": "ACCEPTED" })),
                acme.post(&cancel, json!({ "reason": "Projet abandonné" }))
            );
            match (accepted.status, canceled.status) {
                (200, 409) | (409, 201) => {}
                other => panic!("{other:?}: {} {}", accepted.text, canceled.text),
            }
            let expected = if accepted.status == 200 { "PUBLISHED" } else { "CANCELED" };
            assert_eq!(app.posting_status(posting).await, expected);
        }
    })
    .await;
}

/// Fault case 108: acceptance and the late webhook that publishes at once.
#[tokio::test]
async fn acceptance_and_a_late_payment_are_one_after_the_other() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for round in 0..4 {
            let freelance = app.freelance(&format!("bob{round}")).await;
            let posting = app.unpaid_posting(&acme, &[45_050]).await;
            let pay = json!({ "successUrl": format!("{}/ok", settings::FRONTEND), "cancelUrl": settings::FRONTEND });
            let page = acme.post(&format!("/job-postings/{posting}/create-payment"), pay).await.expect(201);
            let candidate: uuid::Uuid = sqlx::query_scalar(
                r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") VALUES ($1, $2) RETURNING "id""#,
            )
            .bind(posting.0)
            .bind(freelance.freelance_id().0)
            .fetch_one(&app.pool)
            .await
            .unwrap();
            let decide = format!("/candidates/{candidate}/company");
            app.stripe.pay(page["sessionId"].as_str().unwrap()).unwrap();
            let mut statuses = Vec::new();
            // The webhook arrives somewhere among these.
            while statuses.last() != Some(&200) {
                let answers = join_all((0..4).map(|_| acme.put(&decide, json!({ "status": "ACCEPTED" })))).await;
                statuses.extend(answers.iter().map(|answer| answer.status));
                assert!(statuses.len() < 400, "the payment never arrived: {statuses:?}");
            }
            assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
            assert_eq!(app.posting_status(posting).await, "PUBLISHED");
            let projects: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "Project" WHERE "jobPostingId" = $1"#)
                .bind(posting.0)
                .fetch_one(&app.pool)
                .await
                .unwrap();
            assert_eq!(projects, 1);
        }
    })
    .await;
}

/// Fault case 109: whichever statement of an acceptance fails, nothing of it remains.
#[tokio::test]
async fn an_acceptance_that_fails_anywhere_leaves_nothing() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let decide = format!("{}/company", apply(&bob, posting).await);
        apply(&eve, posting).await;
        sqlx::query(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$",
        )
        .execute(&app.pool)
        .await
        .unwrap();
        let tables = ["Candidate", "Conversation", "Project", "Message", "chat_event", "Log"];
        for table in tables {
            let make = format!(r#"CREATE TRIGGER fail AFTER INSERT OR UPDATE ON "{table}" EXECUTE FUNCTION fail()"#);
            sqlx::query(sqlx::AssertSqlSafe(make)).execute(&app.pool).await.unwrap();
            acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(500);
            let drop = format!(r#"DROP TRIGGER fail ON "{table}""#);
            sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&app.pool).await.unwrap();
            for table in ["Conversation", "Project", "Message", "chat_event"] {
                assert_eq!(count(app, table).await, 0, "{table}");
            }
            let pending: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "Candidate" WHERE "status" = 'PENDING'"#)
                .fetch_one(&app.pool)
                .await
                .unwrap();
            assert_eq!(pending, 2);
        }
        acme.put(&decide, json!({ "status": "ACCEPTED" })).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn strangers_learn_nothing_of_an_application() {
    TestApp::run(async |app| {
        let (acme, globex) = (app.company("acme").await, app.company("globex").await);
        let (bob, eve) = (app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_050]).await;
        let path = apply(&bob, posting).await;
        let unknown = format!("/candidates/{}", uuid::Uuid::new_v4());
        for stranger in [&globex, &eve] {
            assert_eq!(stranger.get(&path).await.text, stranger.get(&unknown).await.text);
            stranger.get(&path).await.expect(404);
            stranger.delete(&path).await.expect(404);
            stranger.get(&format!("/candidates/job-posting/{posting}")).await.expect(404);
        }
        let of_bob = format!("/candidates/freelance/{}/job-posting/{posting}", bob.freelance_id());
        eve.get(&of_bob).await.expect(403);
        acme.delete(&path).await.expect(404);
        assert_eq!(count(app, "Candidate").await, 1);
    })
    .await;
}
