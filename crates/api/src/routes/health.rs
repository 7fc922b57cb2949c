//! Health: `OK` for the public, liveness and readiness for the load balancer.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::state::AppState;

const PLAIN_OK: ([(header::HeaderName, &str); 1], &str) = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "OK");

/// Whether the server answers at all.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "The server answers", body = String, content_type = "text/html", example = "OK")))]
pub async fn health() -> Response {
    PLAIN_OK.into_response()
}

/// `/health/live`: the process runs. Not in the public document.
pub async fn live() -> Response {
    PLAIN_OK.into_response()
}

/// `/health/ready`: the database answers, its schema is current, and no shutdown has begun; 503 otherwise.
pub async fn ready(State(state): State<AppState>) -> Response {
    if state.readiness.is_ready(&state.pool).await {
        PLAIN_OK.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
    }
}
