//! Objects that nobody shows: uploads that were never attached, and what a crash left in the bucket.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::jobs::{self, Job};

/// Younger objects may still be on their way to a document.
pub const MIN_AGE: TimeDelta = TimeDelta::hours(24);

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

/// Which of these objects no row knows. `keys` and `urls` belong together, one by one.
pub async fn find_unknown_objects(
    connection: &mut PgConnection,
    keys: &[String],
    urls: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT o.key AS "key!" FROM unnest($1::text[], $2::text[]) AS o (key, url)
           WHERE NOT EXISTS (SELECT FROM uploaded_object u WHERE u.key = o.key)
             AND NOT EXISTS (SELECT FROM "Document" d WHERE d."url" = o.url)"#,
        keys,
        urls,
    )
    .fetch_all(connection)
    .await
}
