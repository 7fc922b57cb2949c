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

/// A moment that tells what is committed before from what is committed after: times and ids do not, since a transaction
/// has them before it commits.
#[derive(Clone, Debug)]
pub struct Horizon {
    /// The oldest transaction that is still open, as PostgreSQL numbers them.
    oldest_open: String,
    /// By the database's clock.
    at: DateTime<Utc>,
}

pub async fn read_horizon(connection: &mut PgConnection) -> Result<Horizon, sqlx::Error> {
    sqlx::query_as!(
        Horizon,
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "oldest_open!", clock_timestamp() AS "at!""#,
    )
    .fetch_one(connection)
    .await
}

/// The ids above `after` of all events that were committed after `horizon` was read, and of some before, in order, at most
/// `limit`.
pub async fn list_event_ids_since(
    connection: &mut PgConnection,
    horizon: &Horizon,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    // Rows that were restored from another server's dump have its transactions' numbers, which mean nothing here.
    let earliest = horizon.at - super::LONGEST_TRANSACTION;
    sqlx::query_scalar!(
        "SELECT id FROM chat_event WHERE written_by >= $1::text::xid8 AND created_at >= $2 AND id > $3
         ORDER BY id LIMIT $4",
        horizon.oldest_open,
        earliest,
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
