//! Serving until told to stop: not ready at once, serving on for a while, then closing every socket, so that its client
//! reconnects to another replica.

use std::{future::IntoFuture, time::Duration};

use anyhow::Context;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Server, listener, relay, session_watch, signals,
    transport::{CuttableListener, Peer},
};

/// Handshakes that were let through get to finish before the sockets are closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// Binds the configured address; a taken port is one clear sentence.
pub async fn bind(address: std::net::IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((address, port)).await.with_context(|| format!("port {port} on {address} cannot be used"))
}

/// Serves until `stop` is cancelled, then drains: not ready, `shutdown_delay` of service, then the sockets are closed,
/// with at most `shutdown_timeout` for what is under way.
pub async fn serve(server: Server, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let Server { state, router, io, inboxes } = server;
    let mut tasks = JoinSet::new();
    tasks.spawn(listener::run(state.clone()));
    tasks.spawn(relay::run(state.clone(), inboxes.events));
    tasks.spawn(session_watch::run(state.clone(), inboxes.sessions));
    tasks.spawn(signals::send_all(state.clone(), inboxes.signals));
    let http = state.config.http.clone();
    let stop_accepting = CancellationToken::new();
    let cut_all = CancellationToken::new();
    let drained = {
        let (state, stop_accepting, cut_all) = (state.clone(), stop_accepting.clone(), cut_all.clone());
        async move {
            stop.cancelled().await;
            state.readiness.begin_shutdown();
            tokio::time::sleep(http.shutdown_delay).await;
            state.readiness.begin_closing();
            tokio::time::sleep(LAST_HANDSHAKES).await;
            let _closed_in_time = tokio::time::timeout(http.shutdown_timeout, io.close()).await;
            stop_accepting.cancel();
            tokio::time::sleep(http.shutdown_timeout).await;
            cut_all.cancel();
            tracing::warn!("requests were still under way when the shutdown time was over");
        }
    };
    let service = router.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(CuttableListener::new(listener, cut_all.clone()), service)
        .with_graceful_shutdown(async move { stop_accepting.cancelled().await });
    let result = tokio::select! {
        result = IntoFuture::into_future(serving) => result.context("the listener failed"),
        () = drained => Ok(()),
        // None of the tasks ends by itself while the server runs.
        Some(ended) = tasks.join_next() => Err(anyhow::anyhow!("a task of the server ended: {ended:?}")),
    };
    cut_all.cancel();
    tasks.shutdown().await;
    state.pool.close().await;
    result
}

/// Cancelled by SIGTERM or Ctrl-C.
pub fn stop_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => {
                    tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
                }
                Err(_) => {
                    let _interrupted = interrupt.await;
                }
            }
        }
        #[cfg(not(unix))]
        let _interrupted = interrupt.await;
        on_signal.cancel();
    });
    stop
}
