//! `/messages`: who writes comes from the session, who reads from the conversation.

use freehunt_tests::{Persona, TestApp};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Begins a conversation; its id.
async fn begin(sender: &Persona, receiver: &Persona) -> Value {
    let body = json!({ "senderId": sender.user_id, "receiverId": receiver.user_id });
    sender.post("/conversations/find-or-create", body).await.expect(201)["id"].clone()
}

fn text(content: &str, conversation: &Value) -> Value {
    json!({ "content": content, "conversationId": conversation })
}

async fn messages(app: &TestApp) -> i64 {
    sqlx::query_scalar(r#"SELECT count(*) FROM "Message""#).fetch_one(&app.pool).await.unwrap()
}

/// Fault case 138.
#[tokio::test]
async fn the_receiver_is_the_partner_whatever_the_client_says() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let conversation = begin(&bob, &acme).await;
        // As the frontend sends it: the receiver is always the conversation's, the sender may be a guess.
        for (writer, partner) in [(&bob, &acme), (&acme, &bob)] {
            let sent = writer
                .post(
                    "/messages/",
                    json!({
                        "content": "Bonjour 😀 <b>", "senderId": bob.user_id, "receiverId": acme.user_id,
                        "conversationId": conversation, "documentId": null,
                    }),
                )
                .await
                .expect(201);
            assert_eq!(sent["senderId"], json!(writer.user_id));
            assert_eq!(sent["receiverId"], json!(partner.user_id));
            assert_eq!(sent["content"], "Bonjour 😀 <b>");
            assert_eq!(sent["conversationId"], conversation);
            let mut fields: Vec<&String> = sent.as_object().unwrap().keys().collect();
            fields.sort_unstable();
            assert_eq!(
                fields,
                [
                    "content",
                    "conversationId",
                    "createdAt",
                    "documentId",
                    "id",
                    "receiverId",
                    "senderId",
                    "timestamp",
                    "updatedAt"
                ]
            );
            let path = format!("/messages/{}", sent["id"].as_str().unwrap());
            assert_eq!(partner.get(&path).await.expect(200), sent);
        }
    })
    .await;
}

/// Fault case 62, and 60 for messages.
#[tokio::test]
async fn a_message_has_one_to_ten_thousand_characters() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let conversation = begin(&bob, &acme).await;
        for blank in ["", " \n\t", "\u{2003}"] {
            let refused = bob.post("/messages", text(blank, &conversation)).await.expect(400);
            assert_eq!(refused["message"], json!(["content should not be empty"]));
        }
        bob.post("/messages", text(&"é".repeat(10_000), &conversation)).await.expect(201);
        bob.post("/messages", text(&"é".repeat(10_001), &conversation)).await.expect(400);
        bob.post("/messages", text("a\0b", &conversation)).await.expect(400);
        let wrong =
            json!({ "content": 1, "conversationId": "x", "receiverId": 2, "documentId": "x", "timestamp": "x" });
        assert_eq!(
            bob.post("/messages", wrong).await.expect(400)["message"],
            json!([
                "property timestamp should not exist",
                "content must be a string",
                "documentId must be a UUID",
                "conversationId must be a UUID",
                "receiverId must be a UUID"
            ])
        );
        assert_eq!(messages(app).await, 1);
    })
    .await;
}

#[tokio::test]
async fn messages_are_private() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let conversation = begin(&bob, &acme).await;
        let sent = bob.post("/messages", text("Un", &conversation)).await.expect(201);
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        let list = format!("/messages/conversation/{}", conversation.as_str().unwrap());
        let listed = acme.get(&list).await.expect(200);
        assert_eq!(listed[0]["sender"], json!({ "id": bob.user_id, "username": "bob" }));
        assert_eq!(listed[0]["receiver"]["email"], "acme@example.org");

        eve.post("/messages", text("Forgé", &conversation)).await.expect(404);
        assert_eq!(eve.get(&path).await.text, eve.get(&format!("/messages/{}", Uuid::new_v4())).await.text);
        eve.get(&path).await.expect(404);
        eve.get(&list).await.expect(404);
        for not_author in [&eve, &acme] {
            not_author.put(&path, json!({ "content": "Forgé" })).await.expect(404);
            not_author.delete(&path).await.expect(404);
        }
        bob.get("/messages").await.expect(403);
        app.anonymous().get(&list).await.expect(401);
        assert_eq!(bob.get(&path).await.expect(200), sent);
    })
    .await;
}

#[tokio::test]
async fn messages_are_listed_in_the_order_they_were_sent() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let conversation = begin(&bob, &acme).await;
        for number in 0..6 {
            let writer = if number % 2 == 0 { &bob } else { &acme };
            writer.post("/messages", text(&number.to_string(), &conversation)).await.expect(201);
        }
        let list = bob.get(&format!("/messages/conversation/{}", conversation.as_str().unwrap())).await.expect(200);
        let contents: Vec<&str> =
            list.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(contents, ["0", "1", "2", "3", "4", "5"]);
    })
    .await;
}

#[tokio::test]
async fn the_author_edits_and_deletes_but_never_moves_a_message() {
    TestApp::run(async |app| {
        let (acme, bob, globex) = (app.company("acme").await, app.freelance("bob").await, app.company("globex").await);
        let (conversation, other) = (begin(&bob, &acme).await, begin(&bob, &globex).await);
        let sent = bob.post("/messages", text("Un", &conversation)).await.expect(201);
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        let edited = bob.put(&path, json!({ "content": "Édité", "documentId": null })).await.expect(200);
        assert_eq!(edited["content"], "Édité");
        assert_eq!(edited["createdAt"], sent["createdAt"]);
        bob.put(&path, text("Déplacé", &other)).await.expect(403);
        bob.put(&path, json!({ "content": "Déplacé", "receiverId": globex.user_id })).await.expect(403);
        bob.put(&path, json!({})).await.expect(400);
        assert_eq!(bob.delete(&path).await.expect(200), edited);
        bob.delete(&path).await.expect(404);
        let deletion: Value = sqlx::query_scalar("SELECT payload FROM chat_event WHERE kind = 'deleteMessage'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(deletion, edited);
    })
    .await;
}

#[tokio::test]
async fn only_own_documents_are_attached_each_to_one_message() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let conversation = begin(&bob, &acme).await;
        let document: Uuid = sqlx::query_scalar(
            r#"INSERT INTO "Document" ("name", "url", "type", "userId")
               VALUES ('a.png', 'http://localhost/a.png', 'AVATAR', $1) RETURNING "id""#,
        )
        .bind(bob.user_id.0)
        .fetch_one(&app.pool)
        .await
        .unwrap();
        let mut with_document = text("Voici", &conversation);
        with_document["documentId"] = json!(document);
        acme.post("/messages", with_document.clone()).await.expect(404);
        assert_eq!(bob.post("/messages", with_document.clone()).await.expect(201)["documentId"], json!(document));
        let again = bob.post("/messages", with_document).await;
        assert_eq!(again.message(), "Donnée déjà existante pour le champ unique : documentId");
        again.expect(409);
    })
    .await;
}

/// Fault case 136: with a key a repetition is the first message again; without one it is another message.
#[tokio::test]
async fn a_repeated_key_answers_the_first_message() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let conversation = begin(&bob, &acme).await;
        let send = |writer: &Persona, key: &str| {
            let request = writer.request(Method::POST, "/messages/").header("idempotency-key", key);
            let (request, writer) = (request.json(&text("Un", &conversation)), writer.clone());
            async move { writer.answer(request).await }
        };
        let answers = join_all((0..10).map(|_| send(&bob, "key-1"))).await;
        let ids: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(messages(app).await, 1);
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM chat_event WHERE kind = 'newMessage'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(events, 1);

        assert_ne!(send(&acme, "key-1").await.expect(201)["id"], ids[0], "a key is its sender's");
        assert_ne!(send(&bob, "key-2").await.expect(201)["id"], ids[0]);
        bob.post("/messages/", text("Un", &conversation)).await.expect(201);
        bob.post("/messages/", text("Un", &conversation)).await.expect(201);
        assert_eq!(messages(app).await, 5);
        send(&bob, &"k".repeat(256)).await.expect(400);

        sqlx::query("UPDATE message_request SET created_at = now() - interval '25 hours'")
            .execute(&app.pool)
            .await
            .unwrap();
        assert_ne!(send(&bob, "key-1").await.expect(201)["id"], ids[0], "a day later the key is free");
    })
    .await;
}

#[tokio::test]
async fn every_change_is_told_to_the_two_participants() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let mut listener = sqlx::postgres::PgListener::connect_with(&app.pool).await.unwrap();
        listener.listen("freehunt_chat").await.unwrap();
        let conversation = begin(&bob, &acme).await;
        let sent = bob.post("/messages", text("Un", &conversation)).await.expect(201);
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        bob.put(&path, json!({ "content": "Deux" })).await.expect(200);
        bob.delete(&path).await.expect(200);
        let mut both = vec![acme.user_id.0, bob.user_id.0];
        both.sort_unstable();
        for kind in ["newConversation", "conversationReady", "newMessage", "updateMessage", "deleteMessage"] {
            let notified: i64 = listener.recv().await.unwrap().payload().parse().unwrap();
            let (found, recipients): (String, Vec<Uuid>) =
                sqlx::query_as("SELECT kind, recipients FROM chat_event WHERE id = $1")
                    .bind(notified)
                    .fetch_one(&app.pool)
                    .await
                    .unwrap();
            assert_eq!((found.as_str(), recipients), (kind, both.clone()));
        }
    })
    .await;
}
