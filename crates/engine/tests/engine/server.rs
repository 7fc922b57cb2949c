//! An engine whose handler writes down what it is told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use engineioxide::{
    DisconnectReason, Socket, Str,
    config::{EngineIoConfig, EngineIoConfigBuilder},
    handler::EngineIoHandler,
    service::{EngineIoService, NotFoundService},
};
use futures_util::{SinkExt, StreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{io::DuplexStream, sync::Notify, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(10);
/// After so long nothing more comes.
const SILENCE: Duration = Duration::from_millis(200);
/// What fits into a connection whose other end does not read.
const CONNECTION_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub struct Recorder {
    told: Mutex<Vec<String>>,
    sockets: Mutex<Vec<Arc<Socket<()>>>>,
    changed: Notify,
}

impl Recorder {
    fn tell(&self, what: String) {
        self.told.lock().unwrap().push(what);
        self.changed.notify_waiters();
    }
}

impl EngineIoHandler for Recorder {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        self.sockets.lock().unwrap().push(socket);
        self.tell("connected".to_owned());
    }

    fn on_disconnect(&self, _: Arc<Socket<()>>, reason: DisconnectReason) {
        self.tell(format!("{reason:?}"));
    }

    fn on_message(self: &Arc<Self>, message: Str, _: Arc<Socket<()>>) {
        self.tell(format!("text {message}"));
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, _: Arc<Socket<()>>) {
        self.tell(format!("bytes {data:?}"));
    }
}

#[derive(Clone)]
pub struct Server {
    service: EngineIoService<Recorder>,
    handler: Arc<Recorder>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(EngineIoConfig::builder())
    }

    pub fn with(config: EngineIoConfigBuilder) -> Self {
        let handler = Arc::<Recorder>::default();
        let service = EngineIoService::with_config_inner(NotFoundService, handler.clone(), config.build());
        Self { service, handler }
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Full::new(body.into())).unwrap();
        let response = timeout(PATIENCE, self.service.clone().oneshot(request)).await.expect("an answer").unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub async fn get(&self, query: &str) -> (StatusCode, String) {
        self.ask(Method::GET, &format!("/engine.io/?{query}"), "").await
    }

    /// A new session that polls; its id.
    pub async fn open(&self) -> String {
        let (status, opening) = self.get("EIO=4&transport=polling").await;
        assert_eq!(status, 200, "{opening}");
        id_in(&opening)
    }

    /// What a poll is answered.
    pub async fn poll(&self, sid: &str) -> String {
        let (status, payload) = self.get(&format!("EIO=4&transport=polling&sid={sid}")).await;
        assert_eq!(status, 200, "{payload}");
        payload
    }

    pub async fn post(&self, sid: &str, payload: impl Into<Bytes>) -> StatusCode {
        self.ask(Method::POST, &format!("/engine.io/?EIO=4&transport=polling&sid={sid}"), payload).await.0
    }

    /// A post whose body never comes.
    pub async fn post_without_end(&self, sid: &str) -> StatusCode {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
        let request = Request::post(target).body(body).unwrap();
        timeout(PATIENCE, self.service.clone().oneshot(request)).await.expect("an answer").unwrap().status()
    }

    /// A session that begins with a WebSocket; its id too.
    pub async fn connect(&self) -> (Client, String) {
        let mut client = self.try_connect("").await.expect("a connection");
        let opening = client.next().await.expect("an opening");
        (client, id_in(&opening))
    }

    /// A WebSocket for a session that polls, unless it is refused.
    pub async fn upgrade(&self, sid: &str) -> Option<Client> {
        self.try_connect(&format!("&sid={sid}")).await
    }

    async fn try_connect(&self, query: &str) -> Option<Client> {
        let (server, client) = tokio::io::duplex(CONNECTION_BYTES);
        let target = format!("/engine.io/?EIO=4&transport=websocket{query}");
        let request = Request::get(target).body(()).unwrap();
        self.service.clone().oneshot((server, request)).await.ok()?;
        Some(Client(WebSocketStream::from_raw_socket(client, Role::Client, None).await))
    }

    pub fn socket(&self) -> Arc<Socket<()>> {
        self.handler.sockets.lock().unwrap().last().expect("a session").clone()
    }

    /// Whether anything but the handler still has the last session, which the handler forgets.
    pub async fn has_last(&self) -> bool {
        let socket = Arc::downgrade(&self.handler.sockets.lock().unwrap().pop().expect("a session"));
        let began = Instant::now();
        // What ends now gets to end.
        while socket.strong_count() > 0 && began.elapsed() < PATIENCE / 5 {
            tokio::task::yield_now().await;
        }
        socket.strong_count() > 0
    }

    /// What the handler was told, once it is at least this many things.
    pub async fn told(&self, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let mut changed = std::pin::pin!(self.handler.changed.notified());
                changed.as_mut().enable();
                if self.handler.told.lock().unwrap().len() >= count {
                    return;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, enough).await.expect("the handler is told");
        // Whatever it would be told besides.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.handler.told.lock().unwrap().clone()
    }
}

fn id_in(opening: &str) -> String {
    opening.split('"').nth(3).expect("an id").to_owned()
}

/// The other end of a WebSocket.
pub struct Client(WebSocketStream<DuplexStream>);

impl Client {
    pub async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }

    pub async fn send_if_open(&mut self, packet: &str) {
        let _sent = self.0.send(Message::text(packet)).await;
    }

    pub async fn send_bytes(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::binary(Bytes::from_static(bytes))).await.unwrap();
    }

    /// Sends a ping of WebSocket itself, whose answer is as long, if the server takes it.
    pub async fn could_ping(&mut self, data: &'static [u8]) -> bool {
        timeout(SILENCE, self.0.send(Message::Ping(Bytes::from_static(data)))).await.is_ok()
    }

    /// How many answers to such pings come until there are no more.
    pub async fn pongs(&mut self) -> usize {
        let mut pongs = 0;
        while let Ok(pong) = timeout(SILENCE, self.0.next()).await {
            assert!(pong.unwrap().unwrap().is_pong());
            pongs += 1;
        }
        pongs
    }

    pub async fn next_of_any_kind(&mut self) -> String {
        match timeout(PATIENCE, self.0.next()).await.expect("something").unwrap().unwrap() {
            Message::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Says that it leaves, and waits until the other side says so too.
    pub async fn close(mut self) -> bool {
        self.0.close(None).await.unwrap();
        matches!(timeout(PATIENCE, self.0.next()).await.expect("an end"), Some(Ok(Message::Close(_))))
    }

    /// The next packet, binary ones as what they are printed like; `None` at the proper end of the connection.
    pub async fn next(&mut self) -> Option<String> {
        match timeout(PATIENCE, self.0.next()).await.expect("a packet, or the end")? {
            Ok(Message::Text(text)) => Some(text.to_string()),
            Ok(Message::Binary(data)) => Some(format!("{data:?}")),
            Ok(Message::Close(_)) => {
                // Which also says that this side has understood.
                let _end = self.0.next().await;
                None
            }
            other => panic!("{other:?}"),
        }
    }

    /// As [`Client::next`], where the connection may also just break off.
    pub async fn ends_or_says(&mut self) -> Option<String> {
        let next = timeout(PATIENCE, self.0.next()).await.expect("a packet, or the end");
        next?.ok().filter(|message| !message.is_close()).map(|message| message.to_string())
    }

    /// Goes over from polling.
    pub async fn go_over(&mut self) {
        self.send("2probe").await;
        assert_eq!(self.next().await.as_deref(), Some("3probe"));
        self.send("5").await;
    }
}
