//! `/checkpoints`: adding and removing them before payment, and who sees which of their fields.

use freehunt_domain::ids::JobPostingId;
use freehunt_tests::{Persona, TestApp};
use futures_util::future::join_all;
use serde_json::{Value, json};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn checkpoint(posting: JobPostingId) -> Value {
    json!({
        "name": "Maquette", "description": "Premier jalon", "date": "2026-11-24T11:00:00.000Z", "status": "TODO",
        "jobPostingId": posting, "amount": 200.5,
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn set_status(app: &TestApp, posting: JobPostingId, status: &str) {
    sqlx::query(r#"UPDATE "JobPosting" SET "status" = $2::"JobPostingStatus" WHERE "id" = $1"#)
        .bind(posting.0)
        .bind(status)
        .execute(&app.pool)
        .await
        .unwrap();
}

async fn open_session(app: &TestApp, posting: JobPostingId, owner: &Persona) {
    sqlx::query(
        "INSERT INTO payment_session (job_posting_id, company_id, number, status, amount_subtotal_cents, live_mode, title,
             customer_email, success_url, cancel_url, expires_at, idempotency_key)
         VALUES ($1, $2, 1, 'OPEN', 50000, false, 't', 'a@example.org', '', '', now() + interval '1 hour',
             'checkout:' || $1 || ':1')",
    )
    .bind(posting.0)
    .bind(owner.company_id().0)
    .execute(&app.pool)
    .await
    .unwrap();
}

async fn names(reader: &Persona, posting: JobPostingId) -> Vec<String> {
    let list = reader.get(&format!("/checkpoints/job-posting/{posting}")).await.expect(200);
    list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_form_adds_checkpoints_in_parallel_and_sees_them_by_date() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[]).await;
        let requests = (0..8).rev().map(|number| {
            let body = with(checkpoint(posting), "name", json!(format!("Étape {number}")));
            let body = with(body, "date", json!(format!("2026-12-0{}T11:00:00.000Z", number + 1)));
            let acme = &acme;
            async move { acme.post("/checkpoints", body).await.expect(201) }
        });
        let created = join_all(requests).await;
        assert!(created.iter().all(|row| row["amount"] == 200.5 && row["submittedBy"].is_null()));
        let expected: Vec<_> = (0..8).map(|number| format!("Étape {number}")).collect();
        assert_eq!(names(&acme, posting).await, expected);
        let id = created[0]["id"].as_str().unwrap();
        assert_eq!(acme.get(&format!("/checkpoints/{id}")).await.expect(200), created[0]);
    })
    .await;
}

#[tokio::test]
async fn nothing_begins_submitted_or_done() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[]).await;
        for (asked, given) in [
            ("DONE", "TODO"),
            ("PENDING_COMPANY_APPROVAL", "TODO"),
            ("CANCELED", "TODO"),
            ("IN_PROGRESS", "IN_PROGRESS"),
        ] {
            // A quote's id is known and ignored.
            let body = with(with(checkpoint(posting), "status", json!(asked)), "quoteId", json!(UNKNOWN));
            assert_eq!(acme.post("/checkpoints", body).await.expect(201)["status"], given);
        }
    })
    .await;
}

#[tokio::test]
async fn every_broken_rule_is_told_in_order() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let body = json!({ "name": 1, "description": 2, "date": "2026-03-01T10:00:00.000Z", "status": "LATE",
                           "jobPostingId": "x", "amount": "5", "quoteId": "x" });
        let texts = json!([
            "name must be a string",
            "description must be a string",
            "status must be one of the following values: TODO, IN_PROGRESS, PENDING_COMPANY_APPROVAL, DONE, DELAYED, CANCELED",
            "jobPostingId must be a UUID",
            "quoteId must be a UUID",
            "amount must be a positive number",
            "amount must be a number conforming to the specified constraints"
        ]);
        assert_eq!(acme.post("/checkpoints", body).await.expect(400)["message"], texts);
    })
    .await;
}

/// Fault cases 48, 51, 57 and 60.
#[tokio::test]
async fn odd_values_are_refused() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[]).await;
        let mut odd = vec![
            ("name", json!("x".repeat(201))),
            ("name", json!("a\0b")),
            ("description", json!("x".repeat(20_001))),
            ("status", json!("todo")),
            ("userId", json!(acme.user_id)),
        ];
        for date in
            ["0000-01-01T00:00:00Z", "10000-01-01", "2025-02-30", "2026-03-01T25:00", "tomorrow", "1767225600000"]
        {
            odd.push(("date", json!(date)));
        }
        for date in [json!(1_767_225_600_000_u64), json!(true), Value::Null, json!([2020]), json!({})] {
            odd.push(("date", date));
        }
        // What the fees leave nothing of could never be paid out: 26 cents and less.
        for amount in
            [json!(1e308), json!(-1), json!(0), json!(0.001), json!(1_000_000), json!(null), json!(true), json!(0.26)]
        {
            odd.push(("amount", amount));
        }
        for (field, value) in odd {
            let answer = acme.post("/checkpoints", with(checkpoint(posting), field, value.clone())).await;
            assert_eq!(answer.status, 400, "{field}: {value} gives {}", answer.text);
        }
        assert_eq!(names(&acme, posting).await, Vec::<String>::new());
        acme.post("/checkpoints", with(checkpoint(posting), "amount", json!(0.27))).await.expect(201);
        for (date, stored) in [
            ("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00.000Z"),
            ("2026-03-01T10:00", "2026-03-01T10:00:00.000Z"),
            ("2026-04-15", "2026-04-15T00:00:00.000Z"),
            ("2026-04", "2026-04-01T00:00:00.000Z"),
        ] {
            let created = acme.post("/checkpoints", with(checkpoint(posting), "date", json!(date))).await.expect(201);
            assert_eq!(created["date"], stored);
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_adds_and_removes_and_only_before_payment() {
    TestApp::run(async |app| {
        let (acme, globex, bob) = (app.company("acme").await, app.company("globex").await, app.freelance("bob").await);
        let posting = app.unpaid_posting(&acme, &[20_000, 30_000]).await;
        let path = format!("/checkpoints/{}", app.checkpoint_ids(posting).await[0]);
        app.anonymous().post("/checkpoints", json!({})).await.expect(401);
        globex.post("/checkpoints", checkpoint(posting)).await.expect(403);
        bob.post("/checkpoints", checkpoint(posting)).await.expect(403);
        let unknown = acme.post("/checkpoints", with(checkpoint(posting), "jobPostingId", json!(UNKNOWN))).await;
        let text = "Violation de contrainte de clé étrangère : Checkpoint_jobPostingId_fkey (index)";
        assert_eq!((unknown.status, unknown.message()), (400, text.to_owned()));
        app.anonymous().delete(&path).await.expect(401);
        globex.delete(&path).await.expect(404);
        let deleted = acme.delete(&path).await.expect(200);
        assert_eq!(deleted["amount"], 200);
        let again = acme.delete(&path).await;
        assert_eq!(again.message(), "Record to delete does not exist.");
        again.expect(404);

        let left = format!("/checkpoints/{}", app.checkpoint_ids(posting).await[0]);
        open_session(app, posting, &acme).await;
        acme.post("/checkpoints", checkpoint(posting)).await.expect(409);
        acme.delete(&left).await.expect(409);
        sqlx::query("DELETE FROM payment_session").execute(&app.pool).await.unwrap();
        for status in ["PUBLISHED", "PAID", "CANCELED"] {
            set_status(app, posting, status).await;
            acme.post("/checkpoints", checkpoint(posting)).await.expect(409);
            acme.delete(&left).await.expect(409);
        }
        set_status(app, posting, "PUBLISHED").await;
        globex.delete(&left).await.expect(403);
    })
    .await;
}

/// Fault case 37.
#[tokio::test]
async fn checkpoints_are_seen_where_their_posting_is() {
    TestApp::run(async |app| {
        let (acme, alice, bob) = (app.company("acme").await, app.freelance("alice").await, app.freelance("bob").await);
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let path = format!("/checkpoints/{}", app.checkpoint_ids(posting).await[0]);
        let absent = bob.get(&format!("/checkpoints/{UNKNOWN}")).await;
        for stranger in [&app.anonymous(), &bob] {
            let hidden = stranger.get(&path).await;
            assert_eq!((hidden.status, &hidden.text), (404, &absent.text));
        }
        app.anonymous().get("/checkpoints/x").await.expect(400);
        set_status(app, posting, "PUBLISHED").await;
        sqlx::query(
            r#"WITH project AS (INSERT INTO "Project" ("name", "description", "freelanceId", "jobPostingId", "startDate", "companyId")
                                VALUES ('p', 'p', $2, $1, now(), $3))
               UPDATE "Checkpoint" SET "submittedAt" = now(), "submittedBy" = $4 WHERE "jobPostingId" = $1"#,
        )
        .bind(posting.0)
        .bind(alice.freelance_id().0)
        .bind(acme.company_id().0)
        .bind(alice.user_id.0)
        .execute(&app.pool)
        .await
        .unwrap();
        for (reader, is_party) in [(&app.anonymous(), false), (&bob, false), (&alice, true), (&acme, true)] {
            let one = reader.get(&path).await.expect(200);
            let listed = reader.get(&format!("/checkpoints/job-posting/{posting}")).await.expect(200);
            assert_eq!(listed, json!([one]), "{}", reader.name);
            assert_eq!(one.get("submittedBy"), is_party.then(|| json!(alice.user_id)).as_ref(), "{}", reader.name);
            assert_eq!(one.get("validatedAt").is_some(), is_party, "{}", reader.name);
        }
    })
    .await;
}
