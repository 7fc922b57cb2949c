//! One connection that listens to PostgreSQL for as long as the server runs, whatever happens to it.
//!
//! It never waits for anybody: what its queues cannot hold is left to a scan. Half-open connections are found by asking
//! the database something now and then.

use std::time::Duration;

use freehunt_domain::{chat_events, database, ids::SessionId, live_chat, sessions};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification},
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{signals, state::MessagingState};

const CHANNELS: [&str; 3] = [chat_events::CHANNEL, sessions::CHANNEL, live_chat::SIGNAL_CHANNEL];
/// Silence after which the connection is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(3);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Runs until it is aborted.
pub async fn run(state: MessagingState) {
    let database = &state.config.database;
    // A pool of its own, so that a busy server cannot keep the listener from reconnecting.
    let pool = database::pool(database.options.clone(), 1, ANSWER_TIME);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let began = Instant::now();
        let error = match listen(&state, &pool).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        metrics::counter!("freehunt_listener_failures_total").increment(1);
        tracing::warn!(%error, "the listener lost its connection");
        pause = if began.elapsed() > LONGEST_PAUSE { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Listens until the connection is lost.
async fn listen(state: &MessagingState, pool: &PgPool) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    // A lost connection is noticed here, and replaced by the caller.
    listener.eager_reconnect(false);
    listener.listen_all(CHANNELS).await?;
    metrics::gauge!("freehunt_listener_connected").set(1.0);
    tracing::info!("listening to the database");
    state.rescan.notify_one();
    let result = hear(state, &mut listener).await;
    metrics::gauge!("freehunt_listener_connected").set(0.0);
    result
}

async fn hear(state: &MessagingState, listener: &mut PgListener) -> Result<std::convert::Infallible, sqlx::Error> {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(notification) => pass_on(state, &notification?.ok_or_else(lost)?),
            Err(_silence) => {
                let asked = Instant::now();
                timeout(ANSWER_TIME, sqlx::query("SELECT 1").execute(&mut *listener)).await.map_err(|_| lost())??;
                metrics::gauge!("freehunt_listener_lag_seconds").set(asked.elapsed().as_secs_f64());
            }
        }
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())
}

fn pass_on(state: &MessagingState, notification: &PgNotification) {
    let payload = notification.payload();
    match notification.channel() {
        chat_events::CHANNEL => {
            let heard = payload.parse().is_ok_and(|id| state.heard_events.try_send(id).is_ok());
            if !heard {
                state.rescan.notify_one();
            }
        }
        sessions::CHANNEL => {
            // A session that does not fit is found by the regular look at all of them.
            if let Ok(id) = payload.parse::<Uuid>() {
                let _heard = state.heard_sessions.try_send(SessionId(id));
            }
        }
        live_chat::SIGNAL_CHANNEL => signals::deliver(state, payload),
        _ => {}
    }
}
