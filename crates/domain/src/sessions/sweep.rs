//! Removing what has expired, now and then.

use std::time::Duration;

use sqlx::PgConnection;

/// How long dead sessions stay, so that the browser that had one is known as its account's.
pub const MEMORY_OF_THE_DEAD: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes dead sessions (with their tickets), unfinished logins and registrations, and refusals that are no longer
/// needed; returns how many rows went.
pub async fn sweep_expired(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let sessions = sqlx::query!(
        "DELETE FROM session WHERE least(expires_at, revoked_at) < now() - $1::float8 * interval '1 second'",
        MEMORY_OF_THE_DEAD.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    let logins = sqlx::query!("DELETE FROM oidc_login WHERE expires_at < now()").execute(&mut *connection).await?;
    let registrations =
        sqlx::query!("DELETE FROM pending_registration WHERE expires_at < now()").execute(&mut *connection).await?;
    let refusals =
        sqlx::query!("DELETE FROM revoked_upstream_session WHERE expires_at < now()").execute(connection).await?;
    Ok(sessions.rows_affected() + logins.rows_affected() + registrations.rows_affected() + refusals.rows_affected())
}
