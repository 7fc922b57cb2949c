//! FreeHunt's live chat: a Socket.IO server whose sockets belong to sessions. [`build`] makes the whole server from a
//! configuration; `main` and the tests both use it.
//!
//! Messages are written by the HTTP API; this server hears of them from PostgreSQL and sends them to its own sockets.

pub mod asyncapi;
pub mod auth;
pub mod client;
pub mod confirmation;
pub mod events;
pub mod handlers;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod registry;
pub mod relay;
pub mod serve;
pub mod session_watch;
pub mod signals;
pub mod state;
pub mod subscriber;
pub mod transport;

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::get,
};
use freehunt_config::MessagingConfig;
use freehunt_domain::time::Clock;
use freehunt_serving::{health, requests::observe};
use socketioxide::{ParserConfig, SocketIo, handler::ConnectHandler};
use tower_http::catch_panic::CatchPanicLayer;

use crate::state::{Inboxes, MessagingState};

/// Clients send little at once; each open socket holds a buffer of this size.
const READ_BUFFER_BYTES: usize = 512;

/// How long silence is borne.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two pings.
    pub ping_interval: Duration,
    /// For the answer to a ping.
    pub ping_timeout: Duration,
    /// For the CONNECT packet of a client that opened a transport.
    pub connect_timeout: Duration,
}

impl Default for Timing {
    /// What Socket.IO clients expect of a server, and what the original used.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// A server that is ready to be served.
pub struct Server {
    pub state: MessagingState,
    router: Router,
    io: SocketIo,
    inboxes: Inboxes,
}

/// Makes the server. Nothing is connected yet, so a database that is away is not fatal here.
pub fn build(config: MessagingConfig, clock: Clock) -> anyhow::Result<Server> {
    build_with(config, clock, Timing::default())
}

/// As [`build`], with other patience.
pub fn build_with(config: MessagingConfig, clock: Clock, timing: Timing) -> anyhow::Result<Server> {
    let (state, inboxes) = MessagingState::new(config, clock)?;
    let payload = state.config.chat.max_payload_bytes;
    let (sockets, io) = SocketIo::builder()
        .with_state(state.clone())
        .ping_interval(timing.ping_interval)
        .ping_timeout(timing.ping_timeout)
        .connect_timeout(timing.connect_timeout)
        .max_buffer_size(client::BUFFERED_PACKETS)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .max_payload(payload as u64)
        // No event has attachments; those of an event that is never completed would stay in memory.
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .ws_max_message_size(payload)
        .ws_max_frame_size(payload)
        .build_layer();
    io.ns("/", handlers::connection::welcome.with(handlers::connection::admit));
    let mut router = Router::new();
    if state.config.docs_enabled {
        router = router.route("/asyncapi.json", get(asyncapi::serve));
    }
    let router = router
        .route("/health", get(live))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/started", get(started))
        .with_state(state.clone())
        .layer(sockets)
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(state.clone(), auth::guard))
        .layer(from_fn(|request: Request, next: Next| observe(request, |request| next.run(request))));
    Ok(Server { state, router, io, inboxes })
}

async fn live() -> Response {
    health::live()
}

async fn started(State(state): State<MessagingState>) -> Response {
    health::started(&state.readiness, &state.pool).await
}

async fn ready(State(state): State<MessagingState>) -> Response {
    health::ready(&state.readiness, &state.pool).await
}
