//! Serving the API until told to stop. The durable jobs run meanwhile, and stop last.

use std::net::SocketAddr;

use freehunt_serving::serve::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Server;

/// Serves until `stop` is cancelled and what is under way has ended, or its time is over.
pub async fn serve(server: Server, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let state = server.state.clone();
    let http = &state.config.http;
    let stop_working = CancellationToken::new();
    let working = tokio::spawn(state.jobs.clone().run(stop_working.clone()));
    let announcing = {
        let state = state.clone();
        tokio::spawn(async move {
            if let Some(announcements) = &state.announcements {
                announcements.run(&state.pool).await;
            }
        })
    };
    let shutdown = Shutdown::new(&state.readiness, http, stop);
    let peer = |_: &TcpStream, address: SocketAddr| address;
    freehunt_serving::serve::serve(listener, server.into_service(), peer, shutdown, std::future::ready(())).await;
    stop_working.cancel();
    announcing.abort();
    if tokio::time::timeout(http.shutdown_timeout, working).await.is_err() {
        // Their leases end by themselves, and another replica takes them up.
        tracing::warn!("jobs were still under way when the shutdown time was over");
    }
    Ok(())
}
