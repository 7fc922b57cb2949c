//! The audit trail: who did what, on what, when and from where. Written in the transaction of the act; append-only.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Timestamp, ids::UserId};

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditActor {
    User(UserId),
    Operator,
    Stripe,
    System,
    Anonymous,
}

impl AuditActor {
    fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Operator => "operator",
            Self::Stripe => "stripe",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    fn id(self) -> Option<Uuid> {
        match self {
            Self::User(user_id) => Some(user_id.0),
            _ => None,
        }
    }
}

/// One act. `details` holds ids and amounts, never a secret, an e-mail address or a message's text.
#[derive(Clone, Debug)]
pub struct AuditRecord<'a> {
    pub actor: AuditActor,
    /// The subject's table, e.g. `JobPosting`.
    pub table: &'a str,
    /// What was done, e.g. `cancel`, `accept`, `log_in`.
    pub action: &'a str,
    pub subject_id: Option<String>,
    /// The client's address, when a request caused it.
    pub client_address: Option<String>,
    pub details: Option<Value>,
}

pub async fn record(connection: &mut PgConnection, record: &AuditRecord<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO "Log" ("tableName", "action", actor_kind, actor_id, subject_id, client_address, details)
           VALUES ($1, $2, $3, $4, $5, $6, $7)"#,
        record.table,
        record.action,
        record.actor.kind(),
        record.actor.id(),
        record.subject_id,
        record.client_address,
        record.details,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// One line of the trail as the operator reads it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AuditLine {
    pub at: Timestamp,
    pub actor_kind: Option<String>,
    pub actor_id: Option<Uuid>,
    pub action: String,
    pub table_name: String,
    pub subject_id: Option<String>,
    pub client_address: Option<String>,
    pub details: Option<Value>,
}

/// The newest `limit` lines, newest first, of one actor or subject when given.
pub async fn list(
    connection: &mut PgConnection,
    actor: Option<Uuid>,
    subject: Option<&str>,
    limit: i64,
) -> Result<Vec<AuditLine>, sqlx::Error> {
    sqlx::query_as!(
        AuditLine,
        r#"SELECT "timestamp" AS "at: Timestamp", actor_kind, actor_id, "action", "tableName" AS table_name,
                  subject_id, client_address, details
           FROM "Log"
           WHERE ($1::uuid IS NULL OR actor_id = $1) AND ($2::text IS NULL OR subject_id = $2)
           ORDER BY "timestamp" DESC, id LIMIT $3"#,
        actor,
        subject,
        limit,
    )
    .fetch_all(connection)
    .await
}
