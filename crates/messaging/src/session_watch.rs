//! Sockets outlive their handshakes; this ends those whose session has ended.
//!
//! A revocation is announced, and for what is missed (and for sessions that expire) all sessions of this replica are
//! looked at regularly, in one statement for many.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use freehunt_domain::{ids::SessionId, live_chat};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use uuid::Uuid;

use crate::state::MessagingState;

const LOOK_INTERVAL: Duration = Duration::from_secs(20);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Sessions in one statement.
const BATCH: usize = 1_000;
/// A socket that never got connected is forgotten after this.
const CONNECTING_TIME: Duration = Duration::from_secs(30);

/// Runs until the queue is dropped.
pub async fn run(state: MessagingState, mut heard: mpsc::Receiver<SessionId>) {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retries = tokio::time::interval(RETRY_INTERVAL);
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut doubtful: HashSet<SessionId> = HashSet::new();
    let mut announced = Vec::new();
    loop {
        tokio::select! {
            count = heard.recv_many(&mut announced, BATCH) => {
                if count == 0 {
                    return;
                }
                doubtful.extend(announced.drain(..).filter(|session| state.registry.has_session(*session)));
            }
            _ = looks.tick() => {
                doubtful.extend(state.registry.sessions());
                tidy(&state);
            }
            _ = retries.tick(), if !doubtful.is_empty() => {}
        }
        if let Err(error) = end_dead(&state, &mut doubtful).await {
            tracing::warn!(%error, "sessions could not be looked at");
        }
    }
}

/// Ends the sockets of those that are not live; what could not be looked at stays in the set.
async fn end_dead(state: &MessagingState, doubtful: &mut HashSet<SessionId>) -> Result<(), sqlx::Error> {
    if doubtful.is_empty() {
        return Ok(());
    }
    let mut connection = state.pool.acquire().await?;
    let all: Vec<Uuid> = doubtful.iter().map(|session| session.0).collect();
    for batch in all.chunks(BATCH) {
        let live = live_chat::queries::list_live_sessions(&mut connection, batch).await?;
        let live: HashSet<SessionId> = live.into_iter().collect();
        for session in batch.iter().copied().map(SessionId) {
            doubtful.remove(&session);
            if !live.contains(&session) {
                for client in state.registry.of_session(session) {
                    client.expel("its session has ended");
                }
            }
        }
    }
    Ok(())
}

fn tidy(state: &MessagingState) {
    state.handshakes.tidy(Instant::now());
    for client in state.registry.all() {
        if !client.is_connected() && client.began.elapsed() > CONNECTING_TIME {
            state.registry.remove(client.id);
        }
    }
}
