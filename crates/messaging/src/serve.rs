//! Serving until told to stop: not ready at once, serving on for a while, then closing every socket, so that its client
//! reconnects to another replica.

use std::time::Duration;

use freehunt_serving::serve::Shutdown;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Server, listener, relay, session_watch, signals,
    transport::{CuttableListener, Peer},
};

/// Handshakes that were let through get to finish before the sockets are closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// Serves until `stop` is cancelled, then drains: not ready, `shutdown_delay` of service, then the sockets are closed,
/// with at most `shutdown_timeout` for what is under way.
pub async fn serve(server: Server, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let Server { state, router, io, inboxes } = server;
    let mut tasks = JoinSet::new();
    tasks.spawn(listener::run(state.clone()));
    tasks.spawn(relay::run(state.clone(), inboxes.events));
    tasks.spawn(session_watch::run(state.clone(), inboxes.sessions));
    tasks.spawn(signals::send_all(state.clone(), inboxes.signals));
    let http = &state.config.http;
    let cut_all = CancellationToken::new();
    let listener = CuttableListener::new(listener, cut_all.clone());
    let close_sockets = async {
        state.readiness.begin_closing();
        tokio::time::sleep(LAST_HANDSHAKES).await;
        let _closed_in_time = tokio::time::timeout(http.shutdown_timeout, io.close()).await;
    };
    let shutdown = Shutdown::new(&state.readiness, http, stop);
    let result = tokio::select! {
        () = freehunt_serving::serve::serve(listener, router, Peer::of, shutdown, close_sockets) => Ok(()),
        // None of the tasks ends by itself while the server runs.
        Some(ended) = tasks.join_next() => Err(anyhow::anyhow!("a task of the server ended: {ended:?}")),
    };
    cut_all.cancel();
    tasks.shutdown().await;
    state.pool.close().await;
    result
}
