//! Removing what has expired, now and then.

use sqlx::PgConnection;

/// Removes dead sessions (with their tickets), unfinished logins and registrations, and refusals that are no longer
/// needed; returns how many rows went. Dead sessions stay a week, so that a browser is known as its account's.
pub async fn sweep_expired(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let sessions = sqlx::query!(
        "DELETE FROM session WHERE expires_at < now() - interval '7 days' OR revoked_at < now() - interval '7 days'"
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
