//! One socket: its session, what it sent and awaits handling, and what it has yet to be sent.
//!
//! Socket.IO drops what exceeds a socket's own buffer, acknowledgements too. So that buffer is small, and events leave some
//! of it to these; the rest waits here in order, its payloads shared by all sockets. A client that is too slow for that is
//! cut: it reconnects and is sent again what it missed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use engineioxide::socket::Waiting;
use freehunt_config::ChatLimits;
use freehunt_domain::{
    ids::{ConversationId, SessionId, UserId},
    policy::Actor,
    sessions::Token,
};
use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::{SendError, SocketError, extract::SocketRef, socket::Sid};

use crate::{
    auth::{Handshake, Recognised},
    handlers::Incoming,
    limits::{Bucket, EventLimit, Verdict},
};

/// Signs of typing a second and socket.
const TYPING_PER_SECOND: f32 = 2.0;
/// Notices of joined and left rooms for a partner, at once and a second.
const NOTICES_AT_ONCE: f32 = 6.0;
const NOTICES_PER_SECOND: f32 = 2.0;
/// Events that may wait to be handled, which takes longer than usual when the database is slow.
const LONGEST_LINE: usize = 256;
/// Rooms one socket may be in.
pub const MOST_ROOMS: usize = 200;
/// Packets in a socket's own buffer. Each holds a copy of its payload, and a client that does not read keeps them all.
pub const BUFFERED_PACKETS: usize = 64;
/// Packets of events among them; the others are left to acknowledgements and to the packet that ends a socket.
const BUFFERED_EVENTS: usize = 48;
/// Bytes that may wait beside the socket's own buffer.
const MOST_WAITING_BYTES: usize = 8 << 20;
/// How long a socket may take nothing while something waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// After this, what waits is looked at again.
const PAUSE: Duration = Duration::from_millis(5);
/// Between the packet that ends a socket and the end of its transport.
const FAREWELL: Duration = Duration::from_millis(500);

/// A payload, serialised once for all sockets it goes to.
pub type Payload = Arc<RawValue>;

pub fn payload_of<T: Serialize>(value: &T) -> Result<Payload, serde_json::Error> {
    serde_json::value::to_raw_value(value).map(Payload::from)
}

pub struct Client {
    pub id: Sid,
    pub user_id: UserId,
    pub session_id: SessionId,
    /// The session's; shared by its sockets.
    pub ticket: Arc<Token>,
    pub began: Instant,
    actor: Actor,
    socket: SocketRef,
    /// In the socket's own buffer.
    waiting: Waiting,
    handshake: Arc<Handshake>,
    /// Packets that may wait beside the socket's own buffer.
    most_waiting: usize,
    state: Mutex<ClientState>,
}

struct ClientState {
    events: EventLimit,
    typing: Bucket,
    notices: Bucket,
    /// Rooms the client has joined, each with the other participant.
    rooms: HashMap<ConversationId, UserId>,
    inbox: VecDeque<Incoming>,
    is_handling: bool,
    outbox: VecDeque<(&'static str, Payload)>,
    waiting_bytes: usize,
    is_draining: bool,
}

impl Client {
    pub fn new(socket: SocketRef, recognised: Recognised, handshake: Arc<Handshake>, limits: &ChatLimits) -> Arc<Self> {
        let now = Instant::now();
        // Engine.IO gives every session one.
        let waiting = socket.req_parts().extensions.get().cloned().unwrap_or_default();
        Arc::new(Self {
            id: socket.id,
            user_id: recognised.user_id,
            session_id: recognised.session_id,
            ticket: Arc::clone(&recognised.ticket),
            began: now,
            actor: recognised.actor(),
            socket,
            waiting,
            handshake,
            most_waiting: limits.socket_buffer,
            state: Mutex::new(ClientState {
                events: EventLimit::new(limits.events_per_second, now),
                typing: Bucket::new(TYPING_PER_SECOND, TYPING_PER_SECOND, now),
                notices: Bucket::new(NOTICES_AT_ONCE, NOTICES_PER_SECOND, now),
                rooms: HashMap::new(),
                inbox: VecDeque::new(),
                // By the welcome, until the client was given what it missed.
                is_handling: true,
                outbox: VecDeque::new(),
                waiting_bytes: 0,
                is_draining: false,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub fn is_connected(&self) -> bool {
        self.socket.connected()
    }

    /// Nothing reaches the client any more, though Engine.IO may take a while to notice.
    pub fn is_over(&self) -> bool {
        self.handshake.has_ended()
    }

    pub fn judge_event(&self) -> Verdict {
        self.state().events.judge(Instant::now())
    }

    pub fn may_type(&self) -> bool {
        self.state().typing.take(Instant::now())
    }

    pub fn may_notify(&self) -> bool {
        self.state().notices.take(Instant::now())
    }

    pub fn partner_in(&self, room: ConversationId) -> Option<UserId> {
        self.state().rooms.get(&room).copied()
    }

    /// `false` when the client is in as many rooms as one may be in.
    pub fn join(&self, room: ConversationId, partner: UserId) -> bool {
        let mut state = self.state();
        let fits = state.rooms.len() < MOST_ROOMS || state.rooms.contains_key(&room);
        if fits {
            state.rooms.insert(room, partner);
        }
        fits
    }

    /// The other participant; `None` for a room the client is not in.
    pub fn leave(&self, room: ConversationId) -> Option<UserId> {
        self.state().rooms.remove(&room)
    }

    /// Puts an event in line, unless the line is too long. `true` when nobody handles it yet: then the caller does.
    pub fn receive(&self, incoming: Incoming) -> bool {
        let mut state = self.state();
        if state.inbox.len() >= LONGEST_LINE {
            return false;
        }
        state.inbox.push_back(incoming);
        !std::mem::replace(&mut state.is_handling, true)
    }

    /// The next event in line; with `None` the handling is over.
    pub fn next_received(&self) -> Option<Incoming> {
        let mut state = self.state();
        let next = state.inbox.pop_front();
        state.is_handling = next.is_some();
        next
    }

    /// Sends now, or as soon as there is room. Never blocks, and keeps the order.
    pub fn send(self: &Arc<Self>, event: &'static str, payload: &Payload) {
        if self.is_over() {
            return;
        }
        let mut state = self.state();
        if state.outbox.is_empty() && self.has_room() {
            match self.socket.emit(event, &**payload) {
                Err(SendError::Socket(SocketError::InternalChannelFull)) => {}
                // A closed socket gets its messages when it reconnects.
                Ok(()) | Err(_) => return,
            }
        }
        let fits = state.outbox.len() < self.most_waiting && state.waiting_bytes < MOST_WAITING_BYTES;
        if !fits {
            drop(state);
            self.cut("it does not read what it is sent");
            return;
        }
        state.waiting_bytes += payload.get().len();
        state.outbox.push_back((event, Arc::clone(payload)));
        if !std::mem::replace(&mut state.is_draining, true) {
            tokio::spawn(Arc::clone(self).drain());
        }
    }

    /// So full that an acknowledgement might be dropped.
    fn is_full(&self) -> bool {
        self.waiting.packets() > BUFFERED_EVENTS && self.is_connected() && !self.is_over()
    }

    fn has_room(&self) -> bool {
        self.waiting.packets() < BUFFERED_EVENTS
    }

    /// As [`Client::send`], for a payload of its own.
    pub fn send_value<T: Serialize>(self: &Arc<Self>, event: &'static str, value: &T) {
        match payload_of(value) {
            Ok(payload) => self.send(event, &payload),
            Err(error) => tracing::error!(%error, event, "a payload could not be serialised"),
        }
    }

    async fn drain(self: Arc<Self>) {
        let mut progress = Instant::now();
        loop {
            tokio::time::sleep(PAUSE).await;
            if self.send_waiting(&mut progress) {
                return;
            }
            if progress.elapsed() > PATIENCE {
                self.cut("it has not read anything for a while");
                progress = Instant::now();
            }
        }
    }

    /// Sends what there is room for; `true` when nothing waits any more.
    fn send_waiting(&self, progress: &mut Instant) -> bool {
        let mut state = self.state();
        if self.is_over() {
            state.outbox.clear();
        }
        while self.has_room() {
            let Some((event, payload)) = state.outbox.front() else { break };
            match self.socket.emit(event, &**payload) {
                Err(SendError::Socket(SocketError::InternalChannelFull)) => return false,
                Err(SendError::Socket(_)) => state.outbox.clear(),
                Ok(()) | Err(SendError::Serialize(_)) => {
                    let sent = payload.get().len();
                    state.waiting_bytes = state.waiting_bytes.saturating_sub(sent);
                    state.outbox.pop_front();
                    *progress = Instant::now();
                }
            }
        }
        if !state.outbox.is_empty() {
            return false;
        }
        state.outbox.shrink_to_fit();
        state.waiting_bytes = 0;
        state.is_draining = false;
        true
    }

    /// Waits until the socket has been sent, or cannot be sent, what waits now, and has room for an answer.
    pub async fn caught_up(&self) {
        while self.state().is_draining || self.is_full() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Closes the transport, so that the client reconnects by itself.
    pub fn cut(&self, reason: &str) {
        if self.is_over() {
            return;
        }
        tracing::debug!(socket = %self.id, user = %self.user_id, reason, "cut a socket");
        metrics::counter!("freehunt_sockets_cut_total", "how" => "transport").increment(1);
        self.handshake.end();
    }

    /// Ends the socket for good: a client does not reconnect by itself after this packet.
    pub fn expel(&self, reason: &str) {
        tracing::debug!(socket = %self.id, user = %self.user_id, reason, "expelled a socket");
        metrics::counter!("freehunt_sockets_cut_total", "how" => "expelled").increment(1);
        let said = self.socket.clone().disconnect();
        if said.is_err() {
            self.handshake.end();
        } else {
            self.end_transport_soon();
        }
    }

    /// A transport without a socket serves nobody.
    pub fn end_transport_soon(&self) {
        let handshake = Arc::clone(&self.handshake);
        tokio::spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            handshake.end();
        });
    }
}
