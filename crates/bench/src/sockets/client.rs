//! A Socket.IO client that does little: it connects, answers pings, and hands on what it is sent.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt, stream};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

use crate::{
    load::{Connection, Request},
    servers::FRONTEND,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Ten thousand clients live in one process, so each gets little.
const BUFFER: usize = 1024;
/// Handshakes under way at once.
const AT_ONCE: usize = 100;

/// How a client gets to its WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At once.
    WebSocket,
    /// By polls, as every page of the frontend does.
    Upgrade,
}

/// Takes the text of every event, `42["name",{…}]`.
pub type Hear = Arc<dyn Fn(&str) + Send + Sync>;

/// A connected socket. Dropping it ends the connection.
pub struct Socket(JoinHandle<()>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Socket {
    pub async fn connect(way: Way, address: SocketAddr, token: &str, hear: Hear) -> anyhow::Result<Self> {
        let opening = async {
            match way {
                Way::WebSocket => connect(address, token).await,
                Way::Upgrade => upgrade(address, token).await,
            }
        };
        let opened = timeout(PATIENCE, opening).await.context("no socket in time")??;
        Ok(Self(tokio::spawn(listen(opened, hear))))
    }

    /// Whether the connection is still there.
    pub fn is_open(&self) -> bool {
        !self.0.is_finished()
    }
}

/// Connects all of them over WebSocket, some at a time.
pub async fn connect_all(wanted: Vec<(SocketAddr, String, Hear)>) -> anyhow::Result<Vec<Socket>> {
    connect_all_by(Way::WebSocket, wanted).await
}

pub async fn connect_all_by(way: Way, wanted: Vec<(SocketAddr, String, Hear)>) -> anyhow::Result<Vec<Socket>> {
    let connecting = wanted
        .into_iter()
        .map(|(address, token, hear)| async move { Socket::connect(way, address, &token, hear).await });
    stream::iter(connecting).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

async fn connect(address: SocketAddr, token: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut stream = open(address, token, "").await?;
    expect(&mut stream, "0").await?;
    stream.send(Message::text("40")).await?;
    expect(&mut stream, "40").await?;
    Ok(stream)
}

async fn upgrade(address: SocketAddr, token: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let path = "/socket.io/?EIO=4&transport=polling";
    let mut polls = Connection::open(address).await?;
    let opening = polls.send(&Request::get(path, Some(token))).await?;
    let opening: serde_json::Value = serde_json::from_slice(&opening.body()[1..])?;
    let sid = opening["sid"].as_str().context("an opening without an id")?;
    let path = format!("{path}&sid={sid}");
    polls.send(&Request::post(&path, Some(token), &serde_json::json!(40))).await?;
    let connected = polls.send(&Request::get(&path, Some(token))).await?;
    ensure!(connected.body().starts_with(b"40"), "{}", String::from_utf8_lossy(connected.body()));
    let mut stream = open(address, token, &format!("&sid={sid}")).await?;
    stream.send(Message::text("2probe")).await?;
    expect(&mut stream, "3probe").await?;
    stream.send(Message::text("5")).await?;
    Ok(stream)
}

async fn open(address: SocketAddr, token: &str, query: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}");
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("cookie", HeaderValue::from_str(&format!("freehunt_session={token}"))?);
    headers.insert("origin", HeaderValue::from_static(FRONTEND));
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
    Ok(client_async_with_config(request, tcp, Some(config)).await?.0)
}

async fn expect(stream: &mut WebSocketStream<TcpStream>, beginning: &str) -> anyhow::Result<()> {
    loop {
        match stream.next().await.context("the connection ended")?? {
            Message::Text(text) if text.starts_with(beginning) => return Ok(()),
            Message::Text(text) if text.as_str() == "2" => stream.send(Message::text("3")).await?,
            Message::Text(text) => bail!("{} instead of {beginning}", text.as_str()),
            Message::Close(_) => bail!("the server closed the connection"),
            _ => {}
        }
    }
}

async fn listen(mut stream: WebSocketStream<TcpStream>, hear: Hear) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        if text.as_str() == "2" {
            if stream.send(Message::text("3")).await.is_err() {
                return;
            }
        } else {
            hear(&text);
        }
    }
}
