//! `/job-postings`: drafts, who sees what, what freezes when, and the search.

use std::collections::BTreeSet;

use freehunt_domain::{ids::JobPostingId, users::Role};
use freehunt_tests::{Persona, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn draft(company: &Persona) -> Value {
    json!({
        "title": "Développeur Rust", "description": "Refaire le moteur", "location": "REMOTE", "isPromoted": false,
        "averageDailyRate": 500, "seniority": 3, "companyId": company.company_id(), "totalAmount": 450.5,
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn skill(app: &TestApp, name: &str) -> Uuid {
    sqlx::query_scalar(
        r#"INSERT INTO "Skill" ("name", "normalizedName", "type") VALUES ($1, lower($1), 'TECHNICAL') RETURNING "id""#,
    )
    .bind(name)
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

async fn run(app: &TestApp, sql: &'static str, id: Uuid) {
    sqlx::query(sql).bind(id).execute(&app.pool).await.unwrap();
}

async fn count(app: &TestApp, sql: &'static str, id: Uuid) -> i64 {
    sqlx::query_scalar(sql).bind(id).fetch_one(&app.pool).await.unwrap()
}

async fn publish(app: &TestApp, posting: JobPostingId) {
    run(app, r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED' WHERE "id" = $1"#, posting.0).await;
}

async fn apply(app: &TestApp, posting: JobPostingId, freelance: &Persona, status: &str) {
    sqlx::query(
        r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status") VALUES ($1, $2, $3::"CandidateStatus")"#,
    )
    .bind(posting.0)
    .bind(freelance.freelance_id().0)
    .bind(status)
    .execute(&app.pool)
    .await
    .unwrap();
}

async fn payment_session(app: &TestApp, posting: JobPostingId, owner: &Persona, status: &str) {
    sqlx::query(
        "INSERT INTO payment_session (job_posting_id, company_id, number, status, amount_subtotal_cents, live_mode, title,
             customer_email, success_url, cancel_url, expires_at, idempotency_key, paid_at)
         VALUES ($1, $2, 1, $3, 50000, false, 't', 'a@example.org', '', '', now(), 'checkout:' || $1 || ':1',
             CASE WHEN $3 = 'PAID' THEN now() END)",
    )
    .bind(posting.0)
    .bind(owner.company_id().0)
    .bind(status)
    .execute(&app.pool)
    .await
    .unwrap();
}

/// A published posting of 500 € with this title and these skills.
async fn published(app: &TestApp, owner: &Persona, title: &str, skills: &[Uuid]) -> JobPostingId {
    let posting = app.unpaid_posting(owner, &[50_000]).await;
    sqlx::query(r#"UPDATE "JobPosting" SET "title" = $2, "status" = 'PUBLISHED' WHERE "id" = $1"#)
        .bind(posting.0)
        .bind(title)
        .execute(&app.pool)
        .await
        .unwrap();
    sqlx::query(r#"INSERT INTO "_JobPostingToSkill" ("A", "B") SELECT $1, unnest($2::uuid[])"#)
        .bind(posting.0)
        .bind(skills)
        .execute(&app.pool)
        .await
        .unwrap();
    posting
}

/// The titles found, in their order, and how many there are in all.
async fn found(searcher: &Persona, search: Value) -> (Vec<String>, i64) {
    let body = searcher.post("/job-postings/search", search).await.expect(200);
    let rows = body["data"].as_array().unwrap();
    let titles = rows.iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect();
    (titles, body["total"].as_i64().unwrap())
}

#[tokio::test]
async fn a_posting_is_drafted() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        // Skills come oldest first, not by name.
        let (sql, rust) = (skill(app, "SQL").await, skill(app, "Rust").await);
        let body = with(draft(&acme), "skillIds", json!([rust, sql, rust]));
        // The form posts with a trailing slash; checkpoint ids are known and ignored.
        let created = acme.post("/job-postings/", with(body, "checkpointIds", json!([UNKNOWN]))).await.expect(201);
        assert_eq!(created["status"], "PENDING_PAYMENT");
        assert_eq!(created["totalAmount"], 450.5);
        assert_eq!(created["averageDailyRate"], 500);
        assert_eq!(ids(&created["skills"]), [sql.to_string(), rust.to_string()]);
        assert_eq!(created["checkpoints"], json!([]));
        assert_eq!(created["company"]["user"]["email"], acme.email);
        let path = format!("/job-postings/{}", created["id"].as_str().unwrap());
        assert_eq!(acme.get(&path).await.expect(200), created);
        let by_company = path.replace("/job-postings/", "/job-postings/company/");
        assert_eq!(acme.get(&by_company).await.expect(200), created);
        assert_eq!(acme.get(&format!("{path}/project")).await.expect(200), json!({ "projectId": null }));
    })
    .await;
}

#[tokio::test]
async fn only_a_company_drafts_and_only_for_itself() {
    TestApp::run(async |app| {
        let (acme, globex, bob) = (app.company("acme").await, app.company("globex").await, app.freelance("bob").await);
        let empty = app.user("empty", Role::Company).await;
        app.anonymous().post("/job-postings", json!({})).await.expect(401);
        // The role comes before the body.
        bob.post("/job-postings", json!({})).await.expect(403);
        globex.post("/job-postings", draft(&acme)).await.expect(403);
        empty.post("/job-postings", draft(&acme)).await.expect(403);
        let missing = acme.post("/job-postings", with(draft(&acme), "skillIds", json!([UNKNOWN]))).await;
        assert_eq!(missing.message(), "Expected 1 records to be connected, found only 0.");
        assert_eq!(missing.expect(404)["error"], "NotFoundDependency");
    })
    .await;
}

#[tokio::test]
async fn every_broken_rule_is_told_in_order() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let texts = json!([
            "title must be a string",
            "description must be a string",
            "location must be one of the following values: HYBRID, ONSITE, REMOTE",
            "isPromoted must be a boolean value",
            "averageDailyRate must not be less than 0",
            "averageDailyRate must be a number conforming to the specified constraints",
            "seniority must not be less than 0",
            "seniority must be a number conforming to the specified constraints",
            "companyId must be a UUID"
        ]);
        assert_eq!(acme.post("/job-postings", json!({})).await.expect(400)["message"], texts);
        let status = with(draft(&acme), "status", json!("PUBLISHED"));
        assert_eq!(acme.post("/job-postings", status).await.message(), "property status should not exist");
        let search = json!({ "title": 1, "skillNames": "x", "minDailyRate": "4", "maxDailyRate": -1, "minSeniority": "x",
                             "maxSeniority": -1 });
        let texts = json!([
            "title must be a string",
            "skillNames must be an array",
            "minDailyRate must not be less than 0",
            "minDailyRate must be a number conforming to the specified constraints",
            "maxDailyRate must not be less than 0",
            "minSeniority must not be less than 0",
            "minSeniority must be a number conforming to the specified constraints",
            "maxSeniority must not be less than 0"
        ]);
        assert_eq!(app.anonymous().post("/job-postings/search", search).await.expect(400)["message"], texts);
    })
    .await;
}

/// Fault cases 48, 51, 55, 56 and 60.
#[tokio::test]
async fn odd_values_are_refused() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let numbers = [json!(1e308), json!(-1), json!(0.001), json!("5"), json!(true), json!([]), json!({})];
        let mut odd: Vec<(&str, Value)> = Vec::new();
        for number in numbers {
            for field in ["averageDailyRate", "totalAmount", "seniority"] {
                odd.push((field, number.clone()));
            }
        }
        odd.push(("averageDailyRate", Value::Null));
        odd.push(("totalAmount", json!(19.999)));
        odd.push(("seniority", json!(2.5)));
        odd.push(("seniority", json!(3_000_000_000_u64)));
        odd.push(("title", json!("a\0b")));
        odd.push(("title", json!("x".repeat(201))));
        odd.push(("description", json!("x".repeat(20_001))));
        odd.push(("location", json!("remote")));
        odd.push(("__proto__", json!({})));
        odd.push(("constructor", json!({})));
        odd.push(("skillIds", json!("x")));
        odd.push(("skillIds", json!(["{00000000-0000-4000-8000-000000000000}"])));
        odd.push(("skillIds", json!(["urn:uuid:00000000-0000-4000-8000-000000000000"])));
        odd.push(("companyId", json!(acme.company_id().0.simple())));
        for (field, value) in odd {
            let answer = acme.post("/job-postings", with(draft(&acme), field, value.clone())).await;
            assert_eq!(answer.status, 400, "{field}: {value} gives {}", answer.text);
            assert_eq!(answer.body["statusCode"], 400);
        }
        let huge = format!("{{\"averageDailyRate\": 1e999, \"title\": \"\\ud800\", \"companyId\": \"{UNKNOWN}\"}}");
        let request = acme.request(reqwest::Method::POST, "/job-postings").header("content-type", "application/json");
        acme.answer(request.body(huge)).await.expect(400);
        let long = with(draft(&acme), "title", json!("é".repeat(200)));
        acme.post("/job-postings", with(long, "seniority", json!(-0.0))).await.expect(201);
    })
    .await;
}

/// Fault cases 49 and 61.
#[tokio::test]
async fn any_text_comes_back_as_it_was() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for text in ["👩‍💻🇫🇷", "مرحبا \u{202e}abc", "e\u{301}", "<script>alert(1)</script>", "'; DROP TABLE \"User\"; --"]
        {
            let created = acme.post("/job-postings", with(draft(&acme), "title", json!(text))).await.expect(201);
            assert_eq!(created["title"], text);
        }
    })
    .await;
}

#[tokio::test]
async fn the_daily_limit_is_fifty() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        sqlx::query(
            "INSERT INTO creation_tally (user_id, kind, day, count)
             VALUES ($1, 'job_posting', (now() AT TIME ZONE 'UTC')::date, 49)",
        )
        .bind(acme.user_id.0)
        .execute(&app.pool)
        .await
        .unwrap();
        acme.post("/job-postings", draft(&acme)).await.expect(201);
        acme.post("/job-postings", draft(&acme)).await.expect(429);
    })
    .await;
}

/// Fault cases 37 and 39.
#[tokio::test]
async fn an_unpublished_posting_looks_absent() {
    TestApp::run(async |app| {
        let (acme, globex, bob) = (app.company("acme").await, app.company("globex").await, app.freelance("bob").await);
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        for stranger in [&app.anonymous(), &globex, &bob] {
            for path in ["/job-postings/", "/checkpoints/job-posting/", "/job-postings//", "//job-postings/./"] {
                let hidden = stranger.get(&format!("{path}{posting}")).await;
                let absent = stranger.get(&format!("{path}{UNKNOWN}")).await;
                assert_eq!(hidden.status, 404, "{} {path}", stranger.name);
                assert_eq!(hidden.text.replace(&posting.to_string(), UNKNOWN), absent.text);
            }
        }
        let project = format!("/job-postings/{posting}/project");
        app.anonymous().get(&project).await.expect(401);
        bob.get(&project).await.expect(404);
        globex.get(&project).await.expect(404);
        app.anonymous().get("/job-postings/nonsense").await.expect(400);
        app.anonymous().get("/job-postings/00000000-0000-0000-0000-000000000000").await.expect(404);
        let upper_case = format!("/job-postings/{}", posting.to_string().to_uppercase());
        assert_eq!(acme.get(&upper_case).await.expect(200)["id"], posting.to_string());
    })
    .await;
}

#[tokio::test]
async fn each_audience_sees_its_own_fields() {
    TestApp::run(async |app| {
        let (acme, alice, bob) = (app.company("acme").await, app.freelance("alice").await, app.freelance("bob").await);
        let posting = published(app, &acme, "Refonte", &[]).await;
        apply(app, posting, &alice, "PENDING").await;
        let path = format!("/job-postings/{posting}");
        let public = app.anonymous().get(&path).await.expect(200);
        assert_eq!(keys(&public["company"]), BTreeSet::from(["id", "name"]));
        assert_eq!(bob.get(&path).await.expect(200), public);
        assert!(!keys(&public["checkpoints"][0]).contains("submittedBy"));
        let applicant = alice.get(&path).await.expect(200);
        assert_eq!(applicant["company"]["user"]["username"], "acme");
        assert_eq!(applicant["company"]["siren"], "123456789");
        assert!(!keys(&applicant["checkpoints"][0]).contains("submittedBy"));
        let own = acme.get(&path).await.expect(200);
        let private = ["cancelReason", "canceledAt", "stripeRefundId", "stripeSessionId"];
        for field in private {
            assert!(keys(&own).contains(field), "{field}");
            assert!(!keys(&public).contains(field) && !keys(&applicant).contains(field), "{field}");
        }
        for text in [public.to_string(), applicant.to_string()] {
            assert!(!text.contains("email") && !text.contains("@example.org"), "{text}");
        }
        // An applicant goes on seeing a posting that was withdrawn; others do not.
        run(app, r#"UPDATE "JobPosting" SET "status" = 'CANCELED' WHERE "id" = $1"#, posting.0).await;
        alice.get(&path).await.expect(200);
        bob.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn a_posting_is_changed_by_its_owner_only() {
    TestApp::run(async |app| {
        let (acme, globex) = (app.company("acme").await, app.company("globex").await);
        let (rust, sql) = (skill(app, "Rust").await, skill(app, "SQL").await);
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let path = format!("/job-postings/{posting}");
        let text =
            "Vous n'avez pas l'autorisation d'accéder à cette annonce. Seule l'entreprise propriétaire peut y accéder.";
        let refused = globex.patch(&path, json!({ "title": "x" })).await;
        assert_eq!(refused.message(), text);
        refused.expect(403);
        app.anonymous().patch(&path, json!({ "title": "x" })).await.expect(401);
        globex.delete(&path).await.expect(403);
        acme.patch(&path, json!({ "companyId": globex.company_id() })).await.expect(403);
        acme.patch(&path, json!({ "status": "PUBLISHED" })).await.expect(400);
        let body =
            json!({ "title": "Neuf", "companyId": acme.company_id(), "skillIds": [rust, sql], "totalAmount": 19.99 });
        let changed = acme.patch(&path, body).await.expect(200);
        assert_eq!((&changed["title"], &changed["totalAmount"]), (&json!("Neuf"), &json!(19.99)));
        assert_eq!(changed["description"], "Une mission");
        let changed = acme.patch(&path, json!({ "skillIds": [sql] })).await.expect(200);
        assert_eq!(ids(&changed["skills"]), [sql.to_string()]);
        let same = acme.patch(&path, json!({})).await.expect(200);
        assert_eq!(same["skills"], changed["skills"]);
        acme.patch(&path, json!({ "skillIds": [UNKNOWN] })).await.expect(404);
        assert_eq!(acme.get(&path).await.expect(200)["skills"], changed["skills"]);
        let unknown = acme.patch(&format!("/job-postings/{UNKNOWN}"), json!({})).await;
        assert_eq!(unknown.message(), format!("Annonce avec l'ID {UNKNOWN} introuvable"));
    })
    .await;
}

#[tokio::test]
async fn amounts_freeze_before_texts_do() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let path = format!("/job-postings/{posting}");
        payment_session(app, posting, &acme, "OPEN").await;
        acme.patch(&path, json!({ "totalAmount": 1 })).await.expect(409);
        acme.patch(&path, json!({ "averageDailyRate": 1 })).await.expect(409);
        // The form sends the stored amounts back.
        acme.patch(&path, json!({ "title": "Un", "totalAmount": 500, "averageDailyRate": 400 })).await.expect(200);
        publish(app, posting).await;
        acme.patch(&path, json!({ "title": "Deux" })).await.expect(200);
        acme.patch(&path, json!({ "totalAmount": 1 })).await.expect(409);
        apply(app, posting, &alice, "ACCEPTED").await;
        acme.patch(&path, json!({ "title": "Trois" })).await.expect(409);
        acme.patch(&path, json!({ "skillIds": [] })).await.expect(409);
        assert_eq!(acme.get(&path).await.expect(200)["title"], "Deux");
    })
    .await;
}

#[tokio::test]
async fn an_unpaid_posting_is_deleted_with_all_that_is_its() {
    TestApp::run(async |app| {
        let (acme, alice, bob) = (app.company("acme").await, app.freelance("alice").await, app.freelance("bob").await);
        let posting = published(app, &acme, "Refonte", &[skill(app, "Rust").await]).await;
        run(app, r#"UPDATE "JobPosting" SET "status" = 'PENDING_PAYMENT' WHERE "id" = $1"#, posting.0).await;
        apply(app, posting, &alice, "PENDING").await;
        apply(app, posting, &bob, "REJECTED").await;
        payment_session(app, posting, &acme, "EXPIRED").await;
        let path = format!("/job-postings/{posting}");
        let deleted = acme.delete(&path).await.expect(200);
        assert_eq!((&deleted["id"], &deleted["checkpoints"]), (&json!(posting), &json!([])));
        for sql in [
            r#"SELECT count(*) FROM "JobPosting" WHERE "id" = $1"#,
            r#"SELECT count(*) FROM "Checkpoint" WHERE "jobPostingId" = $1"#,
            r#"SELECT count(*) FROM "Candidate" WHERE "jobPostingId" = $1"#,
            r#"SELECT count(*) FROM "_JobPostingToSkill" WHERE "A" = $1"#,
            "SELECT count(*) FROM payment_session WHERE job_posting_id = $1",
        ] {
            assert_eq!(count(app, sql, posting.0).await, 0, "{sql}");
        }
        let trail = r#"SELECT count(*) FROM "Log" WHERE subject_id = $1::text AND "action" = 'delete'"#;
        assert_eq!(count(app, trail, posting.0).await, 1);
        let again = acme.delete(&path).await;
        assert_eq!(again.message(), format!("Annonce avec l'ID {posting} introuvable"));
        again.expect(404);
    })
    .await;
}

#[tokio::test]
async fn a_paid_posting_is_not_deleted() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let published = published(app, &acme, "Sans paiement", &[]).await;
        let refused = acme.delete(&format!("/job-postings/{published}")).await;
        assert!(refused.message().contains("cancel"), "{}", refused.message());
        refused.expect(409);
        let paid = app.unpaid_posting(&acme, &[50_000]).await;
        payment_session(app, paid, &acme, "PAID").await;
        acme.delete(&format!("/job-postings/{paid}")).await.expect(409);
        let accepted = app.unpaid_posting(&acme, &[50_000]).await;
        apply(app, accepted, &alice, "ACCEPTED").await;
        let refused = acme.delete(&format!("/job-postings/{accepted}")).await;
        let text = "Cette annonce ne peut pas être supprimée car une candidature a déjà été acceptée.";
        assert_eq!(refused.message(), text);
        refused.expect(409);
        let checkpoints = r#"SELECT count(*) FROM "Checkpoint" WHERE "jobPostingId" = $1"#;
        for posting in [published, paid, accepted] {
            assert_eq!(count(app, checkpoints, posting.0).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn deleting_closes_an_open_payment_page() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let payment = json!({
            "successUrl": format!("{}/project/payment-success", freehunt_tests::settings::FRONTEND),
            "cancelUrl": format!("{}/dashboard/job-postings", freehunt_tests::settings::FRONTEND),
            "customerEmail": acme.email,
        });
        let opened = acme.post(&format!("/job-postings/{posting}/create-payment"), payment).await.expect(201);
        acme.delete(&format!("/job-postings/{posting}")).await.expect(200);
        let expired = "SELECT count(*) FROM payment_session WHERE job_posting_id = $1 AND status = 'EXPIRED'";
        freehunt_tests::eventually("the payment page is closed", async || count(app, expired, posting.0).await == 1)
            .await;
        app.stripe.pay(opened["sessionId"].as_str().unwrap()).unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_user_lists_only_its_own_postings() {
    TestApp::run(async |app| {
        let (acme, globex, bob) = (app.company("acme").await, app.company("globex").await, app.freelance("bob").await);
        let unpaid = app.unpaid_posting(&acme, &[20_000, 30_000]).await;
        let published = published(app, &acme, "Refonte", &[]).await;
        app.unpaid_posting(&globex, &[50_000]).await;
        let path = format!("/job-postings/user/{}", acme.user_id);
        let listed = acme.get(&path).await.expect(200);
        assert_eq!(ids(&listed), [published.to_string(), unpaid.to_string()]);
        assert_eq!(listed[1]["checkpoints"].as_array().unwrap().len(), 2);
        let by_status = acme.get(&format!("{path}/status/PUBLISHED")).await.expect(200);
        assert_eq!(ids(&by_status), [published.to_string()]);
        assert_eq!(acme.get(&format!("{path}/status/PAID")).await.expect(200), json!([]));
        acme.get(&format!("{path}/status/published")).await.expect(400);
        acme.get("/job-postings/user/x/status/PAID").await.expect(400);
        app.anonymous().get(&path).await.expect(401);
        globex.get(&path).await.expect(403);
        bob.get(&format!("{path}/status/PUBLISHED")).await.expect(403);
        assert_eq!(bob.get(&format!("/job-postings/user/{}", bob.user_id)).await.expect(200), json!([]));
    })
    .await;
}

#[tokio::test]
async fn the_list_shows_a_freelance_its_own_applications_only() {
    TestApp::run(async |app| {
        let (acme, alice, bob) = (app.company("acme").await, app.freelance("alice").await, app.freelance("bob").await);
        let unpaid = app.unpaid_posting(&acme, &[50_000]).await;
        let published = published(app, &acme, "Refonte", &[]).await;
        apply(app, published, &alice, "PENDING").await;
        apply(app, published, &bob, "PENDING").await;
        let seen = alice.get("/job-postings").await.expect(200);
        assert_eq!(ids(&seen), [published.to_string()]);
        assert_eq!(seen[0]["candidates"].as_array().unwrap().len(), 1);
        assert_eq!(seen[0]["candidates"][0]["freelanceId"], json!(alice.freelance_id()));
        assert!(!seen.to_string().contains("email"));
        let own = acme.get("/job-postings").await.expect(200);
        assert_eq!(ids(&own), [published.to_string(), unpaid.to_string()]);
        assert_eq!(own[0]["candidates"].as_array().unwrap().len(), 2);
        app.anonymous().get("/job-postings").await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn the_search_finds_what_can_be_applied_to() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        published(app, &acme, "Ouverte", &[]).await;
        app.unpaid_posting(&acme, &[50_000]).await;
        let bare = published(app, &acme, "Sans jalon", &[]).await;
        run(app, r#"DELETE FROM "Checkpoint" WHERE "jobPostingId" = $1"#, bare.0).await;
        let taken = published(app, &acme, "Prise", &[]).await;
        apply(app, taken, &alice, "ACCEPTED").await;
        let anonymous = app.anonymous();
        assert_eq!(found(&anonymous, json!({})).await, (vec!["Ouverte".to_owned()], 1));
        let hit = anonymous.post("/job-postings/search", json!({})).await.expect(200)["data"][0].take();
        assert_eq!(keys(&hit["company"]), BTreeSet::from(["id", "name"]));
        assert_eq!((&hit["recommended"], &hit["commonSkillsCount"]), (&json!(false), &json!(0)));
        for private in ["stripeSessionId", "stripeRefundId", "cancelReason", "canceledAt", "candidates"] {
            assert!(!keys(&hit).contains(private), "{private}");
        }
        // A dead session is nobody; a freelance without a profile gets no recommendations.
        let mut stale = anonymous.clone();
        stale.cookie = "freehunt_session=stale".to_owned();
        assert_eq!(found(&stale, json!({})).await.1, 1);
        let blank = app.user("blank", Role::Freelance).await;
        assert_eq!(found(&blank, json!({ "title": null, "take": null })).await.1, 1);
    })
    .await;
}

#[tokio::test]
async fn the_search_narrows() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (rust, sql) = (skill(app, "Rust").await, skill(app, "SQL").await);
        let first = published(app, &acme, "Moteur", &[rust]).await;
        run(
            app,
            r#"UPDATE "JobPosting" SET "location" = 'HYBRID', "averageDailyRate" = 600.5, "seniority" = 0 WHERE "id" = $1"#,
            first.0,
        )
        .await;
        published(app, &acme, "Entrepôt", &[sql]).await;
        let anonymous = app.anonymous();
        for (search, title) in [
            (json!({ "title": "MOT" }), "Moteur"),
            (json!({ "title": "sq" }), "Entrepôt"),
            (json!({ "skillNames": ["rUST"] }), "Moteur"),
            (json!({ "skillNames": ["SQL", "Cobol"] }), "Entrepôt"),
            (json!({ "location": "HYBRID" }), "Moteur"),
            (json!({ "minDailyRate": 600.5 }), "Moteur"),
            (json!({ "maxDailyRate": 600 }), "Entrepôt"),
            (json!({ "minSeniority": 0, "maxSeniority": 0 }), "Moteur"),
            (json!({ "minSeniority": 0.5 }), "Entrepôt"),
        ] {
            assert_eq!(found(&anonymous, search.clone()).await, (vec![title.to_owned()], 1), "{search}");
        }
        for search in [json!({ "skillNames": ["Cobol"] }), json!({ "title": "zzz" }), json!({ "minDailyRate": 1e300 })] {
            assert_eq!(found(&anonymous, search).await, (vec![], 0));
        }
        for search in [json!({}), json!({ "title": "" }), json!({ "skillNames": [] }), json!({ "maxDailyRate": 1e300 })] {
            assert_eq!(found(&anonymous, search).await.1, 2);
        }
    })
    .await;
}

/// Fault case 53.
#[tokio::test]
async fn searched_text_is_literal() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for title in ["100% distance", "snake_case", r"back\slash", "l'équipe", "\";--"] {
            published(app, &acme, title, &[]).await;
        }
        let anonymous = app.anonymous();
        for (text, title) in
            [("%", "100% distance"), ("_", "snake_case"), (r"\", r"back\slash"), ("'", "l'équipe"), ("\";--", "\";--")]
        {
            assert_eq!(found(&anonymous, json!({ "title": text })).await, (vec![title.to_owned()], 1), "{text}");
        }
        assert_eq!(found(&anonymous, json!({ "title": r"\%" })).await.1, 0);
        assert_eq!(found(&anonymous, json!({ "skillNames": ["%"] })).await.1, 0);
    })
    .await;
}

/// Fault cases 52 and 54.
#[tokio::test]
async fn the_search_has_limits() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        for number in 0..12 {
            published(app, &acme, &format!("Annonce {number}"), &[]).await;
        }
        let anonymous = app.anonymous();
        let (page, total) = found(&anonymous, json!({})).await;
        assert_eq!((page.len(), total), (10, 12));
        for number in [json!(1e9), json!(101), json!(0), json!(-1), json!(1.5), json!("10"), json!({}), json!(true)] {
            anonymous.post("/job-postings/search", json!({ "take": number })).await.expect(400);
        }
        for number in [json!(-1), json!(1.5), json!("10"), json!(1e18), json!([])] {
            anonymous.post("/job-postings/search", json!({ "skip": number })).await.expect(400);
        }
        assert_eq!(found(&anonymous, json!({ "take": 100.0, "skip": 11.0 })).await.0.len(), 1);
        assert_eq!(found(&anonymous, json!({ "skip": 2_000_000_000 })).await, (vec![], 12));
        let names = |count| json!({ "skillNames": vec!["x"; count] });
        anonymous.post("/job-postings/search", names(50)).await.expect(200);
        for bad in
            [names(51), json!({ "skillNames": "React" }), json!({ "skillNames": [null] }), json!({ "skillNames": [5] })]
        {
            anonymous.post("/job-postings/search", bad).await.expect(400);
        }
        anonymous.post("/job-postings/search", json!({ "title": "x".repeat(201) })).await.expect(400);
        anonymous.post("/job-postings/search", json!({ "foo": 1 })).await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn recommended_postings_come_first_and_pages_are_stable() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let mut skills = Vec::new();
        for name in ["Rust", "SQL", "DevOps", "React"] {
            skills.push(skill(app, name).await);
        }
        sqlx::query(r#"INSERT INTO "_FreelanceToSkill" ("A", "B") SELECT $1, unnest($2::uuid[])"#)
            .bind(alice.freelance_id().0)
            .bind(&skills)
            .execute(&app.pool)
            .await
            .unwrap();
        for (title, common) in [("trois", 3), ("quatre", 4), ("zéro", 0), ("deux", 2)] {
            published(app, &acme, title, &skills[..common]).await;
        }
        // As many as were made in the same instant: their ids decide.
        for number in 0..4 {
            published(app, &acme, &format!("égale {number}"), &skills[..1]).await;
        }
        sqlx::query(r#"UPDATE "JobPosting" SET "createdAt" = '2026-01-01' WHERE "title" LIKE 'égale%'"#)
            .execute(&app.pool)
            .await
            .unwrap();
        let whole = alice.post("/job-postings/search", json!({})).await.expect(200);
        let rows = whole["data"].as_array().unwrap();
        let common: Vec<_> = rows.iter().map(|row| row["commonSkillsCount"].as_i64().unwrap()).collect();
        assert_eq!(common, [4, 3, 2, 1, 1, 1, 1, 0]);
        assert!(rows.iter().all(|row| (row["commonSkillsCount"].as_i64() >= Some(3)) == (row["recommended"] == true)));
        for persona in [&alice, &acme, &app.anonymous()] {
            let (all, total) = found(persona, json!({})).await;
            let mut paged = Vec::new();
            for skip in 0..total {
                paged.extend(found(persona, json!({ "skip": skip, "take": 1 })).await.0);
            }
            assert_eq!(paged, all, "{}", persona.name);
        }
        // Nobody else gets recommendations; then the newest come first.
        let newest = found(&acme, json!({ "take": 4 })).await.0;
        assert_eq!(newest, ["deux", "zéro", "quatre", "trois"]);
    })
    .await;
}
