//! What the messaging servers deliver: rows written in the transaction of the change they tell of, with a notification
//! that carries only the id. This module knows no socket; it says what happened, to which rows, and whom it concerns.
//!
//! A server that missed notifications re-reads with [`list_since`]. Ids are given before commits, so a reader looks
//! back some seconds and leaves out what it delivered already.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{ConversationId, MessageId, UserId},
    messages::Message,
};

/// The channel of `LISTEN`; a notification's payload is the decimal id of one event.
pub const CHANNEL: &str = "freehunt_chat";

/// What happened; the name is the event's name on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatEventKind {
    /// A message was sent; its payload is [`Message`].
    NewMessage,
    /// A message was edited; its payload is [`Message`].
    UpdateMessage,
    /// A message is gone; [`ChatEvent::payload`] holds the [`Message`] that it was.
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

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A row of `chat_event`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatEvent {
    pub id: i64,
    pub kind: ChatEventKind,
    pub conversation_id: ConversationId,
    pub message_id: Option<MessageId>,
    /// The users whose sockets receive it, each once.
    pub recipients: Vec<UserId>,
    /// Only for events whose row is gone.
    pub payload: Option<Value>,
    pub created_at: DateTime<Utc>,
}

/// The columns, before the kind is known to be one of ours.
struct EventRow {
    id: i64,
    kind: String,
    conversation_id: ConversationId,
    message_id: Option<MessageId>,
    recipients: Vec<Uuid>,
    payload: Option<Value>,
    created_at: DateTime<Utc>,
}

impl EventRow {
    /// `None` for a kind that only a newer version knows.
    fn into_event(self) -> Option<ChatEvent> {
        Some(ChatEvent {
            id: self.id,
            kind: ChatEventKind::from_name(&self.kind)?,
            conversation_id: self.conversation_id,
            message_id: self.message_id,
            recipients: self.recipients.into_iter().map(UserId).collect(),
            payload: self.payload,
            created_at: self.created_at,
        })
    }
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
           SELECT id AS "id!", pg_notify('freehunt_chat', id::text) AS "notified: ()" FROM event"#,
        kind.name(),
        conversation_id.0,
        message_id.map(|id| id.0),
        &recipients,
        payload,
    )
    .fetch_one(connection)
    .await?;
    Ok(row.id)
}

pub async fn find_event(connection: &mut PgConnection, id: i64) -> Result<Option<ChatEvent>, sqlx::Error> {
    let row = sqlx::query_as!(
        EventRow,
        r#"SELECT id, kind, conversation_id AS "conversation_id: ConversationId", message_id AS "message_id: MessageId",
                  recipients, payload, created_at
           FROM chat_event WHERE id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.and_then(EventRow::into_event))
}

/// The events of transactions that began at `since` or later, in the order of their ids, at most `limit`.
pub async fn list_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ChatEvent>, sqlx::Error> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT id, kind, conversation_id AS "conversation_id: ConversationId", message_id AS "message_id: MessageId",
                  recipients, payload, created_at
           FROM chat_event WHERE created_at >= $1 ORDER BY id LIMIT $2"#,
        since,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(EventRow::into_event).collect())
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
            assert_eq!(ChatEventKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(ChatEventKind::from_name("getMessages"), None);
    }
}
