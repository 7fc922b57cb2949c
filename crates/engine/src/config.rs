//! What a server allows and how long it waits.

use std::{borrow::Cow, time::Duration};

use crate::TransportType;

#[derive(Clone, Debug)]
pub struct EngineIoConfig {
    /// Requests for this path and for what is below it are Engine.IO's.
    pub req_path: Cow<'static, str>,
    /// From the opening until the first ping, and between two pings.
    pub ping_interval: Duration,
    /// For the answer to a ping, and for the end of the transport of a session that has ended.
    pub ping_timeout: Duration,
    /// From the WebSocket of a session that polls until its transport is that WebSocket.
    pub upgrade_timeout: Duration,
    /// Messages that may wait in a session. Its own packets and attachments come on top.
    pub max_buffer_size: usize,
    /// Bytes of a posted payload.
    pub max_payload: u64,
    /// Bytes that are read from a WebSocket at once. Each keeps a buffer of this size, or of its largest frame so far.
    pub ws_read_buffer_size: usize,
    /// Bytes of a message that comes by WebSocket.
    pub ws_max_message_size: usize,
    /// Bytes of each of its frames.
    pub ws_max_frame_size: usize,
    /// The bits of the allowed [`TransportType`]s.
    pub transports: u8,
}

impl Default for EngineIoConfig {
    fn default() -> Self {
        Self {
            req_path: Cow::Borrowed("/engine.io"),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_buffer_size: 128,
            max_payload: 100_000,
            ws_read_buffer_size: 4096,
            ws_max_message_size: 64 << 20,
            ws_max_frame_size: 16 << 20,
            transports: TransportType::Polling as u8 | TransportType::Websocket as u8,
        }
    }
}

impl EngineIoConfig {
    pub fn builder() -> EngineIoConfigBuilder {
        EngineIoConfigBuilder::new()
    }

    pub fn allowed_transport(&self, transport: TransportType) -> bool {
        self.transports & transport as u8 != 0
    }
}

/// Makes an [`EngineIoConfig`]; what is not said is the default. Each method sets the field of its name.
#[derive(Debug, Default)]
pub struct EngineIoConfigBuilder {
    config: EngineIoConfig,
}

impl EngineIoConfigBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn req_path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.config.req_path = path.into();
        self
    }

    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.ping_interval = interval;
        self
    }

    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.config.upgrade_timeout = timeout;
        self
    }

    pub fn max_buffer_size(mut self, packets: usize) -> Self {
        self.config.max_buffer_size = packets;
        self
    }

    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.config.max_payload = bytes;
        self
    }

    pub fn ws_read_buffer_size(mut self, bytes: usize) -> Self {
        self.config.ws_read_buffer_size = bytes;
        self
    }

    pub fn ws_max_message_size(mut self, bytes: usize) -> Self {
        self.config.ws_max_message_size = bytes;
        self
    }

    pub fn ws_max_frame_size(mut self, bytes: usize) -> Self {
        self.config.ws_max_frame_size = bytes;
        self
    }

    pub fn transports<const COUNT: usize>(mut self, transports: [TransportType; COUNT]) -> Self {
        self.config.transports = transports.into_iter().fold(0, |bits, transport| bits | transport as u8);
        self
    }

    pub fn build(self) -> EngineIoConfig {
        self.config
    }
}
