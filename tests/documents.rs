//! `/documents`: fault cases 77 and 78, and who sees whose avatar.

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::upload::{
    form::{Form, change_avatar, picture, png, upload},
    shown,
};

fn avatar(persona: &Persona, url: &Value) -> Value {
    json!({ "name": "photo.png", "url": url, "type": "AVATAR", "userId": persona.user_id })
}

async fn conversation(app: &TestApp, sender: &Persona, receiver: &Persona) {
    sqlx::query(r#"INSERT INTO "Conversation" ("senderId", "receiverId") VALUES ($1, $2)"#)
        .bind(sender.user_id.0)
        .bind(receiver.user_id.0)
        .execute(&app.pool)
        .await
        .expect("the conversation is new");
}

/// Fault case 78: the registration form tries again.
#[tokio::test]
async fn a_repeated_registration_makes_one_document() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let uploaded = upload(&bob, Form::of(&png())).await.expect(201);
        let first = bob.post("/documents", avatar(&bob, &uploaded["url"])).await.expect(201);
        assert_eq!(first["url"], uploaded["url"]);
        assert_eq!(first["name"], "photo.png");
        assert_eq!(first["messageId"], Value::Null);
        let again = bob.post("/documents", avatar(&bob, &uploaded["url"])).await.expect(201);
        assert_eq!(
            (&again["id"], &again["url"], &again["createdAt"]),
            (&first["id"], &first["url"], &first["createdAt"])
        );

        let another = upload(&bob, Form::of(&picture(image::ImageFormat::Png, 5))).await.expect(201);
        let replaced = bob.post("/documents", avatar(&bob, &another["url"])).await.expect(201);
        assert_eq!(replaced["id"], first["id"]);
        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([replaced]));
        let key = another["key"].as_str().unwrap();
        eventually("the first picture is gone", async || app.s3.objects() == [key]).await;
        bob.post("/documents", avatar(&bob, &uploaded["url"])).await.expect(400);
    })
    .await;
}

/// Fault case 78, all at once.
#[tokio::test]
async fn simultaneous_avatars_leave_one_document_and_one_object() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let changes = (0..6).map(|shade| change_avatar(&bob, Form::of(&picture(image::ImageFormat::Png, shade))));
        for answer in futures_util::future::join_all(changes).await {
            answer.expect(200);
        }
        let documents = bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200);
        assert_eq!(documents.as_array().unwrap().len(), 1);
        eventually("one object is left", async || app.s3.objects().len() == 1).await;
        shown(&documents[0]["url"]).await;
    })
    .await;
}

/// Fault case 77.
#[tokio::test]
async fn only_what_this_server_issued_to_oneself_is_shown() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let eve = app.user("eve", Role::Freelance).await;
        let uploaded = upload(&bob, Form::of(&png())).await.expect(201);
        let url = uploaded["url"].as_str().unwrap();
        eve.post("/documents", avatar(&eve, &uploaded["url"])).await.expect(400);
        eve.post("/documents", avatar(&bob, &uploaded["url"])).await.expect(403);
        for foreign in [
            "https://evil.example/x.png".to_owned(),
            url.replace("127.0.0.1", "evil.example"),
            format!("{url}?x=1"),
            format!("{url}#x"),
            url.replace("freehunt-avatar", "other"),
            "javascript:alert(1)".to_owned(),
        ] {
            bob.post("/documents", avatar(&bob, &json!(foreign))).await.expect(400);
        }
        app.anonymous().post("/documents", json!({})).await.expect(401);
        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([]));
    })
    .await;
}

#[tokio::test]
async fn documents_follow_their_rules() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let url = upload(&bob, Form::of(&png())).await.expect(201)["url"].clone();
        for (field, value) in [
            ("type", json!("INVOICE")),
            ("type", json!("PHOTO")),
            ("userId", json!("x")),
            ("url", json!(5)),
            ("name", json!("")),
        ] {
            let mut body = avatar(&bob, &url);
            body[field] = value;
            bob.post("/documents", body).await.expect(400);
        }
        let mut body = avatar(&bob, &url);
        body["isAdmin"] = json!(true);
        assert_eq!(bob.post("/documents", body).await.message(), "property isAdmin should not exist");
        let mut body = avatar(&bob, &url);
        for ignored in ["freelanceId", "invoiceId", "quoteId", "messageId"] {
            body[ignored] = json!(Uuid::new_v4());
        }
        body["name"] = json!("../../\u{202e}x.png");
        let document = bob.post("/documents", body).await.expect(201);
        assert_eq!((&document["name"], &document["invoiceId"]), (&json!("x.png"), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn an_avatar_is_seen_by_its_owner_and_conversation_partners() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let acme = app.user("acme", Role::Company).await;
        let eve = app.user("eve", Role::Freelance).await;
        let path = format!("/documents/user/{}", bob.user_id);
        let none = bob.get(&path).await;
        assert_eq!((none.status, none.text.as_str()), (200, ""));
        let document = change_avatar(&bob, Form::of(&png())).await.expect(200)["document"].clone();
        assert_eq!(bob.get(&path).await.expect(200), document);

        acme.get(&path).await.expect(404);
        conversation(app, &acme, &bob).await;
        let seen = acme.get(&path).await.expect(200);
        let expected = json!({ "id": document["id"], "url": document["url"], "type": "AVATAR", "userId": bob.user_id });
        assert_eq!(seen, expected);
        assert_eq!(bob.get(&format!("/documents/user/{}", acme.user_id)).await.text, "", "the other way round");
        eve.get(&path).await.expect(404);
        eve.get(&format!("/documents/user/{}", Uuid::new_v4())).await.expect(404);
        eve.get("/documents/user/x").await.expect(400);
        app.anonymous().get(&path).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn a_document_is_deleted_by_its_owner_only() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let eve = app.user("eve", Role::Freelance).await;
        let document = change_avatar(&bob, Form::of(&png())).await.expect(200)["document"].clone();
        let path = format!("/documents/{}", document["id"].as_str().unwrap());
        let refused = eve.delete(&path).await;
        assert_eq!(refused.message(), "Record to delete does not exist.");
        assert_eq!(refused.expect(404)["error"], "NotFoundDependency");
        app.anonymous().delete(&path).await.expect(401);
        assert_eq!(bob.delete(&path).await.expect(200), document);
        bob.delete(&path).await.expect(404);
        bob.delete("/documents/x").await.expect(400);
        eventually("the picture is gone", async || app.s3.objects().is_empty()).await;
    })
    .await;
}

/// Documents of the original may show the former server's objects, and pictures of others.
#[tokio::test]
async fn pictures_of_the_former_server_go_only_when_nobody_shows_them() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let eve = app.user("eve", Role::Freelance).await;
        let shared = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let legacy = async |persona: &Persona, url: &str| {
            sqlx::query(r#"INSERT INTO "Document" ("name", "url", "type", "userId") VALUES ('old', $1, 'AVATAR', $2)"#)
                .bind(url)
                .bind(persona.user_id.0)
                .execute(&app.pool)
                .await
                .unwrap();
        };
        legacy(&eve, shared["url"].as_str().unwrap()).await;
        change_avatar(&eve, Form::of(&png())).await.expect(200);
        eventually("the removal was considered", async || {
            let ready: i64 = sqlx::query_scalar("SELECT count(*) FROM job WHERE state = 'READY'")
                .fetch_one(&app.pool)
                .await
                .unwrap();
            ready == 0
        })
        .await;
        shown(&shared["url"]).await;
    })
    .await;
}
