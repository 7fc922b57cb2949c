//! Statements on `stripe_event`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{ids::JobId, jobs::Job};

/// An event as it came.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    pub id: &'a str,
    pub event_type: &'a str,
    pub created_at: DateTime<Utc>,
    pub live_mode: bool,
    pub payload: &'a Value,
}

/// Stores the event and enqueues its processing; `None` when it was stored before.
///
/// One statement, and so one transaction and one round trip: Stripe waits for it.
pub async fn insert_event(
    connection: &mut PgConnection,
    event: &NewEvent<'_>,
    job: &Job,
) -> Result<Option<JobId>, sqlx::Error> {
    let payload = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query_scalar!(
        r#"WITH stored AS (
               INSERT INTO stripe_event (id, type, created_at, live_mode, payload) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (id) DO NOTHING RETURNING id)
           INSERT INTO job (kind, payload, unique_key) SELECT $6, $7, $8 FROM stored RETURNING id AS "id: JobId""#,
        event.id,
        event.event_type,
        event.created_at,
        event.live_mode,
        event.payload,
        job.kind(),
        payload,
        job.unique_key(),
    )
    .fetch_optional(connection)
    .await
}

/// Makes the given up job of an event due once more, unless the event is processed. Whether there was one.
pub async fn revive_job(connection: &mut PgConnection, event: &str, job: &Job) -> Result<bool, sqlx::Error> {
    let revived = sqlx::query!(
        r#"UPDATE job SET state = 'READY', run_at = now(), leased_until = NULL, finished_at = NULL
           WHERE id = (SELECT j.id FROM job j
                       WHERE j.unique_key = $2 AND j.state = 'DEAD'
                         AND EXISTS (SELECT FROM stripe_event e WHERE e.id = $1 AND e.processed_at IS NULL)
                         AND NOT EXISTS (SELECT FROM job live WHERE live.unique_key = $2 AND live.state = 'READY')
                       ORDER BY j.finished_at DESC LIMIT 1 FOR UPDATE SKIP LOCKED)"#,
        event,
        job.unique_key(),
    )
    .execute(connection)
    .await?;
    Ok(revived.rows_affected() == 1)
}

/// A stored event.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: String,
    pub event_type: String,
    pub payload: Value,
    pub is_processed: bool,
}

pub async fn find_event(connection: &mut PgConnection, id: &str) -> Result<Option<StoredEvent>, sqlx::Error> {
    sqlx::query_as!(
        StoredEvent,
        r#"SELECT id, type AS event_type, payload, processed_at IS NOT NULL AS "is_processed!" FROM stripe_event WHERE id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await
}

pub async fn update_processed(connection: &mut PgConnection, id: &str, outcome: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE stripe_event SET processed_at = now(), outcome = $2 WHERE id = $1 AND processed_at IS NULL",
        id,
        outcome,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Unprocessed events that no job, live or dead, is concerned with.
pub async fn list_stranded_events(connection: &mut PgConnection, limit: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT e.id FROM stripe_event e
           WHERE e.processed_at IS NULL AND e.received_at < now() - interval '15 seconds'
             AND NOT EXISTS (SELECT FROM job j
                             WHERE j.unique_key = 'process_stripe_event:' || e.id AND j.state IN ('READY', 'DEAD'))
           ORDER BY e.received_at LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// What became of the events that told of a session that had been set aside.
pub async fn update_outcome_of_session(
    connection: &mut PgConnection,
    stripe_session_id: &str,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE stripe_event SET outcome = $2
           WHERE outcome LIKE 'quarantined%' AND payload #>> '{data,object,id}' = $1"#,
        stripe_session_id,
        outcome,
    )
    .execute(connection)
    .await?;
    Ok(())
}
