//! Two replicas that hear of messages through Redis, with PostgreSQL behind it. Skipped, with a reason, where Redis is
//! not installed.

use freehunt_api::commands::check;
use freehunt_domain::{chat_events, users::Role};
use freehunt_tests::{ChatServer, RedisServer, TestApp, TestOptions, eventually};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use super::{contents, pair, say, shown};

/// Both replicas are subscribed, says the operator's check.
async fn two_replicas(app: &TestApp) -> (ChatServer, ChatServer) {
    let servers = (app.chat_server().await, app.chat_server().await);
    subscribed(app, 2).await;
    servers
}

async fn subscribed(app: &TestApp, replicas: usize) {
    let expected = format!("by Redis, {replicas} subscribed");
    eventually("the replicas are subscribed", async || {
        check::fan_out(&app.state).await.is_ok_and(|detail| detail == expected)
    })
    .await;
}

fn with_redis(redis: &RedisServer) -> TestOptions {
    TestOptions::default().with("REDIS_URL", redis.url())
}

#[tokio::test]
async fn redis_carries_messages_and_signs_of_typing_between_replicas() {
    let Some(redis) = RedisServer::start().await else { return };
    TestApp::run_with(with_redis(&redis), async |app| {
        let (first, second) = two_replicas(app).await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&first).await, pair.bob.chat(&second).await);
        alice.settle().await;
        bob.settle().await;
        let mut notifications = PgListener::connect_with(&app.pool).await.unwrap();
        notifications.listen(chat_events::CHANNEL).await.unwrap();
        let sent = say(&pair.alice, &pair.conversation, "Bonjour").await;
        for socket in [&alice, &bob] {
            assert_eq!(socket.wait_for("newMessage", 1).await, std::slice::from_ref(&sent));
        }
        let typing = json!({ "conversationId": pair.conversation, "isTyping": true });
        assert_eq!(alice.ask("typing", typing).await["ok"], true);
        bob.wait_for("userTyping", 1).await;
        // The next notification is the test's own: PostgreSQL was not told of the message.
        sqlx::query("SELECT pg_notify('freehunt_chat', 'mine')").execute(&app.pool).await.unwrap();
        assert_eq!(notifications.recv().await.unwrap().payload(), "mine");
        // Edits and deletions too.
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        pair.alice.put(&path, json!({ "content": "Bonsoir" })).await.expect(200);
        pair.alice.delete(&path).await.expect(200);
        bob.wait_for("updateMessage", 1).await;
        bob.wait_for("deleteMessage", 1).await;
        bob.settle().await;
        assert_eq!(contents(&bob.received("newMessage")), ["Bonjour"]);
    })
    .await;
}

/// Fault case 132, for Redis: killed in the middle, away for a while, and back with nothing in it.
#[tokio::test]
async fn a_redis_that_comes_and_goes_loses_nothing() {
    let Some(redis) = RedisServer::start().await else { return };
    TestApp::run_with(with_redis(&redis), async |app| {
        let (first, second) = two_replicas(app).await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&first).await, pair.bob.chat(&second).await);
        alice.settle().await;
        bob.settle().await;
        let mut sent = Vec::new();
        for number in 0..60 {
            match number {
                10 | 50 => redis.drop_subscribers().await,
                20 => redis.kill(),
                30 => {
                    // What PostgreSQL carries meanwhile is as quick, and signs of typing arrive too.
                    bob.wait_for("newMessage", 30).await;
                    let typing = json!({ "conversationId": pair.conversation, "isTyping": true });
                    assert_eq!(alice.ask("typing", typing).await["ok"], true);
                    bob.wait_for("userTyping", 1).await;
                }
                40 => {
                    redis.restart().await;
                    subscribed(app, 2).await;
                }
                _ => {}
            }
            sent.push(say(&pair.alice, &pair.conversation, &number.to_string()).await["id"].clone());
        }
        for socket in [&alice, &bob] {
            let received = shown(&socket.wait_for("newMessage", sent.len()).await);
            let ids: Vec<Value> = received.iter().map(|message| message["id"].clone()).collect();
            assert_eq!(ids, sent);
        }
    })
    .await;
}

/// A message of a program that writes no events is hinted at, and reaches both replicas.
#[tokio::test]
async fn a_hint_goes_through_redis_too() {
    let Some(redis) = RedisServer::start().await else { return };
    TestApp::run_with(with_redis(&redis), async |app| {
        let (first, second) = two_replicas(app).await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&first).await, pair.bob.chat(&second).await);
        bob.settle().await;
        let id = super::write_without_event(app, &pair, "autrement").await;
        assert_eq!(alice.ask("newMessage", json!({ "message": { "id": id } })).await["ok"], true);
        assert_eq!(contents(&bob.wait_for("newMessage", 1).await), ["autrement"]);
    })
    .await;
}

/// The operator's check finds a replica that does not use Redis, and one that uses another.
#[tokio::test]
async fn replicas_that_do_not_agree_are_noticed() {
    let (Some(redis), Some(other)) = (RedisServer::start().await, RedisServer::start().await) else { return };
    TestApp::run_with(with_redis(&redis), async |app| {
        let _alike = two_replicas(app).await;
        let strange = app.chat_server_with(&[("REDIS_URL", &other.url())]).await;
        let complaint = async |expected: &str| {
            let expected = expected.to_owned();
            eventually(&format!("the check says {expected}"), async || {
                check::fan_out(&app.state).await.is_err_and(|error| format!("{error:#}").contains(&expected))
            })
            .await;
        };
        complaint("3 messaging replicas run, and 2 are subscribed").await;
        strange.stop();
        subscribed(app, 2).await;
        let without = app.chat_server_with(&[("REDIS_URL", "")]).await;
        complaint("freehunt-messaging (postgres)").await;
        // It is not told by PostgreSQL, and still misses nothing.
        let pair = pair(app).await;
        let bob = pair.bob.chat(&without).await;
        bob.settle().await;
        say(&pair.alice, &pair.conversation, "quand même").await;
        assert_eq!(contents(&bob.wait_for("newMessage", 1).await), ["quand même"]);
    })
    .await;
}

/// Where nobody at all is subscribed, PostgreSQL is told at once.
#[tokio::test]
async fn a_redis_without_subscribers_is_not_relied_on() {
    let Some(redis) = RedisServer::start().await else { return };
    TestApp::run_with(with_redis(&redis), async |app| {
        let without = app.chat_server_with(&[("REDIS_URL", "")]).await;
        let pair = pair(app).await;
        let bob = pair.bob.chat(&without).await;
        bob.settle().await;
        let mut notifications = PgListener::connect_with(&app.pool).await.unwrap();
        notifications.listen(chat_events::CHANNEL).await.unwrap();
        say(&pair.alice, &pair.conversation, "Bonjour").await;
        bob.wait_for("newMessage", 1).await;
        notifications.recv().await.unwrap();
        let carol = app.user("carol", Role::Company).await.chat(&without).await;
        carol.settle().await;
        assert!(carol.received_all().is_empty());
    })
    .await;
}
