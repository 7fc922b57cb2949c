//! What is known of every request: its numbers, and a span that gives each log line below it the request's id.
//!
//! Routes are templates: neither ids nor queries, which may carry codes, reach the logs, traces or metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method},
    response::Response,
};
use opentelemetry::trace::Status;
use tracing::{Instrument, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::traces;

const REQUEST_ID: &str = "x-request-id";

/// Takes away a request id that a client made up, unless it is one that can be looked for in a log. Runs before an id is
/// given to what has none.
pub fn check_request_id(request: &mut Request) {
    let is_plain = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        (1..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if !request.headers().get(REQUEST_ID).is_some_and(is_plain) {
        request.headers_mut().remove(REQUEST_ID);
    }
}

/// Counts and times a request and puts what `handle` does into a span; around everything but the request id's layer.
pub async fn observe<H, F>(request: Request, handle: H) -> Response
where
    H: FnOnce(Request) -> F,
    F: Future<Output = Response>,
{
    let method = method_of(request.method());
    let route = route_of(&request);
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!("request", request_id = id, method, route, otel.name = Empty, otel.kind = Empty,);
    if traces::are_made() {
        span.record("otel.name", format!("{method} {route}")).record("otel.kind", "server");
    }
    let under_way = UnderWay::begin(method, route);
    let response = handle(request).instrument(span.clone()).await;
    // Only for traces: a field recorded late makes the log's layer read and write all of the span's fields again.
    span.set_attribute("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.set_status(Status::error(""));
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

    #[test]
    fn only_plain_request_ids_are_kept() {
        let kept = |id: &[u8]| {
            let mut request = Request::builder().header(REQUEST_ID, id).body(axum::body::Body::empty()).unwrap();
            check_request_id(&mut request);
            request.headers().contains_key(REQUEST_ID)
        };
        assert!(kept(b"0199f7b2-6f6c-7cc0-8000-abcdef012345") && kept(b"a"));
        for id in [b"".as_slice(), b"a b", b"a\tb", b"<script>", b"\xff", &[b'a'; 65]] {
            assert!(!kept(id), "{id:?}");
        }
    }
}
