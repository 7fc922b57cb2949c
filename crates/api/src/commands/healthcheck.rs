//! `healthcheck`: what the container's health check runs; there is no shell or curl in the image.

use std::time::Duration;

use anyhow::{Context, ensure};
use freehunt_config::{HttpConfig, Source};

/// Succeeds when the server on this machine is ready.
pub async fn run() -> anyhow::Result<()> {
    let port = HttpConfig::port_of(&Source::process(), 3000)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let response = client.get(&url).send().await.with_context(|| format!("nothing answers on port {port}"))?;
    ensure!(response.status().is_success(), "not ready: {}", response.status());
    Ok(())
}
