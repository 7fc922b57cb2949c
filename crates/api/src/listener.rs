//! Hears PostgreSQL's notifications for what this process keeps in memory, all on one connection. When that connection
//! is lost, or says nothing any more, the memory must not be trusted, and it is out of date once the connection is back.

use std::{
    sync::{
        Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehunt_domain::{
    database::{self, BEAT_CHANNEL},
    ids::{JobPostingId, SessionId, UserId},
    job_postings, sessions, skills, users,
};
use freehunt_serving::heart::{self, Connected, Deaf, Heart, Lost};
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::state::{App, AppState};

const CHANNELS: [&str; 5] = [sessions::CHANNEL, skills::CHANNEL, users::CHANNEL, job_postings::CHANNEL, BEAT_CHANNEL];
const VIA: &str = "postgres";
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Between two attempts to get the connection back.
const PAUSE: Duration = Duration::from_millis(500);

/// One for the process; it stops with it.
pub struct Listening {
    is_started: AtomicBool,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Default for Listening {
    fn default() -> Self {
        let stop = CancellationToken::new();
        Self { is_started: AtomicBool::new(false), _stop_on_drop: stop.clone().drop_guard(), stop }
    }
}

impl Listening {
    /// With the first request that wants something kept, because commands that serve nothing make a state too.
    pub fn ensure(&self, state: &AppState) {
        if !self.is_started.swap(true, Ordering::AcqRel) {
            let name = state.fan_out.application_name("freehunt-api");
            let options = state.config.database.options.clone().application_name(&name);
            tokio::spawn(listen(options, Memory(state.downgrade()), self.stop.clone()));
        }
    }
}

/// What is kept, as long as anybody needs it.
struct Memory(Weak<App>);

impl Memory {
    /// From now on changes are heard of; those of before may have been missed.
    async fn begin_listening(&self) {
        if let Some(app) = self.0.upgrade() {
            app.sessions.begin_listening().await;
            app.skills.begin_listening();
            app.accounts.answers.begin_listening();
            app.public_job_postings.begin_listening();
        }
    }

    /// From now on changes are missed.
    async fn end_listening(&self) {
        if let Some(app) = self.0.upgrade() {
            app.sessions.end_listening().await;
            app.skills.end_listening();
            app.accounts.answers.end_listening();
            app.public_job_postings.end_listening();
        }
    }

    /// `false` when nobody needs it any more.
    async fn hear(&self, channel: &str, payload: &str) -> bool {
        let Some(app) = self.0.upgrade() else { return false };
        let id = payload.parse().ok();
        match channel {
            sessions::CHANNEL => app.sessions.hear(id.map(SessionId)).await,
            users::CHANNEL => app.accounts.answers.hear(id.map(UserId).as_ref()),
            job_postings::CHANNEL => app.public_job_postings.hear(id.map(JobPostingId).as_ref()),
            // Accounts and postings show skills.
            _ => {
                app.skills.forget();
                app.accounts.answers.hear(None);
                app.public_job_postings.hear(None);
            }
        }
        true
    }
}

/// Runs until `stop`.
async fn listen(options: PgConnectOptions, memory: Memory, stop: CancellationToken) {
    Connected::not_yet(VIA);
    loop {
        // One for each attempt: a connection that says nothing any more does not come back to its pool.
        let pool = database::pool(options.clone(), 1, CONNECT_TIME);
        let lost = tokio::select! {
            () = stop.cancelled() => None,
            lost = hear(&pool, &memory) => Some(lost),
        };
        let Some(lost) = lost else {
            let _closed = timeout(CONNECT_TIME, pool.close()).await;
            return;
        };
        memory.end_listening().await;
        if let Err(error) = lost {
            metrics::counter!("freehunt_listener_failures_total", "via" => VIA).increment(1);
            tracing::warn!(%error, "changes of what is kept in memory are not heard of for a moment");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Returns when the connection is lost, or nobody needs it. A fresh listener each time: sqlx's own reconnecting would not
/// say so in time.
async fn hear(pool: &PgPool, memory: &Memory) -> Result<(), Lost> {
    let mut listener = heart::listen_to(pool, CHANNELS).await?;
    memory.begin_listening().await;
    let _connected = Connected::new(VIA);
    let (mut heart, mut beats) = Heart::new(VIA);
    loop {
        tokio::select! {
            notification = listener.try_recv() => {
                let notification = notification?.ok_or(Lost::Closed)?;
                if !heart.is_beat(notification.payload())
                    && !memory.hear(notification.channel(), notification.payload()).await
                {
                    return Ok(());
                }
            }
            _ = beats.tick() => {
                if let Some(beat) = heart.beat()? {
                    // On this very connection, which needs none of a busy pool's.
                    timeout(heart::LONGEST, database::beat(&mut listener, &beat)).await.map_err(|_| Deaf)??;
                }
            }
        }
    }
}
