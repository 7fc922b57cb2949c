//! What the messaging servers deliver: rows written in the transaction of the change they tell of, with a notification
//! that carries only the id. This module knows no socket; it says what happened, to which rows, and whom it concerns.
//!
//! A server that missed notifications re-reads by transaction. Ids and times are given before commits, so a reader looks at
//! all that was written by transactions that were open when it last looked, and leaves out what it delivered already.
//!
//! Where Redis carries the ids ([`FanOut::Redis`]), nothing is notified: whoever began the
//! work asks with [`collect`] which events it wrote, and passes them on after the commit.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    ids::{ConversationId, MessageId, UserId},
    messages::Message,
};

/// The channel of `LISTEN`; a notification's payload is the decimal id of one event.
pub const CHANNEL: &str = "freehunt_chat";

/// Who tells the messaging servers of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanOut {
    /// PostgreSQL, when the transaction commits.
    Postgres,
    /// The program itself, through Redis.
    Redis,
}

impl FanOut {
    /// Connections whose transactions announce their events this way.
    pub fn of_connections(self, options: PgConnectOptions) -> PgConnectOptions {
        match self {
            Self::Postgres => options,
            Self::Redis => options.options([("freehunt.fan_out", "redis")]),
        }
    }

    /// What a program that listens calls itself, so that an operator's check sees whether all agree.
    pub fn application_name(self, program: &str) -> String {
        match self {
            Self::Postgres => format!("{program} (postgres)"),
            Self::Redis => format!("{program} (redis)"),
        }
    }
}

tokio::task_local! {
    static WRITTEN: RefCell<Vec<i64>>;
}

/// Does the work, and returns the ids of the events it wrote on its own task; those of a transaction that was rolled
/// back are among them, and mean nothing.
pub async fn collect<T>(work: impl Future<Output = T>) -> (T, Vec<i64>) {
    WRITTEN
        .scope(RefCell::default(), async {
            let done = work.await;
            (done, WRITTEN.with(RefCell::take))
        })
        .await
}

/// Tells every server that listens to PostgreSQL of events that are committed.
pub async fn notify(connection: &mut PgConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_notify($1, id::text) FROM unnest($2::bigint[]) AS id", CHANNEL, ids)
        .fetch_all(connection)
        .await?;
    Ok(())
}

/// What happened; the name is the event's name on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatEventKind {
    /// A message was sent; its payload is [`Message`].
    NewMessage,
    /// A message was edited; its payload is [`Message`].
    UpdateMessage,
    /// A message is gone; the row's `payload` holds the [`Message`] that it was.
    DeleteMessage,
    /// A conversation was made; its payload is [`crate::conversations::Conversation`].
    NewConversation,
    /// A conversation can be written in; its payload is [`crate::conversations::ConversationReady`].
    ConversationReady,
}

impl ChatEventKind {
    pub const ALL: [Self; 5] =
        [Self::NewMessage, Self::UpdateMessage, Self::DeleteMessage, Self::NewConversation, Self::ConversationReady];

    pub fn name(self) -> &'static str {
        match self {
            Self::NewMessage => "newMessage",
            Self::UpdateMessage => "updateMessage",
            Self::DeleteMessage => "deleteMessage",
            Self::NewConversation => "newConversation",
            Self::ConversationReady => "conversationReady",
        }
    }
}

/// Names a kind as the rows do; `None` for one that only a newer version knows.
pub fn kind_named(name: &str) -> Option<ChatEventKind> {
    ChatEventKind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// Writes the event and its notification in the caller's transaction; nothing is delivered before the commit.
pub async fn publish(
    connection: &mut PgConnection,
    kind: ChatEventKind,
    conversation_id: ConversationId,
    message_id: Option<MessageId>,
    recipients: &[UserId],
) -> Result<i64, sqlx::Error> {
    insert_event(connection, kind, conversation_id, message_id, recipients, None).await
}

/// As [`publish`], for a message that is deleted in the same transaction: the event keeps what it was.
pub async fn publish_deletion(
    connection: &mut PgConnection,
    message: &Message,
    recipients: &[UserId],
) -> Result<i64, sqlx::Error> {
    let payload = serde_json::to_value(message).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let kind = ChatEventKind::DeleteMessage;
    insert_event(connection, kind, message.conversation_id, Some(message.id), recipients, Some(payload)).await
}

async fn insert_event(
    connection: &mut PgConnection,
    kind: ChatEventKind,
    conversation_id: ConversationId,
    message_id: Option<MessageId>,
    recipients: &[UserId],
    payload: Option<Value>,
) -> Result<i64, sqlx::Error> {
    // A legacy conversation may be one with oneself.
    let mut recipients: Vec<Uuid> = recipients.iter().map(|user| user.0).collect();
    recipients.sort_unstable();
    recipients.dedup();
    let row = sqlx::query!(
        r#"WITH event AS (
               INSERT INTO chat_event (kind, conversation_id, message_id, recipients, payload)
               VALUES ($1, $2, $3, $4, $5) RETURNING id)
           SELECT id AS "id!", CASE WHEN current_setting('freehunt.fan_out', true) IS DISTINCT FROM 'redis'
                                    THEN pg_notify('freehunt_chat', id::text)::text END AS notified
           FROM event"#,
        kind.name(),
        conversation_id.0,
        message_id.map(|id| id.0),
        &recipients,
        payload,
    )
    .fetch_one(connection)
    .await?;
    remember(row.id);
    Ok(row.id)
}

/// For [`collect`]: a statement on this task wrote the event. Outside of it nobody asks.
pub(crate) fn remember(id: i64) {
    let _collected = WRITTEN.try_with(|written| written.borrow_mut().push(id));
}

/// Forgets the events of transactions that began before `until`; returns how many.
pub async fn delete_events_until(connection: &mut PgConnection, until: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM chat_event WHERE created_at < $1", until).execute(connection).await?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_their_names() {
        for kind in ChatEventKind::ALL {
            assert_eq!(kind_named(kind.name()), Some(kind));
        }
        assert_eq!(kind_named("getMessages"), None);
    }
}
