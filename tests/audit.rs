//! The audit trail: who did what, on what, when and from where. Append-only, and found again by the operator.

use std::collections::BTreeSet;

use freehunt_api::commands::audit::{AuditArguments, lines};
use freehunt_domain::users::Role;
use freehunt_tests::{TestApp, TestOptions};
use http::Method;
use serde_json::{Value, json};

use crate::auth::{cookies_of, log_in, signed_in, with_cookie};

async fn trail(app: &TestApp, arguments: AuditArguments) -> Vec<Value> {
    let mut connection = app.pool.acquire().await.unwrap();
    lines(&mut connection, &arguments).await.unwrap().iter().map(|line| serde_json::to_value(line).unwrap()).collect()
}

/// In alphabetical order: two lines may be of the same millisecond.
fn actions(lines: &[Value]) -> Vec<&str> {
    let mut actions: Vec<&str> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    actions
}

#[tokio::test]
async fn what_somebody_did_is_found_by_who_what_when_and_where() {
    let options = TestOptions::default().with("TRUSTED_PROXY_HOPS", "1");
    TestApp::run_with(options, async |app| {
        let form = json!({ "email": "acme@example.org", "username": "acme", "password": "Registered-1",
            "password_repeat": "Registered-1", "role": "COMPANY" });
        let request = app.anonymous().request(Method::POST, "/auth/register").header("x-forwarded-for", "192.0.2.7");
        let answer = app.anonymous().answer(request.json(&form)).await;
        let session = with_cookie(&app.anonymous(), &cookies_of(&answer));
        let me = session.get("/auth/getme").await.expect(200);
        let user = me["id"].as_str().unwrap().to_owned();
        let request = session.request(Method::PATCH, &format!("/users/{user}")).header("x-forwarded-for", "192.0.2.8");
        session.answer(request.json(&json!({ "username": "acme2" }))).await.expect(200);
        log_in(app, "acme@example.org", "wrong").await.expect(201);
        session.post("/auth/logout", json!({})).await.expect(201);

        let all = |limit| AuditArguments { limit, ..AuditArguments::default() };
        let everything = trail(app, all(50)).await;
        assert_eq!(actions(&everything), ["bind", "log_in", "log_in_refused", "log_out", "rename"]);
        assert_eq!(trail(app, all(2)).await[..], everything[..2], "the newest first");
        let by = |actor: &str| AuditArguments { actor: Some(actor.parse().unwrap()), ..all(50) };
        assert_eq!(actions(&trail(app, by(&user)).await), ["bind", "log_in", "log_out", "rename"]);
        let on = AuditArguments { subject: Some(user.clone()), ..all(50) };
        assert_eq!(actions(&trail(app, on).await), ["bind", "log_in_refused", "rename"]);
        let refused = AuditArguments { action: Some("log_in_refused".to_owned()), ..all(50) };
        let refused = trail(app, refused).await;
        assert_eq!(refused[0]["details"], json!({ "reason": "wrong_credentials" }));
        assert_eq!((&refused[0]["actor_kind"], refused.len()), (&json!("anonymous"), 1));
        let from = |address: &str| AuditArguments { address: Some(address.to_owned()), ..all(50) };
        assert_eq!(actions(&trail(app, from("192.0.2.7")).await), ["bind", "log_in"]);
        assert_eq!(actions(&trail(app, from("192.0.2.8")).await), ["rename"]);
        let now = app.state.clock.now();
        let since = AuditArguments { since: Some(now - chrono::TimeDelta::minutes(5)), ..all(50) };
        assert_eq!(trail(app, since).await.len(), 5);
        let until = AuditArguments { until: Some(now - chrono::TimeDelta::minutes(5)), ..all(50) };
        assert!(trail(app, until).await.is_empty());
        // No secret and no address of a person, and every line says when and from where.
        for line in &everything {
            let text = line.to_string();
            assert!(!text.contains('@') && !text.contains("Registered-1"), "{text}");
            assert!(line["at"].is_string() && line["client_address"].is_string(), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_takes_a_line_away() {
    TestApp::run(async |app| {
        signed_in(app, &app.user("alice", Role::Freelance).await).await;
        for attempt in [
            r#"UPDATE "Log" SET "action" = 'nothing'"#,
            r#"UPDATE "Log" SET actor_kind = NULL"#,
            r#"DELETE FROM "Log""#,
            r#"TRUNCATE "Log""#,
            r#"TRUNCATE "User", "Log" CASCADE"#,
        ] {
            let refused = sqlx::query(attempt).execute(&app.pool).await.expect_err(attempt);
            assert!(refused.to_string().contains("append-only"), "{attempt}: {refused}");
        }
        // The original's own lines are the original's.
        sqlx::query(r#"INSERT INTO "Log" ("tableName", "action") VALUES ('User', 'x')"#)
            .execute(&app.pool)
            .await
            .unwrap();
        let removed = sqlx::query(r#"DELETE FROM "Log" WHERE actor_kind IS NULL"#).execute(&app.pool).await.unwrap();
        assert_eq!(removed.rows_affected(), 1);
    })
    .await;
}

/// What moves money or opens a door leaves a line, whoever does it.
#[tokio::test]
async fn what_matters_is_written_down() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
        let posting = app.published_posting(&acme, &[20_000, 30_000]).await;
        app.accepted_project(posting, &alice, &acme).await;
        let checkpoint = app.checkpoint_ids(posting).await[0];
        let path = format!("/checkpoints/{checkpoint}");
        alice.put(&path, json!({ "status": "DONE" })).await.expect(200);
        acme.put(&path, json!({ "status": "DONE" })).await.expect(200);
        let canceled = app.published_posting(&acme, &[50_000]).await;
        acme.post(&format!("/job-postings/{canceled}/cancel"), json!({ "reason": "x" })).await.expect(201);
        let draft = app.unpaid_posting(&acme, &[50_000]).await;
        acme.delete(&format!("/job-postings/{draft}")).await.expect(200);
        let lines = trail(app, AuditArguments { limit: 500, ..AuditArguments::default() }).await;
        let seen: BTreeSet<&str> = actions(&lines).into_iter().collect();
        for action in ["publish", "accept", "submit", "approve", "transfer", "cancel", "refund", "delete"] {
            assert!(seen.contains(action), "no {action} among {seen:?}");
        }
        for line in &lines {
            assert!(line["subject_id"].is_string() && line["actor_kind"].is_string(), "{line}");
            let by_a_user = line["actor_kind"] == "user" && line["action"] != "bind";
            assert!(!by_a_user || line["actor_id"].is_string(), "{line}");
        }
    })
    .await;
}
