//! Statements on `job`. Times are the database's own, so that replicas agree on leases.

use std::time::Duration;

use freehunt_domain::ids::JobId;
use serde_json::Value;
use sqlx::PgConnection;

/// How long a claimed job belongs to whoever claimed it, unless renewed. A dead replica's job waits this long, and at
/// most a second more until somebody looks: less than 30 seconds in all.
pub const LEASE: Duration = Duration::from_secs(25);

/// A job that is ours until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    pub id: JobId,
    pub kind: String,
    pub payload: Value,
    /// Counts the claims: whoever lost the lease to another claim changes nothing any more.
    pub attempts: i32,
}

/// Claims the job that has been due for longest.
pub async fn claim_next(connection: &mut PgConnection) -> Result<Option<ClaimedJob>, sqlx::Error> {
    sqlx::query_as!(
        ClaimedJob,
        r#"UPDATE job
           SET leased_until = now() + make_interval(secs => $1), attempts = attempts + 1, attempted_at = now()
           WHERE id = (SELECT id FROM job
                       WHERE state = 'READY' AND run_at <= now() AND (leased_until IS NULL OR leased_until < now())
                       ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: JobId", kind, payload, attempts"#,
        LEASE.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await
}

/// Claims this job when it is due, unless somebody else has it.
pub async fn claim(connection: &mut PgConnection, id: JobId) -> Result<Option<ClaimedJob>, sqlx::Error> {
    sqlx::query_as!(
        ClaimedJob,
        r#"UPDATE job
           SET leased_until = now() + make_interval(secs => $2), attempts = attempts + 1, attempted_at = now()
           WHERE id = (SELECT id FROM job
                       WHERE id = $1 AND state = 'READY' AND run_at <= now() AND (leased_until IS NULL OR leased_until < now())
                       FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: JobId", kind, payload, attempts"#,
        id.0,
        LEASE.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await
}

pub async fn renew(connection: &mut PgConnection, job: &ClaimedJob) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE job SET leased_until = now() + make_interval(secs => $3) WHERE id = $1 AND attempts = $2 AND state = 'READY'",
        job.id.0,
        job.attempts,
        LEASE.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How a job stands for somebody who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Somebody runs it, or it is due in so long; zero when it is due.
    Ready {
        is_leased: bool,
        due_in: Duration,
    },
    Done,
    Dead,
}

/// A job that is gone was done.
pub async fn find_state(connection: &mut PgConnection, id: JobId) -> Result<JobState, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT state, coalesce(leased_until > now(), false) AS "is_leased!",
                  greatest(extract(epoch FROM run_at - now()), 0)::float8 AS "due_in_seconds!"
           FROM job WHERE id = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        Some(row) if row.state == "READY" => {
            JobState::Ready { is_leased: row.is_leased, due_in: Duration::from_secs_f64(row.due_in_seconds) }
        }
        Some(row) if row.state == "DEAD" => JobState::Dead,
        _ => JobState::Done,
    })
}

pub async fn finish(connection: &mut PgConnection, job: &ClaimedJob) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE job SET state = 'DONE', finished_at = now(), leased_until = NULL, last_error = NULL
           WHERE id = $1 AND attempts = $2 AND state = 'READY'"#,
        job.id.0,
        job.attempts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the lease back; the job is due again after `delay`, spread by a quarter to either side.
pub async fn postpone(
    connection: &mut PgConnection,
    job: &ClaimedJob,
    delay: Duration,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE job
           SET run_at = now() + make_interval(secs => $3 * (0.75 + 0.5 * random())), leased_until = NULL, last_error = $4
           WHERE id = $1 AND attempts = $2 AND state = 'READY'"#,
        job.id.0,
        job.attempts,
        delay.as_secs_f64(),
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the job up until an operator retries it.
pub async fn kill(connection: &mut PgConnection, job: &ClaimedJob, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE job SET state = 'DEAD', finished_at = now(), leased_until = NULL, last_error = $3
           WHERE id = $1 AND attempts = $2 AND state = 'READY'"#,
        job.id.0,
        job.attempts,
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What waits and what is stuck: the numbers behind the metrics `freehunt_jobs_ready`, `freehunt_jobs_dead` and
/// `freehunt_intents_stuck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs that are due, under way, or wait for their next attempt.
    pub ready: i64,
    /// Jobs that were given up until an operator retries them.
    pub dead: i64,
    /// Intents that have been pending for more than 15 minutes.
    pub stuck_intents: i64,
}

/// Counts over indexes only; cheap enough for every scrape.
pub async fn count_backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(
        Backlog,
        r#"SELECT (SELECT count(*) FROM job WHERE state = 'READY') AS "ready!",
                  (SELECT count(*) FROM job WHERE state = 'DEAD') AS "dead!",
                  (SELECT count(*) FROM transfer_intent WHERE status = 'PENDING' AND approved_at < now() - interval '15 minutes')
                + (SELECT count(*) FROM refund_intent WHERE status = 'PENDING' AND created_at < now() - interval '15 minutes')
                + (SELECT count(*) FROM payment_session WHERE status = 'CREATING' AND created_at < now() - interval '15 minutes')
                  AS "stuck_intents!""#
    )
    .fetch_one(connection)
    .await
}

/// Forgets jobs that were done a week ago.
pub async fn delete_old_jobs(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM job WHERE state = 'DONE' AND finished_at < now() - interval '7 days'")
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected())
}
