//! FreeHunt's live chat: a Socket.IO server whose sockets belong to sessions. [`build`] makes the whole server from a
//! configuration; `main` and the tests both use it.
//!
//! Messages are written by the HTTP API; this server hears of them from PostgreSQL and sends them to its own sockets.

pub mod asyncapi;
pub mod auth;
pub mod client;
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
pub mod transport;

use std::time::Duration;

use axum::{Router, extract::State, middleware, response::Response, routing::get};
use freehunt_config::MessagingConfig;
use freehunt_domain::time::Clock;
use freehunt_serving::{health, requests::observe};
use socketioxide::{SocketIo, handler::ConnectHandler};
use tower_http::catch_panic::CatchPanicLayer;

use crate::state::{Inboxes, MessagingState};

/// What Socket.IO clients expect of a server, and what the original used.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that opened a transport sends its CONNECT packet at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Packets beside a replay that a socket's buffer holds.
const PING_ROOM: usize = 64;

/// A server that is ready to be served.
pub struct Server {
    pub state: MessagingState,
    router: Router,
    io: SocketIo,
    inboxes: Inboxes,
}

/// Makes the server. Nothing is connected yet, so a database that is away is not fatal here.
pub fn build(config: MessagingConfig, clock: Clock) -> anyhow::Result<Server> {
    let (state, inboxes) = MessagingState::new(config, clock);
    let chat = &state.config.chat;
    let payload = chat.max_payload_bytes;
    // A ping that finds no room ends the connection, so a replay must never fill the buffer.
    let buffer = chat.socket_buffer.max(chat.replay_limit as usize + PING_ROOM);
    let (sockets, io) = SocketIo::builder()
        .with_state(state.clone())
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .max_buffer_size(buffer)
        // Each limit holds for one transport only.
        .max_payload(payload as u64)
        .ws_max_message_size(payload)
        .ws_max_frame_size(payload)
        .build_layer();
    io.ns("/", handlers::connection::welcome.with(handlers::connection::admit));
    let router = Router::new()
        .route("/health", get(live))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/asyncapi.json", get(asyncapi::serve))
        .with_state(state.clone())
        .layer(sockets)
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(state.clone(), auth::guard))
        .layer(middleware::from_fn(observe));
    Ok(Server { state, router, io, inboxes })
}

async fn live() -> Response {
    health::live()
}

async fn ready(State(state): State<MessagingState>) -> Response {
    health::ready(&state.readiness, &state.pool).await
}
