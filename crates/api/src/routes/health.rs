//! Health: `OK` for the public, readiness for the load balancer, liveness and start for the container.

use axum::{extract::State, response::Response};

use crate::state::AppState;

/// Whether the server answers at all.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "The server answers", body = String, content_type = "text/html", example = "OK")))]
pub async fn health() -> Response {
    freehunt_serving::health::live()
}

/// `/health/live`: the process runs. Not in the public document.
pub async fn live() -> Response {
    freehunt_serving::health::live()
}

/// `/health/started`: the process runs and has been ready once. The container's health check.
pub async fn started(State(state): State<AppState>) -> Response {
    freehunt_serving::health::started(&state.readiness, &state.pool).await
}

/// `/health/ready`: the database answers, on connections of either sort, its schema is current, and no shutdown has begun;
/// 503 otherwise.
pub async fn ready(State(state): State<AppState>) -> Response {
    let of_transactions = freehunt_serving::health::ready(&state.readiness, &state.pool);
    let (answer, of_requests) = tokio::join!(of_transactions, state.connection());
    match of_requests {
        Ok(connection) => {
            connection.finish();
            answer
        }
        Err(_) => freehunt_serving::health::not_ready(),
    }
}
