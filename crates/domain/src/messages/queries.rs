//! Statements on "Message" and `message_request`.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Message, MessageContent};
use crate::{
    Timestamp,
    chat_events::{self, ChatEventKind},
    ids::{ConversationId, DocumentId, MessageId, UserId},
};

/// Reads messages with the columns every query of this file has.
macro_rules! select_messages {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Message,
            r#"SELECT m."id" AS "id: MessageId", m."conversationId" AS "conversation_id: ConversationId",
                      m."senderId" AS "sender_id: UserId", m."receiverId" AS "receiver_id: UserId",
                      m."documentId" AS "document_id: DocumentId", m."timestamp" AS "timestamp: Timestamp", m."content",
                      m."createdAt" AS "created_at: Timestamp", m."updatedAt" AS "updated_at: Timestamp"
               FROM "Message" m "# + $rest,
            $($argument),*
        )
    };
}

pub async fn find_message(connection: &mut PgConnection, id: MessageId) -> Result<Option<Message>, sqlx::Error> {
    select_messages!(r#"WHERE m."id" = $1"#, id.0).fetch_optional(connection).await
}

/// Holds the message until the transaction ends.
pub async fn lock_message(connection: &mut PgConnection, id: MessageId) -> Result<Option<Message>, sqlx::Error> {
    select_messages!(r#"WHERE m."id" = $1 FOR UPDATE"#, id.0).fetch_optional(connection).await
}

/// The messages of one conversation, oldest first.
pub async fn list_messages(
    connection: &mut PgConnection,
    conversation: ConversationId,
) -> Result<Vec<Message>, sqlx::Error> {
    // One id rather than a list of one: for lists of unknown length PostgreSQL plans anew each time.
    select_messages!(r#"WHERE m."conversationId" = $1 ORDER BY m."createdAt", m."id""#, conversation.0)
        .fetch_all(connection)
        .await
}

/// The messages of several conversations at once, oldest first.
pub async fn list_messages_of_conversations(
    connection: &mut PgConnection,
    conversations: &[Uuid],
) -> Result<Vec<Message>, sqlx::Error> {
    select_messages!(r#"WHERE m."conversationId" = ANY($1) ORDER BY m."createdAt", m."id""#, conversations)
        .fetch_all(connection)
        .await
}

/// At most `limit` messages of all conversations of `user`, oldest first: those after the one of this time and id, up to
/// `until`.
pub(super) async fn list_messages_of_user_after(
    connection: &mut PgConnection,
    user: UserId,
    (time, id): (NaiveDateTime, MessageId),
    until: NaiveDateTime,
    limit: i64,
) -> Result<Vec<Message>, sqlx::Error> {
    select_messages!(
        r#"JOIN "Conversation" c ON c."id" = m."conversationId"
           WHERE (c."senderId" = $1 OR c."receiverId" = $1)
             AND m."createdAt" BETWEEN $2 AND $4 AND (m."createdAt", m."id") > ($2, $3)
           ORDER BY m."createdAt", m."id" LIMIT $5"#,
        user.0,
        time,
        id.0,
        until,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// The columns of a message to write.
#[derive(Clone, Copy, Debug)]
pub struct MessageRow<'a> {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_id: UserId,
    pub receiver_id: UserId,
    pub document_id: Option<DocumentId>,
    pub content: &'a str,
}

/// Inserts the message, and the event that publishes it to both participants: one statement, which needs no transaction
/// of its own.
pub async fn insert_published(connection: &mut PgConnection, message: MessageRow<'_>) -> Result<Message, sqlx::Error> {
    let row = sqlx::query!(
        r#"WITH message AS (
               INSERT INTO "Message" ("id", "conversationId", "senderId", "receiverId", "documentId", "content")
               VALUES ($1, $2, $3, $4, $5, $6)
               RETURNING "id", "conversationId", "senderId", "receiverId", "documentId", "timestamp", "content",
                         "createdAt", "updatedAt"),
           event AS (
               INSERT INTO chat_event (kind, conversation_id, message_id, recipients)
               -- A legacy conversation may be one with oneself.
               SELECT $7, "conversationId", "id", ARRAY(SELECT DISTINCT unnest(ARRAY["senderId", "receiverId"])) FROM message
               RETURNING id)
           SELECT m."id" AS "id: MessageId", m."conversationId" AS "conversation_id: ConversationId",
                  m."senderId" AS "sender_id: UserId", m."receiverId" AS "receiver_id: UserId",
                  m."documentId" AS "document_id: DocumentId", m."timestamp" AS "timestamp: Timestamp", m."content",
                  m."createdAt" AS "created_at: Timestamp", m."updatedAt" AS "updated_at: Timestamp",
                  event.id AS event_id,
                  CASE WHEN current_setting('freehunt.fan_out', true) IS DISTINCT FROM 'redis'
                       THEN pg_notify('freehunt_chat', event.id::text)::text END AS notified
           FROM message m, event"#,
        message.id.0,
        message.conversation_id.0,
        message.sender_id.0,
        message.receiver_id.0,
        message.document_id.map(|id| id.0),
        message.content,
        ChatEventKind::NewMessage.name(),
    )
    .fetch_one(connection)
    .await?;
    chat_events::remember(row.event_id);
    Ok(Message {
        id: row.id,
        conversation_id: row.conversation_id,
        sender_id: row.sender_id,
        receiver_id: row.receiver_id,
        document_id: row.document_id,
        timestamp: row.timestamp,
        content: row.content,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// Changes the content, and the document when one is given.
pub async fn update_message(
    connection: &mut PgConnection,
    id: MessageId,
    content: &MessageContent,
    document_id: Option<DocumentId>,
) -> Result<Message, sqlx::Error> {
    sqlx::query_as!(
        Message,
        r#"UPDATE "Message" SET "content" = $2, "documentId" = coalesce($3, "documentId"),
                  "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1
           RETURNING "id" AS "id: MessageId", "conversationId" AS "conversation_id: ConversationId",
                     "senderId" AS "sender_id: UserId", "receiverId" AS "receiver_id: UserId",
                     "documentId" AS "document_id: DocumentId", "timestamp" AS "timestamp: Timestamp", "content",
                     "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        id.0,
        content.as_str(),
        document_id.map(|id| id.0),
    )
    .fetch_one(connection)
    .await
}

pub async fn delete_message(connection: &mut PgConnection, id: MessageId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Message" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}

/// Whether the document belongs to the user.
pub async fn owns_document(
    connection: &mut PgConnection,
    user: UserId,
    document: DocumentId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Document" WHERE "id" = $1 AND "userId" = $2) AS "owns!""#,
        document.0,
        user.0,
    )
    .fetch_one(connection)
    .await
}

/// Takes the key for `message` in the caller's transaction. `false` when a request of the last 24 hours has it; waits
/// for one that is under way.
pub async fn claim_key(
    connection: &mut PgConnection,
    sender: UserId,
    conversation: ConversationId,
    key: &str,
    message: MessageId,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query_scalar!(
        r#"INSERT INTO message_request (sender_id, conversation_id, idempotency_key, message_id)
           VALUES ($1, $2, $3, $4)
           ON CONFLICT (sender_id, conversation_id, idempotency_key)
           DO UPDATE SET message_id = excluded.message_id, created_at = now()
           WHERE message_request.created_at < now() - interval '24 hours'
           RETURNING message_id"#,
        sender.0,
        conversation.0,
        key,
        message.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed.is_some())
}

/// The message that an earlier request with the key made.
pub async fn find_message_by_key(
    connection: &mut PgConnection,
    sender: UserId,
    conversation: ConversationId,
    key: &str,
) -> Result<Option<Message>, sqlx::Error> {
    select_messages!(
        r#"JOIN message_request r ON r.message_id = m."id"
           WHERE r.sender_id = $1 AND r.conversation_id = $2 AND r.idempotency_key = $3"#,
        sender.0,
        conversation.0,
        key,
    )
    .fetch_optional(connection)
    .await
}

/// Forgets the keys of requests before `until`; returns how many.
pub async fn delete_requests_until(connection: &mut PgConnection, until: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM message_request WHERE created_at < $1", until).execute(connection).await?;
    Ok(deleted.rows_affected())
}
