//! The sessions of one server.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use engineioxide_core::{OpenPacket, Packet, Sid, TransportType};
use http::{Request, request::Parts};

use crate::{
    config::EngineIoConfig,
    handler::EngineIoHandler,
    heartbeat,
    request::{EngineRequest, Refusal},
    socket::{DisconnectReason, Socket},
};

type Session<H> = Arc<Socket<<H as EngineIoHandler>::Data>>;

pub(crate) struct Engine<H: EngineIoHandler> {
    pub handler: Arc<H>,
    pub config: EngineIoConfig,
    sessions: RwLock<HashMap<Sid, Session<H>>>,
}

/// Ends sessions, whatever their data.
pub(crate) trait Closes: Send + Sync {
    /// Does nothing when the session has ended already.
    fn close(&self, sid: Sid, reason: DisconnectReason);
}

impl<H: EngineIoHandler> Engine<H> {
    pub fn new(handler: Arc<H>, config: EngineIoConfig) -> Arc<Self> {
        Arc::new(Self { handler, config, sessions: RwLock::default() })
    }

    /// The transport that a request asks for, and the session that it names, if it names one.
    pub fn read<B>(&self, request: &Request<B>) -> Result<(TransportType, Option<Session<H>>), Refusal> {
        let EngineRequest { sid, transport } = EngineRequest::read(request)?;
        if !self.config.allowed_transport(transport) {
            return Err(Refusal::BadRequest);
        }
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let socket = sid.map(|sid| sessions.get(&sid).cloned().ok_or(Refusal::UnknownSession)).transpose()?;
        Ok((transport, socket))
    }

    /// Begins a session of which `parts` was the first request.
    pub fn open(self: &Arc<Self>, transport: TransportType, parts: Parts) -> Session<H> {
        let weak = Arc::downgrade(self);
        let socket = Arc::new(Socket::new(transport, &self.config, parts, weak));
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).insert(socket.id, Arc::clone(&socket));
        tracing::debug!(sid = %socket.id, ?transport, "a session begins");
        Arc::clone(&self.handler).on_connect(Arc::clone(&socket));
        let watching = heartbeat::watch(Arc::clone(&socket), self.config.ping_interval, self.config.ping_timeout);
        socket.watch_by(tokio::spawn(watching).abort_handle());
        socket
    }

    /// The first packet of a session.
    pub fn opening(&self, socket: &Socket<H::Data>) -> String {
        let can_upgrade = socket.transport_type() == TransportType::Polling
            && self.config.allowed_transport(TransportType::Websocket);
        String::from(Packet::Open(OpenPacket {
            sid: socket.id,
            upgrades: can_upgrade.then_some(TransportType::Websocket).into_iter().collect(),
            ping_interval: self.config.ping_interval,
            ping_timeout: self.config.ping_timeout,
            max_payload: self.config.max_payload,
        }))
    }
}

impl<H: EngineIoHandler> Closes for Engine<H> {
    fn close(&self, sid: Sid, reason: DisconnectReason) {
        let ended = self.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(&sid);
        let Some(socket) = ended else { return };
        tracing::debug!(%sid, ?reason, "a session ends");
        socket.shut();
        let (handler, patience) = (Arc::clone(&self.handler), self.config.ping_timeout);
        // Not here: the caller may be in the handler, with its locks.
        tokio::spawn(async move {
            handler.on_disconnect(Arc::clone(&socket), reason);
            // As long as any other answer may take.
            if tokio::time::timeout(patience, socket.closed()).await.is_err() {
                socket.outbox.abandon();
            }
        });
    }
}
