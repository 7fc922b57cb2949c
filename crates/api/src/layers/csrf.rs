//! Cross-site request forgery: a state change must come from an allowed origin, or from no browser at all.

use axum::{
    extract::{Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{error::ApiError, state::AppState};

/// Refuses unsafe methods whose `Origin` is foreign, and those of browsers that hide it (`Sec-Fetch-Site` without `Origin`).
pub async fn refuse_foreign_origins(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    let allowed = match headers.get(header::ORIGIN) {
        Some(origin) => state.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
        None => !headers.contains_key("sec-fetch-site"),
    };
    if is_safe || allowed { next.run(request).await } else { ApiError::forbidden("Origin not allowed").into_response() }
}
