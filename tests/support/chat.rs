//! A small Socket.IO client over WebSocket, for the bulk of the tests; the JavaScript client is tried apart.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{ChatServer, Persona, settings};

/// How long a test waits for something to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connected socket.
pub struct ChatClient {
    /// The socket's id, which is also the Engine.IO session's.
    pub sid: String,
    outgoing: mpsc::UnboundedSender<String>,
    shared: Arc<Shared>,
    acknowledgements: AtomicU64,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<(String, Value)>>,
    awaited: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    closed: Mutex<Option<String>>,
    changed: Notify,
    is_mute: AtomicBool,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum Refused {
    /// The handshake was answered with this status and body.
    Http(u16, Value),
    /// A CONNECT_ERROR packet with this message.
    Connect(String),
    /// The connection ended before.
    Closed,
}

impl Persona {
    /// A socket with this persona's cookie, from the frontend.
    pub async fn chat(&self, server: &ChatServer) -> ChatClient {
        self.try_chat(server).await.unwrap_or_else(|refused| panic!("{} gets no socket: {refused:?}", self.name))
    }

    pub async fn try_chat(&self, server: &ChatServer) -> Result<ChatClient, Refused> {
        self.try_chat_at(&server.url).await
    }

    /// As [`Persona::try_chat`], at the address of a replica that may be gone.
    pub async fn try_chat_at(&self, url: &str) -> Result<ChatClient, Refused> {
        ChatClient::connect_at(url, &[("cookie", &self.cookie), ("origin", settings::FRONTEND)], None).await
    }
}

impl ChatClient {
    /// Connects with these headers, and with this token in the CONNECT packet.
    pub async fn connect(
        server: &ChatServer,
        headers: &[(&'static str, &str)],
        token: Option<&str>,
    ) -> Result<Self, Refused> {
        Self::connect_at(&server.url, headers, token).await
    }

    async fn connect_at(url: &str, headers: &[(&'static str, &str)], token: Option<&str>) -> Result<Self, Refused> {
        let url = format!("{}/socket.io/?EIO=4&transport=websocket", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a WebSocket address");
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        let mut stream = match tokio_tungstenite::connect_async(request).await {
            Ok((stream, _)) => stream,
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                return Err(Refused::Http(
                    response.status().as_u16(),
                    serde_json::from_slice(body).unwrap_or_default(),
                ));
            }
            Err(_) => return Err(Refused::Closed),
        };
        let opening = next_text(&mut stream).await.ok_or(Refused::Closed)?;
        assert!(opening.starts_with('0'), "{opening}");
        let auth = token.map(|token| json!({ "token": token }).to_string()).unwrap_or_default();
        stream.send(Message::text(format!("40{auth}"))).await.map_err(|_| Refused::Closed)?;
        let answer = next_text(&mut stream).await.ok_or(Refused::Closed)?;
        if answer == "1" {
            return Err(Refused::Closed);
        }
        let body = |text: &str| serde_json::from_str::<Value>(text).expect("a packet with JSON");
        if let Some(error) = answer.strip_prefix("44") {
            return Err(Refused::Connect(body(error)["message"].as_str().unwrap_or_default().to_owned()));
        }
        let sid = body(answer.strip_prefix("40").expect("a CONNECT packet"))["sid"].as_str().expect("a sid").to_owned();
        let shared = Arc::new(Shared::default());
        let (outgoing, queue) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(stream, queue, outgoing.clone(), Arc::clone(&shared)));
        Ok(Self { sid, outgoing, shared, acknowledgements: AtomicU64::new(0), task })
    }

    pub fn emit(&self, event: &str, payload: Value) {
        self.send_packet(format!("42{}", json!([event, payload])));
    }

    /// Sends a whole Engine.IO packet.
    pub fn send_packet(&self, packet: String) {
        // A closed socket is what some tests wait for.
        let _sent = self.outgoing.send(packet);
    }

    /// Sends an event and waits for its acknowledgement.
    pub async fn ask(&self, event: &str, payload: Value) -> Value {
        let id = self.acknowledgements.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.shared.awaited.lock().unwrap().insert(id, sender);
        self.send_packet(format!("42{id}{}", json!([event, payload])));
        let answer = timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_| panic!("{event} is not acknowledged")).expect("the socket lives")
    }

    /// What came under this name so far.
    pub fn received(&self, event: &str) -> Vec<Value> {
        let received = self.shared.received.lock().unwrap();
        received.iter().filter(|(name, _)| name == event).map(|(_, payload)| payload.clone()).collect()
    }

    /// Everything that came so far.
    pub fn received_all(&self) -> Vec<(String, Value)> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until `count` events of this name came; returns those that did.
    pub async fn wait_for(&self, event: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} × {event}");
        self.wait(&what, || Some(self.received(event)).filter(|received| received.len() >= count)).await
    }

    /// Waits until the server closes the connection or ends the socket; says which.
    pub async fn wait_for_close(&self) -> String {
        self.wait("the end", || self.shared.closed.lock().unwrap().clone()).await
    }

    /// Waits, however long it takes, until the connection is closed.
    pub async fn closed(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.is_closed() {
                return;
            }
            changed.await;
        }
    }

    /// From now on pings are not answered.
    pub fn mute(&self) {
        self.shared.is_mute.store(true, Ordering::Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.shared.closed.lock().unwrap().is_some()
    }

    /// Waits until everything that was sent to this socket before has come, what it missed included: its own event is
    /// answered after that.
    pub async fn settle(&self) {
        self.ask("identifyUser", json!({ "userId": "" })).await;
    }

    /// As [`ChatClient::settle`], unless the socket ends meanwhile.
    pub async fn settle_or_end(&self) {
        let (sender, answer) = oneshot::channel();
        let id = self.acknowledgements.fetch_add(1, Ordering::Relaxed);
        self.shared.awaited.lock().unwrap().insert(id, sender);
        self.send_packet(format!("42{id}{}", json!(["identifyUser", { "userId": "" }])));
        tokio::select! {
            _answered = answer => {}
            () = self.closed() => {}
        }
    }

    async fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let waiting = async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("gave up waiting for {what}; received {:?}", self.received_all()))
    }
}

impl Drop for ChatClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn next_text(stream: &mut Stream) -> Option<String> {
    loop {
        match timeout(PATIENCE, stream.next()).await.ok()?? {
            Ok(Message::Text(text)) if text.as_str() == "2" => stream.send(Message::text("3")).await.ok()?,
            Ok(Message::Text(text)) => return Some(text.to_string()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn run(
    stream: Stream,
    mut queue: mpsc::UnboundedReceiver<String>,
    outgoing: mpsc::UnboundedSender<String>,
    shared: Arc<Shared>,
) {
    let (mut sink, mut source) = stream.split();
    let reason = loop {
        tokio::select! {
            packet = queue.recv() => {
                let Some(packet) = packet else { break "dropped" };
                if sink.send(Message::text(packet)).await.is_err() {
                    break "transport close";
                }
            }
            message = source.next() => match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    if !shared.is_mute.load(Ordering::Relaxed) {
                        let _sent = outgoing.send("3".to_owned());
                    }
                }
                Some(Ok(Message::Text(text))) if text.starts_with("41") => break "io server disconnect",
                Some(Ok(Message::Text(text))) => take(&shared, &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break "transport close",
                Some(Ok(_)) => {}
            },
        }
    };
    *shared.closed.lock().unwrap() = Some(reason.to_owned());
    shared.awaited.lock().unwrap().clear();
    shared.changed.notify_waiters();
}

fn take(shared: &Shared, packet: &str) {
    if let Some(event) = packet.strip_prefix("42") {
        let mut parts: Vec<Value> = serde_json::from_str(event).expect("an event is an array");
        let payload = if parts.len() > 1 { parts.remove(1) } else { Value::Null };
        let name = parts[0].as_str().expect("an event has a name").to_owned();
        shared.received.lock().unwrap().push((name, payload));
    } else if let Some(answer) = packet.strip_prefix("43") {
        let start = answer.find('[').expect("an acknowledgement is an array");
        let id: u64 = answer[..start].parse().expect("an acknowledgement has an id");
        let values: Vec<Value> = serde_json::from_str(&answer[start..]).expect("an acknowledgement is an array");
        if let Some(sender) = shared.awaited.lock().unwrap().remove(&id) {
            let _taken = sender.send(values.into_iter().next().unwrap_or_default());
        }
    }
    shared.changed.notify_waiters();
}
