//! What an operator asks about jobs: which are waiting or dead, why, and to run one again.

use chrono::{DateTime, Utc};
use freehunt_domain::{
    audit::{self, AuditActor, AuditRecord},
    ids::JobId,
};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

/// A job as the operator sees it. The payload holds ids only.
#[derive(Clone, Debug, Serialize)]
pub struct JobLine {
    pub id: JobId,
    pub kind: String,
    pub state: String,
    pub payload: Value,
    pub attempts: i32,
    pub run_at: DateTime<Utc>,
    pub leased_until: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
}

macro_rules! job_lines {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            JobLine,
            r#"SELECT id AS "id: JobId", kind, state, payload, attempts, run_at, leased_until, last_error, created_at
               FROM job "# + $tail
            $(, $argument)*
        )
    };
}

/// Jobs that wait or are dead, the dead first, then the oldest first.
pub async fn list(connection: &mut PgConnection, limit: i64) -> Result<Vec<JobLine>, sqlx::Error> {
    job_lines!("WHERE state IN ('READY', 'DEAD') ORDER BY state, created_at LIMIT $1", limit)
        .fetch_all(connection)
        .await
}

/// Makes a waiting or dead job due now. `false` when there is none to retry.
pub async fn retry(pool: &PgPool, id: JobId, operator: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let updated = sqlx::query!(
        r#"UPDATE job SET state = 'READY', run_at = now(), attempts = attempts + 1, leased_until = NULL, finished_at = NULL
           WHERE id = $1 AND (state = 'DEAD' OR state = 'READY' AND (leased_until IS NULL OR leased_until < now()))
             AND NOT EXISTS (SELECT FROM job live
                             WHERE live.unique_key = job.unique_key AND live.state = 'READY' AND live.id <> job.id)"#,
        id.0,
    )
    .execute(&mut *transaction)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    let record = AuditRecord {
        actor: AuditActor::Operator,
        table: "job",
        action: "retry_job",
        subject_id: Some(id.to_string()),
        client_address: None,
        details: Some(json!({ "operator": operator })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}

/// A job and the rows it is about.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub job: JobLine,
    /// In words: what the job does and why it is not done.
    pub summary: String,
    /// The row of the ledger the job works on.
    pub subject: Option<Value>,
}

/// Why a job is where it is; `None` when there is no such job.
pub async fn explain(connection: &mut PgConnection, id: JobId) -> Result<Option<Explanation>, sqlx::Error> {
    let Some(job) = job_lines!("WHERE id = $1", id.0).fetch_optional(&mut *connection).await? else { return Ok(None) };
    let subject = subject_of(connection, &job).await?;
    Ok(Some(Explanation { summary: summary(&job), subject, job }))
}

async fn subject_of(connection: &mut PgConnection, job: &JobLine) -> Result<Option<Value>, sqlx::Error> {
    let id =
        |name: &str| job.payload.get(name).and_then(Value::as_str).and_then(|text| text.parse::<uuid::Uuid>().ok());
    if let Some(id) = id("payment_session_id") {
        return sqlx::query_scalar!(
            r#"SELECT to_jsonb(s) - 'customer_email' AS "row!" FROM payment_session s WHERE id = $1"#,
            id
        )
        .fetch_optional(connection)
        .await;
    }
    if let Some(id) = id("transfer_intent_id") {
        return sqlx::query_scalar!(r#"SELECT to_jsonb(t) AS "row!" FROM transfer_intent t WHERE id = $1"#, id)
            .fetch_optional(connection)
            .await;
    }
    if let Some(id) = id("refund_intent_id") {
        return sqlx::query_scalar!(r#"SELECT to_jsonb(r) AS "row!" FROM refund_intent r WHERE id = $1"#, id)
            .fetch_optional(connection)
            .await;
    }
    let Some(event) = job.payload.get("event_id").and_then(Value::as_str) else { return Ok(None) };
    sqlx::query_scalar!(r#"SELECT to_jsonb(e) - 'payload' AS "row!" FROM stripe_event e WHERE id = $1"#, event)
        .fetch_optional(connection)
        .await
}

fn summary(job: &JobLine) -> String {
    let does = match job.kind.as_str() {
        "create_checkout" => "makes the payment page of a posting",
        "expire_checkout" => "ends a payment page that nobody wants any more",
        "reconcile_checkout" => "asks Stripe about a payment page that no webhook has spoken of",
        "send_transfer" => "pays a freelance for an approved checkpoint",
        "send_refund" => "gives a payment back",
        "enter_refunds" => "enters what was given back of a payment while it was recorded",
        "process_stripe_event" => "applies what Stripe told",
        "delete_object" => "removes an avatar that nobody shows",
        _ => "is of a kind this version does not know",
    };
    let why = job.last_error.as_deref().unwrap_or("it has not been tried yet");
    match job.state.as_str() {
        "DONE" => format!("This job {does}. It is done."),
        "DEAD" => format!("This job {does}. It was given up after {} attempts: {why}", job.attempts),
        _ => format!("This job {does}. Attempts: {}, next at {}. {why}", job.attempts, job.run_at),
    }
}
