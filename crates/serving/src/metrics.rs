//! The numbers of a server, for Prometheus, on a listener of their own that is never routed publicly.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::{Router, routing::get};
use freehunt_domain::database::Counts;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// Seconds that requests, outbound calls and deliveries take.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How often old samples are let go.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the process has recorded.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// Begins to record; once in a process.
    pub fn install() -> anyhow::Result<Self> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .install_recorder()
            .context("metrics are recorded already")?;
        describe();
        Ok(Self(handle))
    }

    /// Everything recorded so far, as Prometheus reads it.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Answers `GET /metrics` on `address`, with `sample` asked just before; the address it is bound to.
    pub async fn serve(
        self,
        address: SocketAddr,
        sample: impl Fn() + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<SocketAddr> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("metrics cannot be served on {address}"))?;
        let bound = listener.local_addr()?;
        let rendering = self.clone();
        let answer = move || {
            sample();
            std::future::ready(rendering.render())
        };
        let router = Router::new().route("/metrics", get(answer));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                self.0.run_upkeep();
            }
        });
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
        Ok(bound)
    }
}

/// How many connections to the database are in use, idle, and allowed, in all pools of the process together.
pub fn set_connections(pools: &[Counts]) {
    let sum = |count: fn(&Counts) -> u32| pools.iter().map(count).sum::<u32>();
    metrics::gauge!("freehunt_database_connections", "state" => "idle").set(sum(|counts| counts.idle));
    metrics::gauge!("freehunt_database_connections", "state" => "in_use").set(sum(|counts| counts.in_use));
    metrics::gauge!("freehunt_database_connections_limit").set(sum(|counts| counts.limit));
}

fn describe() {
    describe_counter!("freehunt_http_requests_total", "Requests by method, route and status");
    describe_histogram!(
        "freehunt_http_request_duration_seconds",
        Unit::Seconds,
        "From a request's head to its answer's, by method and route"
    );
    describe_gauge!("freehunt_http_requests_in_flight", "Requests that are not answered yet");
    describe_histogram!(
        "freehunt_outbound_duration_seconds",
        Unit::Seconds,
        "Calls to Authentik, Stripe and S3, by service and outcome, repetitions included"
    );
    describe_gauge!("freehunt_database_connections", "Connections to PostgreSQL, by state");
    describe_gauge!("freehunt_listener_connected", "1 while this replica hears of changes, by what carries them");
    describe_gauge!("freehunt_listener_lag_seconds", Unit::Seconds, "Time a notification takes to come back");
    describe_counter!("freehunt_listener_failures_total", "Lost connections of a listener, by what carried changes");
    describe_gauge!("freehunt_database_connections_limit", "Largest number of connections to PostgreSQL");
}
