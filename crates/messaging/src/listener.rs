//! One connection that listens to PostgreSQL for as long as the server runs, whatever happens to it.
//!
//! It never waits for anybody: what its queues cannot hold is left to a scan. A connection that has gone deaf is found
//! by notifying oneself now and then, which also measures how long a notification takes.

use std::time::Duration;

use freehunt_domain::{chat_events, database, ids::SessionId, live_chat, sessions};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification},
};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::{signals, state::MessagingState};

const CHANNELS: [&str; 3] = [chat_events::CHANNEL, sessions::CHANNEL, live_chat::SIGNAL_CHANNEL];
/// How often this replica notifies itself.
const BEAT_INTERVAL: Duration = Duration::from_secs(5);
/// A notification that takes longer never comes.
const LONGEST_BEAT: Duration = Duration::from_secs(10);
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Begins the payload of a beat; signals are a JSON array.
const BEAT: &str = "beat ";
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Runs until it is aborted.
pub async fn run(state: MessagingState) {
    let database = &state.config.database;
    // A pool of its own, so that a busy server cannot keep the listener from reconnecting.
    let pool = database::pool(database.options.clone(), 1, CONNECT_TIME);
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
    let mut beats = tokio::time::interval(BEAT_INTERVAL);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heart = Heart::default();
    loop {
        tokio::select! {
            notification = listener.try_recv() => {
                let notification = notification?.ok_or_else(lost)?;
                if !heart.is_beat(notification.payload()) {
                    pass_on(state, &notification);
                }
            }
            _ = beats.tick() => heart.beat(state)?,
        }
    }
}

/// The notifications this replica sends itself.
#[derive(Default)]
struct Heart {
    /// What was sent and has not come back.
    awaited: Option<(String, Instant)>,
}

impl Heart {
    /// Sends the next beat; an error when the last one is overdue.
    fn beat(&mut self, state: &MessagingState) -> Result<(), sqlx::Error> {
        if let Some((_, sent)) = &self.awaited {
            return if sent.elapsed() > LONGEST_BEAT { Err(lost()) } else { Ok(()) };
        }
        let payload = format!("{BEAT}{}", Uuid::new_v4());
        self.awaited = Some((payload.clone(), Instant::now()));
        let state = state.clone();
        tokio::spawn(async move {
            let sent = async {
                let mut connection = state.pool.acquire().await?;
                live_chat::queries::notify_signals(&mut connection, &payload).await
            };
            if let Err(error) = sent.await {
                tracing::debug!(%error, "the listener could not be tried");
            }
        });
        Ok(())
    }

    /// Whether the payload is a beat, this replica's or another's.
    fn is_beat(&mut self, payload: &str) -> bool {
        if let Some((_, sent)) = self.awaited.take_if(|(awaited, _)| awaited == payload) {
            metrics::gauge!("freehunt_listener_lag_seconds").set(sent.elapsed().as_secs_f64());
        }
        payload.starts_with(BEAT)
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
