//! What every stand-in shares: it listens on 127.0.0.1, records each call, and misbehaves when told to.
//!
//! A stand-in speaks the real protocol over HTTP. Nothing here knows Authentik, S3 or Stripe.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Bodies are recorded up to this many bytes; the call itself sees the whole body.
const RECORDED_BODY_BYTES: usize = 16 * 1024 * 1024;

/// One call that a stand-in received.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Path without the query string.
    pub path: String,
    /// Raw query string, empty when there is none.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a stand-in does wrong.
#[derive(Clone, Debug)]
pub enum Misbehaviour {
    /// Answers this status and body without doing anything.
    Answer { status: StatusCode, content_type: &'static str, body: String },
    /// Does nothing and answers only after this long (then 504).
    Hang(Duration),
    /// Does the work, and answers this much later.
    Slow(Duration),
    /// Does the work, but its answer is lost: the connection breaks before the body ends.
    LoseAnswer,
    /// Breaks the connection without doing the work.
    Reset,
}

struct Fault {
    method: Option<Method>,
    path_prefix: String,
    remaining: usize,
    misbehaviour: Misbehaviour,
}

#[derive(Default)]
struct Inner {
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<Fault>>,
}

/// The handle by which a test (or the sandbox) watches and upsets a stand-in.
#[derive(Clone, Default)]
pub struct Controls(Arc<Inner>);

impl Controls {
    pub fn new() -> Self {
        Self::default()
    }

    /// Every call since the start or the last [`Controls::forget_calls`], oldest first.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    /// The calls with this method whose path starts with `path_prefix`.
    pub fn calls_to(&self, method: Method, path_prefix: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method == method && call.path.starts_with(path_prefix)).collect()
    }

    pub fn forget_calls(&self) {
        lock(&self.0.calls).clear();
    }

    /// The next `times` calls whose path starts with `path_prefix` misbehave.
    pub fn misbehave(&self, path_prefix: &str, times: usize, misbehaviour: Misbehaviour) {
        self.push(None, path_prefix, times, misbehaviour);
    }

    /// As [`Controls::misbehave`], for one method only.
    pub fn misbehave_on(&self, method: Method, path_prefix: &str, times: usize, misbehaviour: Misbehaviour) {
        self.push(Some(method), path_prefix, times, misbehaviour);
    }

    /// Every call fails with 500 until [`Controls::recover`].
    pub fn fail_everything(&self) {
        let body = r#"{"detail":"stand-in told to fail"}"#.to_owned();
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.misbehave("/", usize::MAX, Misbehaviour::Answer { status, content_type: "application/json", body });
    }

    /// Forgets every ordered misbehaviour.
    pub fn recover(&self) {
        lock(&self.0.faults).clear();
    }

    fn push(&self, method: Option<Method>, path_prefix: &str, remaining: usize, misbehaviour: Misbehaviour) {
        lock(&self.0.faults).push(Fault { method, path_prefix: path_prefix.to_owned(), remaining, misbehaviour });
    }

    fn take_fault(&self, method: &Method, path: &str) -> Option<Misbehaviour> {
        let mut faults = lock(&self.0.faults);
        let fault = faults.iter_mut().find(|fault| {
            fault.remaining > 0
                && fault.method.as_ref().is_none_or(|wanted| wanted == method)
                && path.starts_with(&fault.path_prefix)
        })?;
        fault.remaining = if fault.remaining == usize::MAX { usize::MAX } else { fault.remaining - 1 };
        Some(fault.misbehaviour.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stand-in that is being served. Dropping it stops it.
pub struct Running {
    pub address: SocketAddr,
    pub controls: Controls,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Base URL without a trailing slash, e.g. `http://127.0.0.1:9000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting and waits for the listener to be closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The task only ends early by panicking, which its own report has shown.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves `router` on `listener` behind the recorder and the faults of `controls`.
pub fn serve(listener: TcpListener, router: Router, controls: Controls) -> std::io::Result<Running> {
    let address = listener.local_addr()?;
    let router = router.layer(middleware::from_fn_with_state(controls.clone(), record_and_misbehave));
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        tokio::select! {
            result = std::future::IntoFuture::into_future(axum::serve(listener, router)) => {
                if let Err(error) = result {
                    tracing::error!(%error, "a stand-in stopped");
                }
            }
            () = stopped => {}
        }
    });
    Ok(Running { address, controls, stop, task })
}

async fn record_and_misbehave(State(controls): State<Controls>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let path = parts.uri.path().to_owned();
    lock(&controls.0.calls).push(Call {
        method: parts.method.clone(),
        path: path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body: body.slice(..body.len().min(RECORDED_BODY_BYTES)),
    });
    let fault = controls.take_fault(&parts.method, &path);
    let request = Request::from_parts(parts, Body::from(body));
    match fault {
        None => next.run(request).await,
        Some(Misbehaviour::Answer { status, content_type, body }) => {
            (status, [("content-type", content_type)], body).into_response()
        }
        Some(Misbehaviour::Hang(time)) => {
            tokio::time::sleep(time).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Misbehaviour::Slow(time)) => {
            let response = next.run(request).await;
            tokio::time::sleep(time).await;
            response
        }
        Some(Misbehaviour::LoseAnswer) => {
            next.run(request).await;
            broken_connection()
        }
        Some(Misbehaviour::Reset) => broken_connection(),
    }
}

/// A body that promises bytes and fails at once, so that the server closes the connection mid-answer.
fn broken_connection() -> Response {
    let failing = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("told to break")) });
    let mut response = Response::new(Body::from_stream(failing));
    response.headers_mut().insert("content-length", http::HeaderValue::from_static("1000"));
    response
}
