//! Serving until told to stop: not ready at once, serving on for a while, then finishing what is under way.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Server;

/// Binds the configured address; a taken port is one clear sentence.
pub async fn bind(address: std::net::IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((address, port)).await.with_context(|| format!("port {port} on {address} cannot be used"))
}

/// Serves until `stop` is cancelled, then drains: not ready, `shutdown_delay` of service, and at most
/// `shutdown_timeout` for what is under way. The durable jobs run meanwhile, and stop last.
pub async fn serve(server: Server, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let state = server.state.clone();
    let http = state.config.http.clone();
    let stop_working = CancellationToken::new();
    let working = tokio::spawn(state.jobs.clone().run(stop_working.clone()));
    let patience = http.shutdown_timeout;
    let stop_accepting = CancellationToken::new();
    let drained = {
        let stop_accepting = stop_accepting.clone();
        async move {
            stop.cancelled().await;
            state.readiness.begin_shutdown();
            tokio::time::sleep(http.shutdown_delay).await;
            stop_accepting.cancel();
            tokio::time::sleep(http.shutdown_timeout).await;
            tracing::warn!("requests were still under way when the shutdown time was over");
        }
    };
    let serving = axum::serve(listener, server.into_make_service())
        .with_graceful_shutdown(async move { stop_accepting.cancelled().await });
    let served = tokio::select! {
        result = std::future::IntoFuture::into_future(serving) => result.context("the listener failed"),
        () = drained => Ok(()),
    };
    stop_working.cancel();
    if tokio::time::timeout(patience, working).await.is_err() {
        // Their leases end by themselves, and another replica takes them up.
        tracing::warn!("jobs were still under way when the shutdown time was over");
    }
    served
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
