//! Headers of every answer: what protects browsers, and the charset that the original names with its JSON.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::state::AppState;

const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
];
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A route may set its own policy (the documentation pages do); everything else gets the strict one.
pub fn add_security_headers(state: &AppState, headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    if public_scheme_is_https(state) {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

pub fn public_scheme_is_https(state: &AppState) -> bool {
    state.config.frontend.api_url.scheme() == "https"
}
