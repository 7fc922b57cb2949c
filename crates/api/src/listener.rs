//! Hears PostgreSQL's notifications for what this process keeps in memory, all on one connection. When that connection
//! is lost the memory must not be trusted, and it is out of date once the connection is back.

use std::{
    sync::{
        Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehunt_domain::{ids::SessionId, sessions, skills};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{auth::KnownSessions, skill_cache::KnownSkills, state::AppState};

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
            let memory = Memory { sessions: state.sessions.known(), skills: state.skills.known() };
            let name = state.fan_out.application_name("freehunt-api");
            let options = state.config.database.options.clone().application_name(&name);
            tokio::spawn(listen(options, memory, self.stop.clone()));
        }
    }
}

/// What is kept.
struct Memory {
    sessions: Weak<KnownSessions>,
    skills: Weak<KnownSkills>,
}

impl Memory {
    /// From now on changes are heard of; those of before may have been missed.
    async fn begin_listening(&self) {
        if let (Some(sessions), Some(skills)) = (self.sessions.upgrade(), self.skills.upgrade()) {
            sessions.begin_listening().await;
            skills.begin_listening();
        }
    }

    /// From now on changes are missed.
    async fn end_listening(&self) {
        if let (Some(sessions), Some(skills)) = (self.sessions.upgrade(), self.skills.upgrade()) {
            sessions.end_listening().await;
            skills.end_listening();
        }
    }

    /// `false` when nobody needs it any more.
    async fn hear(&self, channel: &str, payload: &str) -> bool {
        let (Some(sessions), Some(skills)) = (self.sessions.upgrade(), self.skills.upgrade()) else { return false };
        match channel {
            sessions::CHANNEL => sessions.hear(payload.parse().ok().map(SessionId)).await,
            _ => skills.forget(),
        }
        true
    }
}

/// Runs until `stop`.
async fn listen(options: PgConnectOptions, memory: Memory, stop: CancellationToken) {
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            lost = hear(&pool, &memory) => {
                memory.end_listening().await;
                if let Err(error) = lost {
                    tracing::warn!(%error, "changes of sessions and skills are not heard of for a moment");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    pool.close().await;
}

/// Returns when the connection is lost. A fresh listener each time: sqlx's own reconnecting would not say so in time.
async fn hear(pool: &sqlx::PgPool, memory: &Memory) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    // A lost connection is noticed at once; by itself sqlx would first look for another while nothing is heard.
    listener.eager_reconnect(false);
    listener.listen_all([sessions::CHANNEL, skills::CHANNEL]).await?;
    memory.begin_listening().await;
    while let Some(notification) = listener.try_recv().await? {
        if !memory.hear(notification.channel(), notification.payload()).await {
            return Ok(());
        }
    }
    Ok(())
}
