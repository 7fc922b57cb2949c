//! A server that plays back answers in order and records what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

pub enum Reply {
    Answer(Response),
    /// Never answers.
    Hang,
}

#[derive(Clone)]
pub struct Call {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn cookies(&self) -> Vec<String> {
        self.headers.get_all("cookie").iter().map(|value| value.to_str().expect("text").to_owned()).collect()
    }
}

#[derive(Clone, Default)]
struct Shared {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Shared,
}

impl Server {
    pub async fn start() -> Self {
        let shared = Shared::default();
        let router = Router::new().fallback(play).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn then(&self, reply: Response) -> &Self {
        self.push(Reply::Answer(reply))
    }

    pub fn push(&self, reply: Reply) -> &Self {
        self.shared.replies.lock().expect("lock").push_back(reply);
        self
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().expect("lock").clone()
    }
}

async fn play(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("body");
    let target = parts.uri.to_string();
    shared.calls.lock().expect("lock").push(Call { method: parts.method, target, headers: parts.headers, body });
    let reply = shared.replies.lock().expect("lock").pop_front();
    match reply {
        Some(Reply::Answer(response)) => response,
        Some(Reply::Hang) => std::future::pending().await,
        None => (StatusCode::NOT_FOUND, "no more answers").into_response(),
    }
}

pub fn json(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).expect("status");
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

pub fn html(status: u16) -> Response {
    let status = StatusCode::from_u16(status).expect("status");
    (status, [("content-type", "text/html")], "<h1>Sorry</h1>").into_response()
}

pub fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [("location", location)]).into_response()
}

pub fn with_cookie(mut response: Response, set_cookie: &str) -> Response {
    response.headers_mut().append("set-cookie", set_cookie.parse().expect("header"));
    response
}
