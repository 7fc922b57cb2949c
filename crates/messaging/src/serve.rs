//! Serving until told to stop: not ready at once, serving on for a while, then closing every socket, so that its client
//! reconnects to another replica.

use std::time::Duration;

use freehunt_domain::chat_events;
use freehunt_fanout::announce;
use freehunt_serving::serve::Shutdown;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Server, listener, relay, session_watch, signals,
    state::MessagingState,
    subscriber,
    transport::{CuttableListener, Peer},
};

/// Handshakes that were let through get to finish before the sockets are closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// All sockets are closed within five seconds; a few are closed at once.
const CLOSING_STEPS: usize = 50;
const CLOSING_PAUSE: Duration = Duration::from_millis(100);
const SMALLEST_GROUP: usize = 20;

/// Serves until `stop` is cancelled, then drains: not ready, `shutdown_delay` of service, then the sockets are closed,
/// with at most `shutdown_timeout` for what is under way.
pub async fn serve(server: Server, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let Server { state, router, io, inboxes } = server;
    let mut tasks = JoinSet::new();
    tasks.spawn(listener::run(state.clone()));
    tasks.spawn(subscriber::run(state.clone()));
    tasks.spawn(announce_own(state.clone(), inboxes.written_events));
    tasks.spawn(relay::run(state.clone(), inboxes.events));
    tasks.spawn(session_watch::run(state.clone(), inboxes.sessions));
    tasks.spawn(signals::send_all(state.clone(), inboxes.signals));
    let http = &state.config.http;
    let cut_all = CancellationToken::new();
    let listener = CuttableListener::new(listener, cut_all.clone());
    let close_sockets = async {
        state.readiness.begin_closing();
        tokio::time::sleep(LAST_HANDSHAKES).await;
        let closing = async {
            close_gently(&state).await;
            io.close().await;
        };
        let _closed_in_time = tokio::time::timeout(http.shutdown_timeout, closing).await;
    };
    let shutdown = Shutdown::new(&state.readiness, http, stop);
    let result = tokio::select! {
        () = freehunt_serving::serve::serve(listener, router, Peer::of, shutdown, close_sockets) => Ok(()),
        // None of the tasks ends by itself while the server runs.
        Some(ended) = tasks.join_next() => Err(anyhow::anyhow!("a task of the server ended: {ended:?}")),
    };
    cut_all.cancel();
    tasks.shutdown().await;
    // None has begun since the sockets were closed, so that they have had most of their time already.
    if tokio::time::timeout(http.shutdown_timeout, state.confirmations.write()).await.is_err() {
        tracing::warn!("sessions were still being confirmed when the shutdown time was over");
    }
    state.pool.close().await;
    state.delivery_pool.close().await;
    result
}

/// Events that this server wrote itself go the way of those of the HTTP API.
async fn announce_own(state: MessagingState, written: mpsc::Receiver<i64>) {
    let Some(redis) = &state.redis else { return std::future::pending().await };
    let notify = |events: Vec<i64>| {
        let pool = state.pool.clone();
        async move {
            let told = async { chat_events::notify(&mut *pool.acquire().await?, &events).await };
            if let Err(error) = told.await {
                tracing::warn!(%error, "the relays have to find events by themselves");
            }
        }
    };
    announce(redis, chat_events::CHANNEL, written, notify).await;
}

/// Cuts the sockets group by group, so that the other replicas are not asked for all handshakes at once.
async fn close_gently(state: &MessagingState) {
    let clients = state.registry.all();
    let group = clients.len().div_ceil(CLOSING_STEPS).max(SMALLEST_GROUP);
    for (number, group) in clients.chunks(group).enumerate() {
        if number > 0 {
            tokio::time::sleep(CLOSING_PAUSE).await;
        }
        for client in group {
            client.cut("this replica stops");
        }
    }
}
