//! Live chat: sockets of the messaging servers, fed by messages that are sent over HTTP.

mod delivery;
mod handshake;
mod javascript;
mod kills;
mod limits;
mod memory;
mod polling;
mod redis;
mod replicas;
mod restart;
mod rooms;
mod sessions;
mod transport;

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp};
use serde_json::{Value, json};

/// Two people and their conversation.
pub struct Pair {
    pub alice: Persona,
    pub bob: Persona,
    pub conversation: String,
}

pub async fn pair(app: &TestApp) -> Pair {
    let (alice, bob) = (app.user("alice", Role::Company).await, app.user("bob", Role::Freelance).await);
    let conversation = conversation(&alice, &bob).await;
    Pair { alice, bob, conversation }
}

async fn conversation(one: &Persona, other: &Persona) -> String {
    let body = json!({ "senderId": one.user_id, "receiverId": other.user_id });
    let found = one.post("/conversations/find-or-create", body).await.expect(201);
    found["id"].as_str().expect("a conversation has an id").to_owned()
}

/// Sends over HTTP, as the frontend does; returns the message.
pub async fn say(sender: &Persona, conversation: &str, content: &str) -> Value {
    let body = json!({
        "conversationId": conversation,
        "senderId": sender.user_id,
        "receiverId": sender.user_id,
        "content": content,
        "documentId": null,
    });
    sender.post("/messages/", body).await.expect(201)
}

/// A message as a program writes it that knows nothing of events, such as the original during a roll-back; its id.
async fn write_without_event(app: &TestApp, pair: &Pair, content: &str) -> uuid::Uuid {
    sqlx::query_scalar(
        r#"INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content")
           VALUES ($1::uuid, $2, $3, $4) RETURNING "id""#,
    )
    .bind(uuid::Uuid::parse_str(&pair.conversation).expect("an id"))
    .bind(pair.alice.user_id.0)
    .bind(pair.bob.user_id.0)
    .bind(content)
    .fetch_one(&app.pool)
    .await
    .expect("the message is new")
}

/// Alice writes these numbers, each in as many characters as `length` at least; both are told.
async fn flood(app: &TestApp, pair: &Pair, numbers: std::ops::RangeInclusive<i32>, length: i32) {
    sqlx::query(
        r#"WITH message AS (
               INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content", "createdAt")
               SELECT $1::uuid, $2, $3, rpad(number::text, greatest($6, length(number::text))),
                      (now() AT TIME ZONE 'UTC') + (number - $5) * interval '1 ms'
               FROM generate_series($4::int, $5::int) AS number RETURNING "id", "content"),
           event AS (
               INSERT INTO chat_event (kind, conversation_id, message_id, recipients)
               SELECT 'newMessage', $1::uuid, "id", ARRAY[$2, $3]::uuid[] FROM message ORDER BY "content"::int
               RETURNING id)
           SELECT count(pg_notify('freehunt_chat', id::text)) FROM event"#,
    )
    .bind(uuid::Uuid::parse_str(&pair.conversation).expect("an id"))
    .bind(pair.alice.user_id.0)
    .bind(pair.bob.user_id.0)
    .bind(numbers.start())
    .bind(numbers.end())
    .bind(length)
    .execute(&app.pool)
    .await
    .expect("the messages are new");
}

/// What [`flood`] wrote.
fn numbers(messages: &[Value]) -> Vec<i32> {
    contents(messages).iter().map(|text| text.trim().parse().expect("a number")).collect()
}

/// Without those that came again, oldest first, as the frontend shows them.
fn shown(messages: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    let mut shown: Vec<Value> =
        messages.iter().filter(|message| seen.insert(message["id"].to_string())).cloned().collect();
    shown.sort_by_key(|message| message["createdAt"].to_string());
    shown
}

fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["content"].as_str().unwrap_or_default()).collect()
}
