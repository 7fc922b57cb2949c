//! Fifty webhooks at once, as when Stripe catches up: how long each waits until it is acknowledged, which is until it is
//! stored.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use freehunt_domain::time::Clock;
use freehunt_stripe::webhook;
use futures_util::future::try_join_all;
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

use crate::{
    database::Database,
    servers::{Programs, Server, WEBHOOK_SECRET},
};

/// Events that arrive at once.
const AT_ONCE: usize = 50;
/// Half of what an event of Stripe's weighs is its object.
const OBJECT_BYTES: usize = 3_000;
/// What the 99th percentile must be below.
const WANTED: Duration = Duration::from_millis(20);

/// Sends `waves` times fifty events; the figures in a line. Fails when the 99th percentile is not below the wanted one.
pub async fn run(database: &Database, programs: &Programs, waves: usize) -> anyhow::Result<String> {
    let server = Server::start_api(programs, &database.url(), &[]).await?;
    let client = Client::builder().no_proxy().build()?;
    let mut times = Vec::new();
    // The first wave opens the connections, on both sides of the server, and is not counted.
    for wave in 0..=waves {
        let taken = try_join_all((0..AT_ONCE).map(|_| acknowledge(&client, server.address))).await?;
        times.extend(taken.into_iter().filter(|_| wave > 0));
    }
    server.stop().await?;
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let line = format!(
        "{} webhooks, {AT_ONCE} at once: p50 {:.1?}, p99 {:.1?}, slowest {:.1?}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
    ensure!(at(99) < WANTED, "{line}; wanted is a p99 below {WANTED:?}");
    Ok(line)
}

async fn acknowledge(client: &Client, server: SocketAddr) -> anyhow::Result<Duration> {
    let object = json!({ "id": "cus_1", "object": "customer", "description": "x".repeat(OBJECT_BYTES) });
    let id = format!("evt_{}", Uuid::new_v4().simple());
    let event = json!({ "id": id, "object": "event", "type": "customer.updated", "data": { "object": object } });
    let body = event.to_string();
    let signature = webhook::sign(body.as_bytes(), WEBHOOK_SECRET, Clock::system().now().timestamp());
    let request = client
        .post(format!("http://{server}/stripe/webhook"))
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature)
        .body(body);
    let began = Instant::now();
    let answer = request.send().await.context("a webhook was not answered")?;
    let taken = began.elapsed();
    ensure!(answer.status().is_success(), "a webhook was answered {}", answer.status());
    answer.bytes().await?;
    Ok(taken)
}
