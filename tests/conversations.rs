//! `/conversations`: one for each project, one for each pair of users.

use freehunt_tests::{Persona, TestApp};
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::candidates::{paid_posting, patient};

const FIND_OR_CREATE: &str = "/conversations/find-or-create";

fn between(sender: &Persona, receiver: &Persona) -> Value {
    json!({ "senderId": sender.user_id, "receiverId": receiver.user_id })
}

async fn conversations(app: &TestApp) -> i64 {
    sqlx::query_scalar(r#"SELECT count(*) FROM "Conversation""#).fetch_one(&app.pool).await.unwrap()
}

#[tokio::test]
async fn the_same_conversation_is_found_from_both_sides() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let begun = bob.post(FIND_OR_CREATE, between(&bob, &acme)).await.expect(201);
        assert_eq!(begun["messages"], json!([]));
        assert_eq!(begun["project"], Value::Null);
        assert_eq!(begun["sender"]["email"], "bob@example.org");
        assert_eq!(begun["receiver"], json!({ "id": acme.user_id, "username": "acme", "role": "COMPANY" }));
        let mut with_more = between(&acme, &bob);
        with_more["foo"] = json!(1);
        let found = acme.post(FIND_OR_CREATE, with_more).await.expect(201);
        assert_eq!(found["id"], begun["id"]);
        assert_eq!(found["senderId"], json!(bob.user_id));
        assert!(!found.to_string().contains("bob@example.org"));
        assert_eq!(conversations(app).await, 1);
    })
    .await;
}

/// Fault case 137.
#[tokio::test]
async fn fifty_clicks_in_both_directions_make_one_conversation() {
    TestApp::run_with(patient(), async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let clicks = (0..50).map(|index| {
            let (sender, receiver) = if index % 2 == 0 { (&acme, &bob) } else { (&bob, &acme) };
            sender.post(FIND_OR_CREATE, between(sender, receiver))
        });
        let ids: Vec<Value> =
            join_all(clicks).await.into_iter().map(|answer| answer.expect(201)["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(conversations(app).await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_oldest_conversation_of_the_original_is_adopted() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        app.accepted_project(posting, &bob, &acme).await;
        for age in ["1 day", "3 days", "2 days"] {
            sqlx::query(
                r#"INSERT INTO "Conversation" ("senderId", "receiverId", "createdAt")
                   VALUES ($1, $2, now() AT TIME ZONE 'UTC' - $3::interval)"#,
            )
            .bind(acme.user_id.0)
            .bind(bob.user_id.0)
            .bind(age)
            .execute(&app.pool)
            .await
            .unwrap();
        }
        let oldest: Uuid = sqlx::query_scalar(r#"SELECT "id" FROM "Conversation" ORDER BY "createdAt" LIMIT 1"#)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        for _ in 0..2 {
            let found = bob.post(FIND_OR_CREATE, between(&bob, &acme)).await.expect(201);
            assert_eq!(found["id"], json!(oldest));
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_begins_a_conversation_in_another_s_name() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        for path in ["/conversations", FIND_OR_CREATE] {
            eve.post(path, between(&bob, &acme)).await.expect(403);
            eve.post(path, between(&eve, &eve)).await.expect(400);
            app.anonymous().post(path, between(&bob, &acme)).await.expect(401);
        }
        let unknown = json!({ "senderId": eve.user_id, "receiverId": Uuid::new_v4() });
        eve.post(FIND_OR_CREATE, unknown.clone()).await.expect(404);
        let refused = eve.post("/conversations", unknown).await;
        assert!(refused.message().contains("Conversation_receiverId_fkey"));
        refused.expect(400);
        assert_eq!(
            eve.post("/conversations", json!({ "senderId": "x", "receiverId": 1, "projectId": "y" })).await.expect(400)
                ["message"],
            json!(["projectId must be a UUID", "receiverId must be a UUID", "senderId must be a UUID"])
        );
        eve.post(FIND_OR_CREATE, json!({})).await.expect(400);
        assert_eq!(conversations(app).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_project_s_conversation_is_found_by_its_parties_only() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        let project = app.accepted_project(posting, &bob, &acme).await;
        let path = format!("/conversations/project/{project}");
        let talk = bob.get(&path).await.expect(200);
        assert_eq!(talk["messages"].as_array().unwrap().len(), 1);
        assert!(talk.get("project").is_none());
        eve.get(&path).await.expect(404);

        let mut of_project = between(&bob, &acme);
        of_project["projectId"] = json!(project);
        assert_eq!(bob.post(FIND_OR_CREATE, of_project.clone()).await.expect(201)["id"], talk["id"]);
        bob.post("/conversations", of_project).await.expect(409);
        let direct = bob.post(FIND_OR_CREATE, between(&bob, &acme)).await.expect(201);
        assert_ne!(direct["id"], talk["id"], "without a project it is the pair's own conversation");
        let mut foreign = between(&eve, &acme);
        foreign["projectId"] = json!(project);
        eve.post(FIND_OR_CREATE, foreign.clone()).await.expect(403);
        eve.post("/conversations", foreign).await.expect(403);
        sqlx::query(r#"UPDATE "Project" SET "conversationId" = NULL"#).execute(&app.pool).await.unwrap();
        let empty = bob.get(&path).await;
        assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    })
    .await;
}

#[tokio::test]
async fn conversations_are_private() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let created = bob.post("/conversations", between(&bob, &acme)).await.expect(201);
        assert!(created.get("messages").is_none());
        let path = format!("/conversations/{}", created["id"].as_str().unwrap());
        bob.post("/messages/", json!({ "content": "Un", "conversationId": created["id"] })).await.expect(201);
        acme.post("/messages/", json!({ "content": "Deux", "conversationId": created["id"] })).await.expect(201);
        let talk = acme.get(&path).await.expect(200);
        assert_eq!(talk["messages"][1]["content"], "Deux");
        assert_eq!(acme.get("/conversations").await.expect(200), json!([talk]));
        let of_user = format!("/conversations/user/{}", bob.user_id);
        assert_eq!(bob.get(&of_user).await.expect(200), json!([talk]));

        acme.get(&of_user).await.expect(403);
        assert_eq!(eve.get("/conversations").await.expect(200), json!([]));
        let unknown = eve.get(&format!("/conversations/{}", Uuid::new_v4())).await;
        assert_eq!(eve.get(&path).await.text, unknown.text);
        unknown.expect(404);
        for anybody in [&bob, &eve] {
            anybody.delete(&path).await.expect(403);
        }
    })
    .await;
}

/// The original let anybody link a conversation to any project.
#[tokio::test]
async fn a_foreign_project_does_not_show_through_a_conversation() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        app.accepted_project(posting, &bob, &acme).await;
        let talk = eve.post("/conversations", between(&eve, &acme)).await.expect(201);
        sqlx::query(r#"UPDATE "Project" SET "conversationId" = $1::uuid"#)
            .bind(talk["id"].as_str())
            .execute(&app.pool)
            .await
            .unwrap();
        let seen = eve.get(&format!("/conversations/{}", talk["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(seen["project"], Value::Null);
    })
    .await;
}

/// Nor does somebody else's conversation show to those who linked it to a project of theirs.
#[tokio::test]
async fn a_foreign_conversation_does_not_show_through_a_project() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let (eve, globex) = (app.freelance("eve").await, app.company("globex").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        app.accepted_project(posting, &bob, &acme).await;
        let project: uuid::Uuid =
            sqlx::query_scalar(r#"SELECT "id" FROM "Project""#).fetch_one(&app.pool).await.unwrap();
        let secret = eve.post("/conversations", between(&eve, &globex)).await.expect(201);
        sqlx::query(r#"UPDATE "Project" SET "conversationId" = $1::uuid"#)
            .bind(secret["id"].as_str())
            .execute(&app.pool)
            .await
            .unwrap();
        let mut body = between(&bob, &acme);
        body["projectId"] = json!(project);
        let begun = bob.post(FIND_OR_CREATE, body.clone()).await.expect(201);
        assert_ne!(begun["id"], secret["id"], "the project gets a conversation of its own parties");
        assert_eq!(begun["messages"], json!([]));
        assert_eq!(acme.get(&format!("/conversations/project/{project}")).await.expect(200)["id"], begun["id"]);
        assert_eq!(bob.post(FIND_OR_CREATE, body).await.expect(201)["id"], begun["id"]);
    })
    .await;
}

#[tokio::test]
async fn thirty_conversations_a_day_are_enough() {
    TestApp::run(async |app| {
        let bob = app.freelance("bob").await;
        sqlx::query(
            "INSERT INTO creation_tally (user_id, kind, day, count)
             VALUES ($1, 'conversation', (now() AT TIME ZONE 'UTC')::date, 29)",
        )
        .bind(bob.user_id.0)
        .execute(&app.pool)
        .await
        .unwrap();
        let (acme, globex) = (app.company("acme").await, app.company("globex").await);
        bob.post(FIND_OR_CREATE, between(&bob, &acme)).await.expect(201);
        let refused = bob.post(FIND_OR_CREATE, between(&bob, &globex)).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.expect(429);
        bob.post(FIND_OR_CREATE, between(&bob, &acme)).await.expect(201);
    })
    .await;
}
