//! A server that answers what a test tells it to and remembers what it was asked.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use freehunt_stripe::{Stripe, StripeSettings};

pub const KEY: &str = "sk_test_verysecret";

/// One request, as received.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub form: BTreeMap<String, String>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    Json(u16, serde_json::Value),
    Text(u16, &'static str),
    Never,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    received: Vec<Received>,
}

#[derive(Clone)]
pub struct Server {
    script: Arc<Mutex<Script>>,
    address: String,
}

impl Server {
    /// Starts a server that gives `replies` in turn, and 418 when there are none left.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Mutex::new(Script { replies: replies.into_iter().collect(), received: Vec::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { script, address }
    }

    /// A client of this server.
    pub fn client(&self) -> Stripe {
        client(&self.address, Duration::from_secs(10))
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn received(&self) -> Vec<Received> {
        self.script.lock().unwrap().received.clone()
    }

    /// The only request received.
    pub fn only_request(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.into_iter().next().unwrap()
    }
}

pub fn client(address: &str, timeout: Duration) -> Stripe {
    Stripe::new(StripeSettings { secret_key: KEY.into(), api_url: address.parse().unwrap(), timeout }).unwrap()
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = {
        let mut script = script.lock().unwrap();
        script.received.push(Received {
            method,
            path: uri.path().to_owned(),
            query: serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap(),
            headers,
            form: serde_urlencoded::from_bytes(&body).unwrap(),
        });
        script.replies.pop_front().unwrap_or(Reply::Text(418, "no reply left"))
    };
    match reply {
        Reply::Json(status, value) => (StatusCode::from_u16(status).unwrap(), value.to_string()).into_response(),
        Reply::Text(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Reply::Never => std::future::pending().await,
    }
}
