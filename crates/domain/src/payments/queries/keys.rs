//! Statements on the idempotency keys of intents, the same on `refund_intent` and `transfer_intent`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The database's time, which the times of keys are in.
pub async fn find_now(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await
}

/// The statements for one table, whose intents have this type of id.
macro_rules! key_statements {
    ($table:literal, $id:ty) => {
        /// Notes that the key goes out now.
        pub async fn update_key_sent(connection: &mut sqlx::PgConnection, id: $id) -> Result<(), sqlx::Error> {
            sqlx::query!(
                "UPDATE "
                    + $table
                    + " SET key_used_at = coalesce(key_used_at, now()), key_sent_at = clock_timestamp(),
                     updated_at = now() WHERE id = $1",
                id.0,
            )
            .execute(connection)
            .await?;
            Ok(())
        }

        /// The key does not go out again.
        pub async fn update_key_spent(
            connection: &mut sqlx::PgConnection,
            id: $id,
            number: i32,
        ) -> Result<(), sqlx::Error> {
            sqlx::query!(
                "UPDATE "
                    + $table
                    + " SET key_spent = true, updated_at = now()
                 WHERE id = $1 AND status = 'PENDING' AND key_number = $2",
                id.0,
                number,
            )
            .execute(connection)
            .await?;
            Ok(())
        }

        /// The next attempt uses a new key: the old one is known to have made nothing.
        pub async fn update_next_key(
            connection: &mut sqlx::PgConnection,
            id: $id,
            old_number: i32,
        ) -> Result<(), sqlx::Error> {
            sqlx::query!(
                "UPDATE "
                    + $table
                    + " SET key_number = key_number + 1, key_used_at = NULL, key_sent_at = NULL,
                     key_spent = false, updated_at = now()
                 WHERE id = $1 AND status = 'PENDING' AND key_number = $2",
                id.0,
                old_number,
            )
            .execute(connection)
            .await?;
            Ok(())
        }

        /// Refused for good, with the provider's code.
        pub async fn update_failed(
            connection: &mut sqlx::PgConnection,
            id: $id,
            code: &str,
        ) -> Result<(), sqlx::Error> {
            sqlx::query!(
                "UPDATE " + $table + " SET status = 'FAILED', failure_code = $2, updated_at = now() WHERE id = $1",
                id.0,
                code,
            )
            .execute(connection)
            .await?;
            Ok(())
        }
    };
}

pub(crate) use key_statements;
