//! Statements of the messaging servers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Timestamp,
    ids::{ConversationId, DocumentId, MessageId, SessionId, UserId},
    messages::Message,
};

/// A row of `chat_event`; its kind may be one that only a newer version knows.
pub(super) struct EventRow {
    pub id: i64,
    pub kind: String,
    pub conversation_id: ConversationId,
    pub message_id: Option<MessageId>,
    pub recipients: Vec<Uuid>,
    pub payload: Option<Value>,
    pub created_at: DateTime<Utc>,
}

pub(super) async fn list_events(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<EventRow>, sqlx::Error> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT id, kind, conversation_id AS "conversation_id: ConversationId", message_id AS "message_id: MessageId",
                  recipients, payload, created_at
           FROM chat_event WHERE id = ANY($1) ORDER BY id"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn list_messages(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Message>, sqlx::Error> {
    sqlx::query_as!(
        Message,
        r#"SELECT "id" AS "id: MessageId", "conversationId" AS "conversation_id: ConversationId",
                  "senderId" AS "sender_id: UserId", "receiverId" AS "receiver_id: UserId",
                  "documentId" AS "document_id: DocumentId", "timestamp" AS "timestamp: Timestamp", "content",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Message" WHERE "id" = ANY($1)"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// The database's present time: events are compared with its clock, never with a server's.
pub async fn read_clock(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await
}

/// The ids above `after` of events of transactions that began at `since` or later, in order, at most `limit`.
pub async fn list_event_ids_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM chat_event WHERE created_at >= $1 AND id > $2 ORDER BY id LIMIT $3",
        since,
        after,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Whether a program that writes no events (the original) sent this message within the last `window`.
pub async fn lacks_event(
    connection: &mut PgConnection,
    message: MessageId,
    window: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Message" WHERE "id" = $1
                          AND "createdAt" > (now() AT TIME ZONE 'UTC') - $2::float8 * interval '1 second')
                  AND NOT EXISTS (SELECT FROM chat_event WHERE message_id = $1) AS "lacks!""#,
        message.0,
        window.as_secs_f64(),
    )
    .fetch_one(connection)
    .await
}

/// A session that sockets depend on.
#[derive(Clone, Copy, Debug)]
pub struct LiveSession {
    pub id: SessionId,
    /// Age of Authentik's last confirmation, by the database's clock.
    pub validated_seconds_ago: f64,
    /// Whether a socket's ticket is enough to ask Authentik again.
    pub can_be_confirmed: bool,
}

impl LiveSession {
    /// Age of Authentik's last confirmation.
    pub fn confirmation_age(&self) -> Duration {
        Duration::try_from_secs_f64(self.validated_seconds_ago).unwrap_or_default()
    }
}

/// Those of the sessions that are still live.
pub async fn list_live_sessions(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<LiveSession>, sqlx::Error> {
    sqlx::query_as!(
        LiveSession,
        r#"SELECT id AS "id: SessionId", extract(epoch FROM now() - validated_at)::float8 AS "validated_seconds_ago!",
                  EXISTS (SELECT FROM socket_ticket t WHERE t.session_id = session.id AND t.upstream_secret IS NOT NULL)
                      AS "can_be_confirmed!"
           FROM session WHERE id = ANY($1) AND revoked_at IS NULL AND expires_at > now()"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// Tells every replica that listens; nothing is stored. `payload` must stay below 8000 bytes.
pub async fn notify_signals(connection: &mut PgConnection, payload: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_notify($1, $2)", super::SIGNAL_CHANNEL, payload).execute(connection).await?;
    Ok(())
}
