//! Health: `OK` for the public, readiness for the load balancer, and for the container whether it has started and lives,
//! with the program that asks for that.

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

/// The process runs and has been ready once; until then as [`ready`]. A version that never gets ready fails, and one whose
/// database is away later does not: to end it would bring nothing back.
pub async fn started(readiness: &Readiness, pool: &PgPool) -> Response {
    if readiness.has_been_ready() { live() } else { ready(readiness, pool).await }
}

pub fn not_ready() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
}

/// Succeeds when the server on this machine has started and lives: the container's health check, since its image has no
/// curl.
pub async fn ask(default_port: u16) -> anyhow::Result<()> {
    let port = HttpConfig::port_of(&Source::process(), default_port)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let url = format!("http://127.0.0.1:{port}/health/started");
    let response = client.get(&url).send().await.with_context(|| format!("nothing answers on port {port}"))?;
    ensure!(response.status().is_success(), "not started: {}", response.status());
    Ok(())
}
