//! Cross-site request forgery: a state change must come from an allowed origin, or from no browser at all.

use axum::{
    extract::Request,
    http::{Method, header},
};

use crate::state::AppState;

/// Not so for unsafe methods whose `Origin` is foreign, and those of browsers that hide it (`Sec-Fetch-Site` without `Origin`).
pub fn is_origin_allowed(state: &AppState, request: &Request) -> bool {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    is_safe
        || match headers.get(header::ORIGIN) {
            Some(origin) => state.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
            None => !headers.contains_key("sec-fetch-site"),
        }
}
