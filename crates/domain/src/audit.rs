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

/// Which lines an operator wants; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter<'a> {
    /// Who did it.
    pub actor: Option<Uuid>,
    /// The row it was done on.
    pub subject: Option<&'a str>,
    /// What was done, e.g. `log_in_refused`.
    pub action: Option<&'a str>,
    /// From where.
    pub client_address: Option<&'a str>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// The newest `limit` lines that fit, newest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: &AuditFilter<'_>,
    limit: i64,
) -> Result<Vec<AuditLine>, sqlx::Error> {
    sqlx::query_as!(
        AuditLine,
        r#"SELECT "timestamp" AS "at: Timestamp", actor_kind, actor_id, "action", "tableName" AS table_name,
                  subject_id, client_address, details
           FROM "Log"
           WHERE ($1::uuid IS NULL OR actor_id = $1) AND ($2::text IS NULL OR subject_id = $2)
             AND ($3::text IS NULL OR "action" = $3) AND ($4::text IS NULL OR client_address = $4)
             AND ($5::timestamp IS NULL OR "timestamp" >= $5) AND ($6::timestamp IS NULL OR "timestamp" < $6)
           ORDER BY "timestamp" DESC, id LIMIT $7"#,
        filter.actor,
        filter.subject,
        filter.action,
        filter.client_address,
        filter.since as Option<Timestamp>,
        filter.until as Option<Timestamp>,
        limit,
    )
    .fetch_all(connection)
    .await
}
