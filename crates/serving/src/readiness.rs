//! Whether the load balancer may send clients here: apart from being alive.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use freehunt_domain::schema;
use sqlx::PgPool;

/// How long the database may take to answer before this replica counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Turned off for good when a shutdown begins.
#[derive(Debug, Default)]
pub struct Readiness {
    shutting_down: AtomicBool,
    closing: AtomicBool,
    schema_is_current: AtomicBool,
}

impl Readiness {
    /// From now on not ready, although everything is still served.
    pub fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// From now on nothing that lasts is begun, so that clients go elsewhere.
    pub fn begin_closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Whether the database was reached with a current schema once; a shutdown does not change that.
    pub fn has_been_ready(&self) -> bool {
        self.schema_is_current.load(Ordering::Relaxed)
    }

    /// Asks the database for its schema until that was current once, and from then on only whether it answers.
    pub async fn is_ready(&self, pool: &PgPool) -> bool {
        if self.shutting_down.load(Ordering::Relaxed) {
            return false;
        }
        tokio::time::timeout(PATIENCE, self.check(pool)).await.is_ok_and(|answer| answer.unwrap_or(false))
    }

    async fn check(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let mut connection = pool.acquire().await?;
        if self.schema_is_current.load(Ordering::Relaxed) {
            sqlx::query("SELECT 1").execute(&mut *connection).await?;
            return Ok(true);
        }
        let current = schema::is_current(&mut connection).await?;
        self.schema_is_current.store(current, Ordering::Relaxed);
        Ok(current)
    }
}
