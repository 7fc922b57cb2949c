//! What is known of every request: its numbers, and a span that gives each log line below it the request's id.
//!
//! Routes are templates: neither ids nor queries, which may carry codes, reach the logs, traces or metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, field};

const REQUEST_ID: &str = "x-request-id";

/// Takes away a request id that a client made up, unless it is one that can be looked for in a log. Runs before an id is
/// given to what has none.
pub async fn check_request_id(mut request: Request) -> Request {
    let is_plain = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        (1..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if !request.headers().get(REQUEST_ID).is_some_and(is_plain) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Counts and times a request and puts it into a span; the layer around everything but the request id's.
pub async fn observe(request: Request, next: Next) -> Response {
    let method = method_of(request.method());
    let route = route_of(&request);
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!(
        "request",
        request_id = id,
        method,
        route,
        status = field::Empty,
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
    );
    let under_way = UnderWay::begin(method, route);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    under_way.answered(response.status().as_str());
    response
}

/// A request until its answer; one whose client went away before is counted as `aborted`.
struct UnderWay {
    method: &'static str,
    route: String,
    began: Instant,
    answered: bool,
}

impl UnderWay {
    fn begin(method: &'static str, route: String) -> Self {
        metrics::gauge!("freehunt_http_requests_in_flight").increment(1);
        Self { method, route, began: Instant::now(), answered: false }
    }

    fn answered(mut self, status: &str) {
        self.answered = true;
        self.count(status);
        let (method, route) = (self.method, self.route.clone());
        metrics::histogram!("freehunt_http_request_duration_seconds", "method" => method, "route" => route)
            .record(self.began.elapsed());
    }

    fn count(&self, status: &str) {
        let (method, route, status) = (self.method, self.route.clone(), status.to_owned());
        metrics::counter!("freehunt_http_requests_total", "method" => method, "route" => route, "status" => status)
            .increment(1);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        metrics::gauge!("freehunt_http_requests_in_flight").decrement(1);
        if !self.answered {
            self.count("aborted");
        }
    }
}

/// Anybody can invent methods; a label for each would never end.
fn method_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn route_of(request: &Request) -> String {
    match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        // Socket.IO answers its path before any route is looked for.
        None if request.uri().path().starts_with("/socket.io/") => "/socket.io/".to_owned(),
        None => "unmatched".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_request_ids_are_kept() {
        let kept = async |id: &[u8]| {
            let request = Request::builder().header(REQUEST_ID, id).body(axum::body::Body::empty()).unwrap();
            check_request_id(request).await.headers().contains_key(REQUEST_ID)
        };
        assert!(kept(b"0199f7b2-6f6c-7cc0-8000-abcdef012345").await && kept(b"a").await);
        for id in [b"".as_slice(), b"a b", b"a\tb", b"<script>", b"\xff", &[b'a'; 65]] {
            assert!(!kept(id).await, "{id:?}");
        }
    }
}
