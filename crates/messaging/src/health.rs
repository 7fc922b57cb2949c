//! Health: `OK` for the public, liveness and readiness for the load balancer.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::state::MessagingState;

const PLAIN_OK: ([(header::HeaderName, &str); 1], &str) = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "OK");

/// The process runs.
pub async fn live() -> Response {
    PLAIN_OK.into_response()
}

/// The database answers, its schema is current, and no shutdown has begun; 503 otherwise.
pub async fn ready(State(state): State<MessagingState>) -> Response {
    if state.readiness.is_ready(&state.pool).await {
        PLAIN_OK.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
    }
}
