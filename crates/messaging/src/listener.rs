//! One connection that listens to PostgreSQL for as long as the server runs, whatever happens to it.
//!
//! It never waits for anybody: what its queues cannot hold is left to a scan.

use std::time::Duration;

use freehunt_domain::{chat_events, database, ids::SessionId, live_chat, sessions};
use freehunt_fanout::ids_of;
use freehunt_serving::heart::{Connected, Heart, Lost, listen_to};
use sqlx::{PgPool, postgres::PgNotification};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{signals, state::MessagingState};

const CHANNELS: [&str; 3] = [chat_events::CHANNEL, sessions::CHANNEL, live_chat::SIGNAL_CHANNEL];
const VIA: &str = "postgres";
const CONNECT_TIME: Duration = Duration::from_secs(3);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Runs until it is aborted.
pub async fn run(state: MessagingState) {
    let name = state.fan_out.application_name("freehunt-messaging");
    let options = state.config.database.options.clone().application_name(&name);
    let mut pauses = Pauses::default();
    Connected::not_yet(VIA);
    loop {
        let began = Instant::now();
        // A pool of its own, so that a busy server cannot keep the listener from reconnecting; and one for each attempt, since
        // a connection that says nothing any more does not come back to its pool.
        let pool = database::pool(options.clone(), 1, CONNECT_TIME);
        let Err(error) = listen(&state, &pool).await;
        metrics::counter!("freehunt_listener_failures_total", "via" => VIA).increment(1);
        tracing::warn!(%error, "the listener lost its connection");
        tokio::time::sleep(pauses.after(began)).await;
    }
}

/// Between two attempts to get a connection back: longer while they fail.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(SHORTEST_PAUSE)
    }
}

impl Pauses {
    /// After an attempt that began then.
    pub fn after(&mut self, began: Instant) -> Duration {
        self.0 = if began.elapsed() > LONGEST_PAUSE { SHORTEST_PAUSE } else { (self.0 * 2).min(LONGEST_PAUSE) };
        self.0
    }
}

/// Listens until the connection is lost.
async fn listen(state: &MessagingState, pool: &PgPool) -> Result<std::convert::Infallible, Lost> {
    let mut listener = listen_to(pool, CHANNELS).await?;
    let _connected = Connected::new(VIA);
    tracing::info!("listening to the database");
    state.rescan.notify_one();
    let (mut heart, mut beats) = Heart::new(VIA);
    loop {
        tokio::select! {
            notification = listener.try_recv() => {
                let notification = notification?.ok_or(Lost::Closed)?;
                if !heart.is_beat(notification.payload()) {
                    pass_on(state, &notification);
                }
            }
            _ = beats.tick() => {
                if let Some(payload) = heart.beat()? {
                    tokio::spawn(notify_itself(state.clone(), payload));
                }
            }
        }
    }
}

async fn notify_itself(state: MessagingState, payload: String) {
    let sent = async {
        let mut connection = state.pool.acquire().await?;
        live_chat::queries::notify_signals(&mut connection, &payload).await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "the listener could not be tried");
    }
}

fn pass_on(state: &MessagingState, notification: &PgNotification) {
    let payload = notification.payload();
    match notification.channel() {
        chat_events::CHANNEL => hear_events(state, payload),
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

/// Ids of committed events, from wherever they come.
pub fn hear_events(state: &MessagingState, payload: &str) {
    for id in ids_of(payload) {
        if state.heard_events.try_send(id).is_err() {
            state.rescan.notify_one();
        }
    }
}
