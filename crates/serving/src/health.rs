//! Health: `OK` for the public, liveness and readiness for the load balancer, and the program that asks for it.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use freehunt_config::{HttpConfig, Source};
use sqlx::PgPool;

use crate::Readiness;

const PLAIN_OK: ([(header::HeaderName, &str); 1], &str) = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "OK");

/// The process runs.
pub fn live() -> Response {
    PLAIN_OK.into_response()
}

/// The database answers, its schema is current, and no shutdown has begun; 503 otherwise.
pub async fn ready(readiness: &Readiness, pool: &PgPool) -> Response {
    if readiness.is_ready(pool).await { PLAIN_OK.into_response() } else { not_ready() }
}

pub fn not_ready() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
}

/// Succeeds when the server on this machine is ready: the container's health check, since its image has no curl.
pub async fn ask(default_port: u16) -> anyhow::Result<()> {
    let port = HttpConfig::port_of(&Source::process(), default_port)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let response = client.get(&url).send().await.with_context(|| format!("nothing answers on port {port}"))?;
    ensure!(response.status().is_success(), "not ready: {}", response.status());
    Ok(())
}
