//! Objects that nobody shows: uploads that were never attached, and what a crash left in the bucket.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::jobs::{self, Job};

/// Younger objects may still be on their way to a document.
pub const MIN_AGE: TimeDelta = TimeDelta::hours(24);

/// How long an object has to be unknown before it is removed. An empty or restored database knows no avatar at first, and
/// in this time somebody notices.
pub const MIN_UNKNOWN: TimeDelta = TimeDelta::days(7);

/// After so long without a look at the bucket, the time of an unknown object begins anew: an old sighting in a database
/// that is taken up again says nothing of today.
const MAX_BREAK: TimeDelta = TimeDelta::days(1);

/// Rows forgotten in one transaction.
const BATCH: i64 = 500;

/// Forgets uploads that no document shows since a day and orders the removal of their objects; how many there were.
pub async fn forget_loose_objects(pool: &PgPool, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let mut forgotten = 0;
    loop {
        let mut transaction = pool.begin().await?;
        let keys = delete_loose_objects(&mut transaction, now - MIN_AGE).await?;
        for key in &keys {
            jobs::enqueue(&mut transaction, &Job::DeleteObject { key: key.clone() }).await?;
        }
        transaction.commit().await?;
        forgotten += keys.len();
        if keys.is_empty() {
            return Ok(forgotten);
        }
    }
}

/// The ages in both conditions are read from the row itself: an upload that is being attached at this moment has a
/// fresh `attached_at` when its lock is released, and stays.
async fn delete_loose_objects(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"DELETE FROM uploaded_object
           WHERE (attached_at IS NULL OR attached_at < $1) AND key IN (
               SELECT key FROM uploaded_object o
               WHERE (o.attached_at IS NULL AND o.created_at < $1)
                  OR (o.attached_at < $1 AND NOT EXISTS (SELECT FROM "Document" d WHERE d."url" = o.url))
               ORDER BY key LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING key"#,
        before,
        BATCH,
    )
    .fetch_all(connection)
    .await
}

/// Notes which of these objects no row knows at `now`, and tells those that have been unknown for [`MIN_UNKNOWN`]. `keys`
/// and `urls` belong together, one by one.
pub async fn note_unknown_objects(
    connection: &mut PgConnection,
    keys: &[String],
    urls: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    let seen = sqlx::query!(
        // In the order of the keys, so that two replicas wait for each other and never in a circle.
        r#"INSERT INTO orphan_sighting AS s (key, first_seen_at, last_seen_at)
           SELECT o.key, $3, $3 FROM unnest($1::text[], $2::text[]) AS o (key, url)
           WHERE NOT EXISTS (SELECT FROM uploaded_object u WHERE u.key = o.key)
             AND NOT EXISTS (SELECT FROM "Document" d WHERE d."url" = o.url)
           ORDER BY o.key
           ON CONFLICT (key) DO UPDATE SET
               first_seen_at = CASE WHEN s.last_seen_at < $4 THEN $3 ELSE s.first_seen_at END,
               last_seen_at = GREATEST(s.last_seen_at, $3)
           RETURNING key, first_seen_at"#,
        keys,
        urls,
        now,
        now - MAX_BREAK,
    )
    .fetch_all(connection)
    .await?;
    let long_ago = now - MIN_UNKNOWN;
    Ok(seen.into_iter().filter(|object| object.first_seen_at <= long_ago).map(|object| object.key).collect())
}

/// Forgets the sightings of objects that a search of the whole bucket begun at `now` did not find unknown: they are known
/// again, or gone.
pub async fn forget_sightings(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    loop {
        let forgotten = sqlx::query!(
            "DELETE FROM orphan_sighting WHERE last_seen_at < $1 AND key IN (
                 SELECT key FROM orphan_sighting WHERE last_seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
            BATCH,
        )
        .execute(pool)
        .await?;
        if forgotten.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// How many objects are unknown at `now` and wait for their removal.
pub async fn count_sightings(pool: &PgPool, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    let long_ago = now - MIN_UNKNOWN;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM orphan_sighting WHERE first_seen_at > $1"#, long_ago)
        .fetch_one(pool)
        .await
}
