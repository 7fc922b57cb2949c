//! Connections to the database: a pool for transactions and background work, and one for requests' single statements. And
//! the pulse of a connection that listens.

mod connections;

use std::time::Duration;

pub use connections::{Connection, Connections};

use sqlx::{
    Connection as _, PgExecutor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A connection that was used this lately is not asked whether it still lives: the pool does so when it is given back.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// To end a transaction where there may be none is nothing to write a line about.
const NO_WARNINGS: (&str, &str) = ("client_min_messages", "error");
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// How many connections a pool has.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub idle: u32,
    pub in_use: u32,
    pub limit: u32,
}

impl Counts {
    pub fn of(pool: &PgPool) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self { idle, in_use: pool.size().saturating_sub(idle), limit: pool.options().get_max_connections() }
    }
}

/// Where a listener that hears nothing of its own tells itself something, to know that it still hears.
pub const BEAT_CHANNEL: &str = "freehunt_beats";

/// Tells all who listen to [`BEAT_CHANNEL`].
pub async fn beat(executor: impl PgExecutor<'_>, payload: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_notify($1, $2)", BEAT_CHANNEL, payload).execute(executor).await?;
    Ok(())
}

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
        // A request that is cut off while it waits for the answer to BEGIN leaves a transaction that sqlx knows nothing of;
        // the next one to have the connection would write into it and never commit.
        .after_release(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        })
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(MAX_LIFETIME)
        .connect_lazy_with(options.options([NO_WARNINGS]))
}
