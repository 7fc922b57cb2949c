//! A refresh token is good once, and several servers hold the same one: whoever comes second waits for the first.

use std::time::Duration;

use sqlx::PgPool;

use super::queries;

/// How often, and how long in between, to look whether another server was a moment faster.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Whether another server has renewed the tokens of a live session, or does so within two seconds. `seen` is what lay
/// beside the ticket with this hash when they were read.
pub async fn is_renewed_elsewhere(pool: &PgPool, ticket_hash: &[u8], seen: Option<&[u8]>) -> Result<bool, sqlx::Error> {
    for _ in 0..LOOKS {
        let mut connection = pool.acquire().await?;
        let holder = queries::find_ticket_holder(&mut connection, ticket_hash).await?;
        drop(connection);
        let Some(holder) = holder else { return Ok(false) };
        if holder.upstream_secret.as_deref() != seen {
            return Ok(true);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}
