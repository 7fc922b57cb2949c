//! A bare Engine.IO transport over WebSocket, for what no well-meaning client does.

use std::time::Duration;

use freehunt_tests::{Persona, settings::FRONTEND};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// So that little fits into a connection whose client does not read.
const RECEIVE_BUFFER: u32 = 16 * 1024;

pub struct Transport(WebSocketStream<TcpStream>);

impl Transport {
    /// A session of the persona's own, or without one that of a program which shows nothing yet.
    pub async fn open(url: &str, persona: Option<&Persona>) -> Result<Self, Error> {
        Self::connect(url, persona, "").await
    }

    /// The upgrade of a session that polls.
    pub async fn upgrade(url: &str, persona: &Persona, sid: &str) -> Result<Self, Error> {
        Self::connect(url, Some(persona), &format!("&sid={sid}")).await
    }

    /// As [`Transport::open`], with a connected socket.
    pub async fn connected(url: &str, persona: &Persona) -> Self {
        let mut transport = Self::open(url, Some(persona)).await.expect("a transport");
        assert!(transport.next().await.is_some_and(|packet| packet.starts_with('0')));
        transport.send("40").await;
        assert!(transport.next().await.is_some_and(|packet| packet.starts_with("40")));
        transport
    }

    async fn connect(url: &str, persona: Option<&Persona>, query: &str) -> Result<Self, Error> {
        let address = url.trim_start_matches("http://");
        let target = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}");
        let mut request = target.into_client_request()?;
        if let Some(persona) = persona {
            request.headers_mut().insert("cookie", persona.cookie.parse().expect("a cookie"));
            request.headers_mut().insert("origin", FRONTEND.parse().expect("an origin"));
        }
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let stream = socket.connect(address.parse().expect("an address")).await?;
        let (stream, _) = client_async(request, stream).await?;
        Ok(Self(stream))
    }

    /// `false` when the connection is closed.
    pub async fn send(&mut self, packet: impl Into<String>) -> bool {
        self.0.send(Message::text(packet.into())).await.is_ok()
    }

    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> bool {
        self.0.send(Message::binary(bytes)).await.is_ok()
    }

    /// The next packet; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a packet, or the end")? {
                // The server asks whether the client is there.
                Ok(Message::Text(text)) if text.as_str() == "2" => {
                    self.send("3").await;
                }
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads to the end of the connection; what came.
    pub async fn read_to_end(&mut self) -> Vec<String> {
        let mut packets = Vec::new();
        while let Some(packet) = self.next().await {
            packets.push(packet);
        }
        packets
    }
}
