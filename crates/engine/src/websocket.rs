//! How a connection becomes the WebSocket of a session.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use engineioxide_core::{Packet, TransportType};
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    request::Parts,
};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    Socket,
    config::EngineIoConfig,
    connection::{Connection, copied},
    engine::Engine,
    handler::EngineIoHandler,
    request::Refusal,
};

/// Bytes that are collected before they are written, while more packets wait.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// What only the handshake needs: it is not kept with the session.
const HANDSHAKE_HEADERS: [http::HeaderName; 6] =
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL];

/// What a connection is for.
pub(crate) enum Beginning<D: Default + Send + Sync + 'static> {
    /// A session that begins with it, and with this request.
    New(Box<Parts>),
    Upgrade(Upgrading<D>),
}

/// A session that polls, and polls on when this is dropped without success.
pub(crate) struct Upgrading<D: Default + Send + Sync + 'static> {
    socket: Arc<Socket<D>>,
}

impl<D: Default + Send + Sync + 'static> Beginning<D> {
    /// Refuses a second connection for a session.
    pub fn of(socket: Option<Arc<Socket<D>>>, parts: Parts) -> Result<Self, Refusal> {
        let Some(socket) = socket else { return Ok(Self::New(Box::new(parts))) };
        socket.outbox.begin_upgrade().map_err(|_| Refusal::BadRequest)?;
        Ok(Self::Upgrade(Upgrading { socket }))
    }
}

impl<D: Default + Send + Sync + 'static> Drop for Upgrading<D> {
    fn drop(&mut self) {
        self.socket.outbox.give_up_upgrade();
    }
}

/// Answers the request for a WebSocket, which is served once the connection is one.
pub(crate) fn accept<H: EngineIoHandler, B>(
    engine: &Arc<Engine<H>>,
    socket: Option<Arc<Socket<H::Data>>>,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let (mut parts, _) = request.into_parts();
    let key = parts.headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_handshake(&parts.headers));
    let key = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    let (Some(key), Some(upgrade)) = (key, parts.extensions.remove::<OnUpgrade>()) else {
        return Err(Refusal::BadRequest);
    };
    let beginning = Beginning::of(socket, kept(parts))?;
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => serve(engine, TokioIo::new(connection), beginning).await,
            Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    Ok(response)
}

fn is_handshake(headers: &HeaderMap) -> bool {
    let names = |header, wanted: &str| {
        let values = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    names(CONNECTION, "upgrade") && names(UPGRADE, "websocket") && names(SEC_WEBSOCKET_VERSION, "13")
}

/// What a session keeps of its first request.
fn kept(mut parts: Parts) -> Parts {
    let headers = std::mem::take(&mut parts.headers);
    let mut name = None;
    for (next, value) in headers {
        name = next.or(name);
        if let Some(name) = name.clone().filter(|name| !HANDSHAKE_HEADERS.contains(name)) {
            parts.headers.append(name, value);
        }
    }
    parts
}

/// Serves a connection on which WebSocket is spoken, for as long as it lasts.
pub(crate) async fn serve<H, C>(engine: Arc<Engine<H>>, connection: C, beginning: Beginning<H::Data>)
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Boxed, and so gone once it is done: the task lasts as long as the session.
    let opened = Box::pin(open(engine, connection, beginning)).await;
    if let Some(connection) = opened {
        connection.await;
    }
}

/// What a new connection begins with. `None` when nothing came of it.
async fn open<H, C>(
    engine: Arc<Engine<H>>,
    connection: C,
    beginning: Beginning<H::Data>,
) -> Option<Pin<Box<Connection<H, C>>>>
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = websocket_config(&engine.config);
    let mut websocket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let socket = match beginning {
        Beginning::New(parts) => {
            let socket = engine.open(TransportType::Websocket, *parts);
            // Nothing was written before that could block it. Whether it arrives, reading will tell.
            let _queued = websocket.feed(Message::text(engine.opening(&socket))).await;
            socket
        }
        Beginning::Upgrade(Upgrading { ref socket }) => {
            let upgrade = tokio::time::timeout(engine.config.upgrade_timeout, upgrade(socket, &mut websocket));
            let has_upgraded = tokio::select! {
                upgraded = upgrade => upgraded.is_ok_and(|upgraded| upgraded.is_some()),
                () = socket.outbox.closed() => false,
            };
            if !has_upgraded || !socket.outbox.finish_upgrade() {
                return None;
            }
            tracing::debug!(sid = %socket.id, "a session goes over to its WebSocket");
            Arc::clone(socket)
        }
    };
    Some(Box::pin(Connection::new(engine, socket, websocket)))
}

fn websocket_config(config: &EngineIoConfig) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(config.ws_read_buffer_size)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(config.ws_max_message_size))
        .max_frame_size(Some(config.ws_max_frame_size))
}

/// The client probes the connection, ends its polling, and says that it goes over. `None` when it does something else.
async fn upgrade<D, C>(socket: &Socket<D>, websocket: &mut WebSocketStream<C>) -> Option<()>
where
    D: Default + Send + Sync + 'static,
    C: AsyncRead + AsyncWrite + Unpin,
{
    let probe = next_packet(socket, websocket).await?;
    if probe != Packet::PingUpgrade {
        return None;
    }
    websocket.send(Message::text(String::from(Packet::PongUpgrade))).await.ok()?;
    // Not before it: until then the client would poll again at once, and again.
    socket.outbox.mark_probed();
    (next_packet(socket, websocket).await? == Packet::Upgrade).then_some(())
}

async fn next_packet<D, C>(socket: &Socket<D>, websocket: &mut WebSocketStream<C>) -> Option<Packet>
where
    D: Default + Send + Sync + 'static,
    C: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match websocket.next().await?.ok()? {
            Message::Text(text) => return Packet::parse(socket.protocol, copied(&text)).ok(),
            Message::Binary(_) | Message::Close(_) => return None,
            // Of WebSocket itself.
            _ => {}
        }
    }
}
