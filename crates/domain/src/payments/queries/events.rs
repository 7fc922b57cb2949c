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

/// What a session's events say that an operator put away.
pub const PUT_AWAY: &str = "put away by an operator";

/// As [`update_outcome_of_session`], of a session that was put away.
pub async fn update_outcome_of_dismissed(
    connection: &mut PgConnection,
    stripe_session_id: &str,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        // The outcome is `PUT_AWAY`, written out for the index of migration 0025.
        "UPDATE stripe_event SET outcome = $2
         WHERE outcome = 'put away by an operator' AND payload #>> '{data,object,id}' = $1",
        stripe_session_id,
        outcome,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How far Stripe's events were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReading {
    /// Every event until then is stored.
    pub read_until: DateTime<Utc>,
    /// The end of the reading that is under way.
    pub reading_until: DateTime<Utc>,
    /// The last event that it has stored; newest first.
    pub last_event: Option<String>,
    /// When its reader last showed itself: changes with each step, and when somebody else goes on with the reading.
    pub begun_at: DateTime<Utc>,
}

/// Begins to read what was told since the last reading, or goes on with one whose replica is gone; `None` when somebody
/// reads now, or read less than `period_seconds` ago.
pub async fn begin_reading(
    connection: &mut PgConnection,
    period_seconds: f64,
) -> Result<Option<EventReading>, sqlx::Error> {
    sqlx::query_as!(
        EventReading,
        r#"UPDATE stripe_event_poll SET begun_at = clock_timestamp(), reading_until = coalesce(reading_until, now())
           WHERE (reading_until IS NOT NULL OR read_until <= now() - make_interval(secs => $1))
             AND (begun_at IS NULL OR begun_at < now() - interval '1 minute')
           RETURNING read_until, reading_until AS "reading_until!", last_event, begun_at AS "begun_at!""#,
        period_seconds,
    )
    .fetch_optional(connection)
    .await
}

/// A page is stored; the next one goes on after `last_event`. `None` when somebody else has gone on with the reading or
/// ended it meanwhile: what they have noted stays.
pub async fn update_reading(
    connection: &mut PgConnection,
    reading: &EventReading,
    last_event: &str,
) -> Result<Option<EventReading>, sqlx::Error> {
    sqlx::query_as!(
        EventReading,
        r#"UPDATE stripe_event_poll SET last_event = $3, begun_at = clock_timestamp()
           WHERE reading_until = $1 AND begun_at = $2
           RETURNING read_until, reading_until AS "reading_until!", last_event, begun_at AS "begun_at!""#,
        reading.reading_until,
        reading.begun_at,
        last_event,
    )
    .fetch_optional(connection)
    .await
}

/// Lets anybody go on with the reading, unless somebody does.
pub async fn release_reading(connection: &mut PgConnection, reading: &EventReading) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE stripe_event_poll SET begun_at = NULL WHERE reading_until = $1 AND begun_at = $2",
        reading.reading_until,
        reading.begun_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Everything until the end of the reading is stored.
pub async fn finish_reading(connection: &mut PgConnection, reading_until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE stripe_event_poll
           SET read_until = $1, reading_until = NULL, last_event = NULL, begun_at = NULL WHERE reading_until = $1"#,
        reading_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Seconds since the moment until which every event is stored.
pub async fn find_reading_age(connection: &mut PgConnection) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(extract(epoch FROM now() - max(read_until)), 0)::float8 AS "age!" FROM stripe_event_poll"#
    )
    .fetch_one(connection)
    .await
}
