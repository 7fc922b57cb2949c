//! The numbers of this server, for Prometheus, on a listener of their own that is never routed publicly.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::{Router, routing::get};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;

/// Seconds from the start of a message's transaction, or for loading events.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// How often old samples are let go.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to record and to answer `GET /metrics`; once in a process.
pub async fn start(address: SocketAddr) -> anyhow::Result<()> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()
        .context("metrics are recorded already")?;
    describe();
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("metrics cannot be served on {address}"))?;
    let rendering = recorder.clone();
    let router = Router::new().route("/metrics", get(move || std::future::ready(rendering.render())));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            recorder.run_upkeep();
        }
    });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(())
}

fn describe() {
    describe_gauge!("freehunt_sockets", "Connected sockets");
    describe_gauge!("freehunt_listener_connected", "1 while this replica listens to the database");
    describe_gauge!("freehunt_listener_lag_seconds", Unit::Seconds, "Time a notification takes to come back");
    describe_counter!("freehunt_listener_failures_total", "Lost connections of the listener");
    describe_counter!("freehunt_socket_events_total", "Events of clients, by what became of them");
    describe_counter!("freehunt_socket_refusals_total", "Refused handshakes and polls, by status");
    describe_counter!("freehunt_deliveries_total", "Events sent to sockets");
    describe_counter!("freehunt_replayed_messages_total", "Messages sent again to sockets that connected");
    describe_counter!("freehunt_events_found_by_scan_total", "Events that no notification told of");
    describe_counter!("freehunt_sockets_cut_total", "Sockets that were closed by the server, by how");
    describe_histogram!("freehunt_delivery_delay_seconds", Unit::Seconds, "From a change's transaction to its sockets");
    describe_histogram!("freehunt_event_load_seconds", Unit::Seconds, "Loading a batch of events");
}
