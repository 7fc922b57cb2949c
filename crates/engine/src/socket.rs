//! One session with a client, however it is reached.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use engineioxide_core::{ProtocolVersion, Str, TransportType};
use http::request::Parts;
use tokio::{sync::mpsc::error::TrySendError, task::AbortHandle};

use crate::{
    config::EngineIoConfig,
    engine::Closes,
    outbox::Outbox,
    outgoing::{Outgoing, with_attachments},
};
pub use crate::{outbox::Waiting, permit::Permit};
pub use engineioxide_core::Sid;

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// One side said so, or the client closed its connection.
    TransportClose,
    /// Two polls at once.
    MultipleHttpPollingError,
    /// The client sent what is no packet, or none that it may send.
    PacketParsingError,
    /// The connection broke.
    TransportError,
    /// The client did not answer a ping in time.
    HeartbeatTimeout,
    /// The server ends.
    ClosingServer,
}

pub struct Socket<D: Default + Send + Sync + 'static> {
    pub id: Sid,
    pub protocol: ProtocolVersion,
    /// The handler's own.
    pub data: D,
    /// The head of the request that began the session. Its extensions have the session's [`Waiting`].
    pub req_parts: Parts,
    pub(crate) outbox: Outbox,
    /// Whether the client has answered the last ping.
    answered: AtomicBool,
    heartbeat: OnceLock<AbortHandle>,
    sessions: Weak<dyn Closes>,
}

impl<D: Default + Send + Sync + 'static> Socket<D> {
    pub(crate) fn new(
        transport: TransportType,
        config: &EngineIoConfig,
        mut req_parts: Parts,
        sessions: Weak<dyn Closes>,
    ) -> Self {
        let outbox = Outbox::new(config.max_buffer_size, transport);
        req_parts.extensions.insert(outbox.waiting());
        Self {
            id: Sid::new(),
            protocol: ProtocolVersion::V4,
            data: D::default(),
            req_parts,
            outbox,
            answered: AtomicBool::new(true),
            heartbeat: OnceLock::new(),
            sessions,
        }
    }

    /// The task that closes the session when the client no longer answers; it ends with the session.
    pub(crate) fn watch_by(&self, heartbeat: AbortHandle) {
        let heartbeat = self.heartbeat.get_or_init(|| heartbeat);
        if self.outbox.is_closed() {
            heartbeat.abort();
        }
    }

    /// `false` when the client has not even fetched the last one.
    pub(crate) fn ping(&self) -> bool {
        self.answered.store(false, Ordering::Relaxed);
        self.outbox.push_ping()
    }

    pub(crate) fn pong(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Takes no more packets and lets the transport end once it has sent what waits.
    pub(crate) fn shut(&self) {
        self.outbox.close();
        if let Some(heartbeat) = self.heartbeat.get() {
            heartbeat.abort();
        }
    }

    pub fn transport_type(&self) -> TransportType {
        self.outbox.transport()
    }

    /// A place for one message; none while as many wait as may.
    pub fn reserve(&self) -> Result<Permit<'_>, TrySendError<()>> {
        self.outbox.reserve()
    }

    /// Sends a message, or gives it back when there is no room or the session has ended.
    pub fn emit(&self, message: impl Into<Str>) -> Result<(), TrySendError<Str>> {
        self.send(message.into(), Permit::emit)
    }

    /// As [`Socket::emit`], for bytes.
    pub fn emit_binary(&self, data: impl Into<Bytes>) -> Result<(), TrySendError<Bytes>> {
        self.send(data.into(), Permit::emit_binary)
    }

    fn send<'s, T>(&'s self, message: T, emit: impl FnOnce(Permit<'s>, T)) -> Result<(), TrySendError<T>> {
        match self.reserve() {
            Ok(permit) => {
                emit(permit, message);
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(message)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
        }
    }

    /// Sends a message when nothing else waits, unless another volatile one comes before that. `false` when the session
    /// has ended.
    pub fn emit_volatile(&self, message: impl Into<Str>) -> bool {
        self.outbox.set_volatile(vec![Outgoing::Message(message.into())])
    }

    /// As [`Socket::emit_volatile`], for bytes.
    pub fn emit_binary_volatile(&self, data: impl Into<Bytes>) -> bool {
        self.outbox.set_volatile(vec![Outgoing::Binary(data.into())])
    }

    /// As [`Socket::emit_volatile`], for a message with attachments.
    pub fn emit_many_volatile(&self, message: Str, data: VecDeque<Bytes>) -> bool {
        self.outbox.set_volatile(with_attachments(message, data).collect())
    }

    /// Ends the session; the client is told, if it can be reached.
    pub fn close(&self, reason: DisconnectReason) {
        self.outbox.push_close();
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.close(self.id, reason);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    /// Until the session has ended and its transport has let go of it.
    pub async fn closed(&self) {
        self.outbox.released().await;
    }
}

impl<D: Default + Send + Sync + 'static> fmt::Debug for Socket<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = self.transport_type();
        formatter.debug_struct("Socket").field("id", &self.id).field("transport", &transport).finish_non_exhaustive()
    }
}
