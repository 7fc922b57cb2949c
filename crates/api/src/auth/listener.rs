//! Hears on PostgreSQL's notifications which sessions have ended, on a connection of its own. When that connection is
//! lost the store stops trusting its entries, and everything is forgotten once it is back.

use std::{sync::Weak, time::Duration};

use freehunt_domain::{ids::SessionId, sessions::CHANNEL};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::store::Shared;

/// Between two attempts to get the connection back.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs until `stop`, or until the store is gone.
pub(super) async fn listen(options: PgConnectOptions, store: Weak<Shared>, stop: CancellationToken) {
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
    while !stop.is_cancelled() && store.strong_count() > 0 {
        tokio::select! {
            () = stop.cancelled() => {}
            lost = hear(&pool, &store) => {
                if let Some(store) = store.upgrade() {
                    store.end_listening().await;
                }
                if let Err(error) = lost {
                    tracing::warn!(%error, "ended sessions are not heard of for a moment");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    pool.close().await;
}

/// Returns when the connection is lost. A fresh listener each time: sqlx's own reconnecting would not say so in time.
async fn hear(pool: &sqlx::PgPool, store: &Weak<Shared>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    if let Some(store) = store.upgrade() {
        store.begin_listening().await;
    }
    while let Some(notification) = listener.try_recv().await? {
        let Some(store) = store.upgrade() else { return Ok(()) };
        store.hear(notification.payload().parse().ok().map(SessionId)).await;
    }
    Ok(())
}
