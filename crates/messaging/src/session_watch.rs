//! Sockets outlive their handshakes; this ends those whose session has ended.
//!
//! A revocation is announced, and for what is missed (and for sessions that expire) all sessions of this replica are
//! looked at regularly, in one statement for many. Those whose confirmation is old are confirmed meanwhile.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use freehunt_domain::{
    ids::SessionId,
    live_chat::queries::{LiveSession, list_live_sessions},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{
    confirmation::{self, Stale},
    state::MessagingState,
};

/// With it, a revocation that nobody heard of ends its sockets within five seconds.
const LONGEST_LOOK_INTERVAL: Duration = Duration::from_secs(3);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Sessions in one statement.
const BATCH: usize = 1_000;
/// A socket that never got connected is forgotten after this: its client left in the moment between two statements.
const CONNECTING_TIME: Duration = Duration::from_secs(5);

/// Runs until the queue is dropped.
pub async fn run(state: MessagingState, mut heard: mpsc::Receiver<SessionId>) {
    let revalidate_after = state.config.sessions.revalidate_after;
    let mut looks = interval((revalidate_after / 4).min(LONGEST_LOOK_INTERVAL));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retries = interval(RETRY_INTERVAL);
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The next look and the answer have to come before the time is over.
    let mut watch = Watch { state, stale_after: revalidate_after * 3 / 4, doubtful: HashSet::new(), confirming: None };
    let mut announced = Vec::new();
    loop {
        tokio::select! {
            count = heard.recv_many(&mut announced, BATCH) => {
                if count == 0 {
                    return;
                }
                let registry = &watch.state.registry;
                watch.doubtful.extend(announced.drain(..).filter(|session| registry.has_session(*session)));
            }
            _ = looks.tick() => {
                watch.doubtful.extend(watch.state.registry.sessions());
                tidy(&watch.state);
            }
            _ = retries.tick(), if !watch.doubtful.is_empty() => {}
        }
        if let Err(error) = watch.look().await {
            tracing::warn!(%error, "sessions could not be looked at");
        }
    }
}

struct Watch {
    state: MessagingState,
    /// Age of a confirmation that is to be renewed.
    stale_after: Duration,
    /// To be looked at; what could not be stays here.
    doubtful: HashSet<SessionId>,
    confirming: Option<JoinHandle<()>>,
}

impl Watch {
    /// Ends the sockets of sessions that are not live, and has those confirmed whose confirmation is old.
    async fn look(&mut self) -> Result<(), sqlx::Error> {
        if self.doubtful.is_empty() {
            return Ok(());
        }
        let mut connection = self.state.pool.acquire().await?;
        let all: Vec<Uuid> = self.doubtful.iter().map(|session| session.0).collect();
        let mut stale = Vec::new();
        for batch in all.chunks(BATCH) {
            let live = list_live_sessions(&mut connection, batch).await?;
            let ids: HashSet<SessionId> = live.iter().map(|session| session.id).collect();
            for session in batch.iter().copied().map(SessionId) {
                self.doubtful.remove(&session);
                if !ids.contains(&session) {
                    for client in self.state.registry.of_session(session) {
                        client.expel("its session has ended");
                    }
                }
            }
            stale.extend(live.into_iter().filter(|session| self.is_to_be_confirmed(session)));
        }
        drop(connection);
        self.confirm(stale);
        Ok(())
    }

    /// Its confirmation is old, or nobody can be asked about it and it has outlived the grace.
    fn is_to_be_confirmed(&self, session: &LiveSession) -> bool {
        let age = session.confirmation_age();
        if session.can_be_confirmed { age >= self.stale_after } else { age > self.state.config.sessions.grace }
    }

    /// Beside the watch, which has to go on; what comes while Authentik is still being asked comes again.
    fn confirm(&mut self, sessions: Vec<LiveSession>) {
        if sessions.is_empty() || self.confirming.as_ref().is_some_and(|confirming| !confirming.is_finished()) {
            return;
        }
        let stale: Vec<Stale> = sessions
            .into_iter()
            .filter_map(|session| {
                let ticket = self.state.registry.ticket_of(session.id)?;
                Some(Stale { session: session.id, ticket, age: session.confirmation_age() })
            })
            .collect();
        let state = self.state.clone();
        self.confirming = Some(tokio::spawn(async move { confirmation::confirm_all(&state, stale).await }));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(confirming) = &self.confirming {
            // Those that are under way go on by themselves.
            confirming.abort();
        }
    }
}

fn tidy(state: &MessagingState) {
    state.handshakes.tidy(Instant::now());
    for client in state.registry.all() {
        let never_connected = !client.is_connected() && client.began.elapsed() > CONNECTING_TIME;
        if client.is_over() || never_connected {
            state.registry.remove(client.id);
        }
    }
}
