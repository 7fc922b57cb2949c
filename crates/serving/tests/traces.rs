//! Traces against a stand-in of a collector, and the request's id in every log line below it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::Request,
    middleware::{Next, from_fn},
    routing,
};
use bytes::Bytes;
use freehunt_serving::{requests::observe, traces::Traces};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;
use url::Url;

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receive = async |State(collector): State<Collector>, body: Bytes| {
            collector.0.lock().unwrap().push(ExportTraceServiceRequest::decode(body).expect("OTLP"));
        };
        let router = Router::new().route("/v1/traces", routing::post(receive)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Url::parse(&format!("http://{address}")).unwrap()
    }

    /// Everything received: the service's name, and the spans.
    fn received(&self) -> (String, Vec<Span>) {
        let received = self.0.lock().unwrap();
        let resources: Vec<_> = received.iter().flat_map(|request| &request.resource_spans).collect();
        let attributes = resources.first().and_then(|spans| spans.resource.as_ref()).map(|it| it.attributes.as_slice());
        let service = text(attributes.unwrap_or_default(), "service.name");
        let spans = resources.iter().flat_map(|spans| &spans.scope_spans).flat_map(|scope| scope.spans.clone());
        (service, spans.collect())
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn router() -> Router {
    let thing = async || {
        async { tracing::info!("looked at") }.await;
        drop(tracing::info_span!("stripe", operation = "get balance", otel.kind = "client").entered());
        "a thing"
    };
    Router::new()
        .route("/things/{id}", routing::get(thing))
        .layer(from_fn(|request: Request<Body>, next: Next| observe(request, |request| next.run(request))))
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).header("x-request-id", "the-id").body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let collector = Collector::default();
    let traces = Traces::start(&collector.start().await, "freehunt-api").unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let requests = async {
        router().oneshot(request("/things/7?code=secret")).await.unwrap();
        router().oneshot(request("/elsewhere/secret")).await.unwrap();
    };
    requests.with_subscriber(subscriber).await;
    traces.finish().await;
    let (service, spans) = collector.received();
    assert_eq!(service, "freehunt-api");
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GET /things/{id}", "GET unmatched", "stripe"]);
    let found = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (outer, inner) = (found("GET /things/{id}"), found("stripe"));
    assert_eq!((&inner.trace_id, &inner.parent_span_id), (&outer.trace_id, &outer.span_id));
    assert_eq!(text(&outer.attributes, "http.response.status_code"), "200");
    assert_eq!(text(&outer.attributes, "request_id"), "the-id");
    assert!(!format!("{spans:?}").contains("secret"), "paths and queries may carry codes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_disturbs_nobody() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let traces = Traces::start(&Url::parse(&format!("http://{unused}/")).unwrap(), "freehunt-api").unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let began = Instant::now();
    let answer = router().oneshot(request("/things/7")).with_subscriber(subscriber).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    traces.finish().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_log_line_carries_the_id_of_its_request() {
    let written = Written::default();
    let writer = written.clone();
    let lines = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(tracing_subscriber::EnvFilter::new("info")).with(lines);
    router().oneshot(request("/things/7")).with_subscriber(subscriber).await.unwrap();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).unwrap();
    assert_eq!(line["fields"]["message"], "looked at");
    assert_eq!((&line["span"]["request_id"], &line["span"]["route"]), (&"the-id".into(), &"/things/{id}".into()));
}
