//! From `POST /messages` to the participants' sockets.

use freehunt_domain::users::Role;
use freehunt_tests::{TestApp, eventually};
use serde_json::{Value, json};

use super::{contents, conversation, flood, numbers, pair, say, shown, write_without_event};

/// Fault cases 129, 130 and 138.
#[tokio::test]
async fn both_participants_receive_a_message_once_on_every_replica() {
    TestApp::run(async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let pair = pair(app).await;
        let eve = app.user("eve", Role::Company).await.chat(&second).await;
        let alice = pair.alice.chat(&first).await;
        let other_tab = pair.alice.chat(&second).await;
        let bob = pair.bob.chat(&second).await;
        for socket in [&alice, &other_tab, &bob] {
            socket.settle().await;
        }
        let sent = say(&pair.bob, &pair.conversation, "Bonjour").await;
        assert_eq!(sent["receiverId"], json!(pair.alice.user_id));
        for socket in [&alice, &other_tab, &bob] {
            assert_eq!(socket.wait_for("newMessage", 1).await, std::slice::from_ref(&sent));
        }
        // The frontend repeats what the API answered.
        assert_eq!(bob.ask("newMessage", json!({ "message": sent })).await, json!({ "ok": true }));
        say(&pair.alice, &pair.conversation, "Salut").await;
        for socket in [&alice, &other_tab, &bob] {
            assert_eq!(contents(&socket.wait_for("newMessage", 2).await), ["Bonjour", "Salut"]);
        }
        eve.settle().await;
        assert_eq!(eve.received_all(), []);
    })
    .await;
}

#[tokio::test]
async fn edits_deletions_and_new_conversations_arrive() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let (alice, bob) = (app.user("alice", Role::Company).await, app.user("bob", Role::Freelance).await);
        let (at_alice, at_bob) = (alice.chat(&server).await, bob.chat(&server).await);
        let conversation = conversation(&alice, &bob).await;
        let ready = at_bob.wait_for("conversationReady", 1).await;
        assert_eq!(ready[0]["id"], json!(conversation));
        assert_eq!(ready[0]["sender"]["username"], "alice");
        assert!(!ready[0].to_string().contains("@example.org"), "{}", ready[0]);
        let sent = say(&alice, &conversation, "Bonjour").await;
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        let edited = alice.put(&path, json!({ "content": "Bonsoir" })).await.expect(200);
        let deleted = alice.delete(&path).await.expect(200);
        for socket in [&at_alice, &at_bob] {
            assert_eq!(socket.wait_for("updateMessage", 1).await, std::slice::from_ref(&edited));
            assert_eq!(socket.wait_for("deleteMessage", 1).await, std::slice::from_ref(&deleted));
        }
    })
    .await;
}

/// Fault case 128.
#[tokio::test]
async fn a_forged_hint_reaches_nobody() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let eve_persona = app.user("eve", Role::Company).await;
        let eve = eve_persona.chat(&server).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        alice.settle().await;
        bob.settle().await;
        let sent = say(&pair.alice, &pair.conversation, "l'original").await;
        bob.wait_for("newMessage", 1).await;
        let with = |field: &str, value: Value| {
            let mut forged = sent.clone();
            forged[field] = value;
            json!({ "message": forged })
        };
        let unknown = json!("00000000-0000-4000-8000-000000000000");
        assert_eq!(alice.ask("newMessage", with("content", json!("new IBAN"))).await["ok"], true);
        assert_eq!(alice.ask("newMessage", with("id", unknown)).await["ok"], false);
        assert_eq!(eve.ask("newMessage", json!({ "message": sent })).await["ok"], false);
        assert_eq!(eve.ask("newMessage", with("senderId", json!(eve_persona.user_id))).await["ok"], false);
        for payload in [json!({}), json!(null), json!({ "message": {} }), json!({ "message": { "id": 5 } })] {
            assert_eq!(eve.ask("newMessage", payload).await["ok"], false);
        }
        bob.settle().await;
        assert_eq!(contents(&bob.received("newMessage")), ["l'original"]);
        assert_eq!(contents(&alice.received("newMessage")), ["l'original"]);
        assert!(eve.received("newMessage").is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_hint_delivers_a_row_without_an_event_once() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        bob.settle().await;
        let id = write_without_event(app, &pair, "autrement").await;
        for _ in 0..3 {
            assert_eq!(alice.ask("newMessage", json!({ "message": { "id": id } })).await["ok"], true);
        }
        assert_eq!(contents(&bob.wait_for("newMessage", 1).await), ["autrement"]);
        say(&pair.alice, &pair.conversation, "ensuite").await;
        assert_eq!(contents(&bob.wait_for("newMessage", 2).await), ["autrement", "ensuite"]);
    })
    .await;
}

/// The original stores the receiver that the frontend names: the sender itself, when the conversation's receiver writes.
#[tokio::test]
async fn a_hint_reaches_both_participants_whomever_the_row_names() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        bob.settle().await;
        let id = write_without_event(app, &pair, "autrement").await;
        sqlx::query(r#"UPDATE "Message" SET "receiverId" = "senderId" WHERE "id" = $1"#)
            .bind(id)
            .execute(&app.pool)
            .await
            .unwrap();
        assert_eq!(alice.ask("newMessage", json!({ "message": { "id": id } })).await["ok"], true);
        for socket in [&alice, &bob] {
            assert_eq!(contents(&socket.wait_for("newMessage", 1).await), ["autrement"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_connects_is_given_what_it_missed() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        // Without an event, which would be sent to whoever is connected by the time it is heard of.
        let old = write_without_event(app, &pair, "trop vieux").await;
        sqlx::query(r#"UPDATE "Message" SET "createdAt" = "createdAt" - interval '11 minutes' WHERE "id" = $1"#)
            .bind(old)
            .execute(&app.pool)
            .await
            .unwrap();
        let missed = say(&pair.alice, &pair.conversation, "un").await;
        say(&pair.bob, &pair.conversation, "deux").await;
        let bob = pair.bob.chat(&server).await;
        bob.settle().await;
        let received = shown(&bob.received("newMessage"));
        assert_eq!(contents(&received), ["un", "deux"]);
        assert_eq!(received[0], missed);
    })
    .await;
}

/// Many times what the socket's own buffer holds: nothing is cut, however many they are, and the order stays.
#[tokio::test]
async fn a_replay_and_a_burst_larger_than_the_buffer_arrive_whole() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        flood(app, &pair, 1..=700, 0).await;
        let bob = pair.bob.chat(&server).await;
        bob.settle().await;
        assert_eq!(numbers(&shown(&bob.received("newMessage"))), (1..=700).collect::<Vec<i32>>());
        flood(app, &pair, 1001..=2500, 0).await;
        eventually("the burst has come", async || {
            bob.received("newMessage").last().is_some_and(|message| numbers(std::slice::from_ref(message)) == [2500])
        })
        .await;
        let live: Vec<i32> = numbers(&bob.received("newMessage")).into_iter().filter(|number| *number > 1000).collect();
        assert_eq!(live, (1001..=2500).collect::<Vec<i32>>());
    })
    .await;
}

/// Its transaction began long before it committed, and no notification told of it.
#[tokio::test]
async fn what_a_slow_transaction_wrote_is_found() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let bob = pair.bob.chat(&server).await;
        bob.settle().await;
        let mut slow = app.pool.begin().await.unwrap();
        // As if it had begun a minute ago.
        write_silently(&mut slow, &pair, "lent", "1 minute").await;
        write_silently(&mut app.pool.acquire().await.unwrap(), &pair, "vite", "0").await;
        // By now the server has looked at what was committed.
        assert_eq!(contents(&bob.wait_for("newMessage", 1).await), ["vite"]);
        slow.commit().await.unwrap();
        assert_eq!(contents(&bob.wait_for("newMessage", 2).await), ["vite", "lent"]);
    })
    .await;
}

/// A message with its event, and nobody is notified.
async fn write_silently(connection: &mut sqlx::PgConnection, pair: &super::Pair, content: &str, age: &str) {
    sqlx::query(
        r#"WITH message AS (
               INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content")
               VALUES ($1::uuid, $2, $3, $4) RETURNING "id")
           INSERT INTO chat_event (kind, conversation_id, message_id, recipients, created_at)
           SELECT 'newMessage', $1::uuid, "id", ARRAY[$2, $3]::uuid[], now() - $5::text::interval FROM message"#,
    )
    .bind(uuid::Uuid::parse_str(&pair.conversation).unwrap())
    .bind(pair.alice.user_id.0)
    .bind(pair.bob.user_id.0)
    .bind(content)
    .bind(age)
    .execute(connection)
    .await
    .unwrap();
}
