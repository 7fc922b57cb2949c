//! The connection pool.

use std::time::Duration;

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A connection that was used this lately is not asked whether it still lives: the pool does so when it is given back.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Makes a pool that connects on first use, so that a database that is away at the start is not fatal by itself.
///
/// `acquire_timeout` bounds how long a request waits for a connection; then it is answered with 503.
pub fn pool(options: PgConnectOptions, max_connections: u32, acquire_timeout: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for >= TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3600))
        .connect_lazy_with(options)
}
