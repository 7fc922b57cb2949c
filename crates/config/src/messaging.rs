//! The configuration of the Socket.IO server.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use crate::api::API_PORT;
use crate::database::DatabaseConfig;
use crate::error::ConfigErrors;
use crate::frontend::FrontendConfig;
use crate::http::HttpConfig;
use crate::identity::{AuthentikConfig, OidcConfig, SessionConfig};
use crate::log::LogConfig;
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::redis::RedisUrl;
use crate::source::Source;

/// Port of the Socket.IO server when `PORT` is not set.
const MESSAGING_PORT: u16 = 3001;

/// Everything the Socket.IO server needs to know.
#[derive(Clone, Debug)]
pub struct MessagingConfig {
    /// PostgreSQL.
    pub database: DatabaseConfig,
    /// The listener.
    pub http: HttpConfig,
    /// The web frontend, cookies and origins.
    pub frontend: FrontendConfig,
    /// The identity provider.
    pub authentik: AuthentikConfig,
    /// OpenID Connect, whose tokens a session may stand on.
    pub oidc: OidcConfig,
    /// Sessions.
    pub sessions: SessionConfig,
    /// Redis to spread messages over replicas; `None` uses PostgreSQL.
    pub redis_url: Option<RedisUrl>,
    /// The log.
    pub log: LogConfig,
    /// Separate listener for metrics, never routed publicly; `None` serves none.
    pub metrics_address: Option<SocketAddr>,
    /// OpenTelemetry collector that traces are sent to; `None` sends none.
    pub otlp_endpoint: Option<Url>,
    /// Whether the description of the events is served.
    pub docs_enabled: bool,
    /// Limits on what one user may do.
    pub chat: ChatLimits,
    /// Things the operator should know although they stop nothing; to be logged once at start. Hold no value.
    pub warnings: Vec<String>,
}

impl MessagingConfig {
    /// Reads the whole configuration.
    ///
    /// # Errors
    /// Every setting that is missing or invalid, by name.
    pub fn load(source: &Source) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(source);
        let config = Self::read(&mut reader);
        let (config, warnings) = reader.finish(config)?;
        Ok(Self { warnings, ..config })
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let database = DatabaseConfig::read(reader);
        let http = HttpConfig::read(reader, MESSAGING_PORT);
        // `PORT` is this program's own here, so the API is assumed at its default port.
        let frontend = FrontendConfig::read(reader, API_PORT);
        let authentik = AuthentikConfig::read(reader);
        let oidc = OidcConfig::read(reader, authentik.as_ref().ok());
        let sessions = SessionConfig::read(reader);
        let redis_url = RedisUrl::read(reader);
        let log = LogConfig::read(reader);
        let metrics_address = reader.optional("METRICS_ADDRESS", parse::socket_address);
        let otlp_endpoint = reader.optional("OTEL_EXPORTER_OTLP_ENDPOINT", parse::http_url);
        let docs_enabled = reader.optional("DOCS_ENABLED", parse::boolean);
        let chat = ChatLimits::read(reader);
        let frontend = frontend?;
        Ok(Self {
            database: database?,
            http: http?,
            docs_enabled: docs_enabled?.unwrap_or_else(|| frontend.is_local()),
            frontend,
            authentik: authentik?,
            oidc: oidc?,
            sessions: sessions?,
            redis_url: redis_url?,
            log: log?,
            metrics_address: metrics_address?,
            otlp_endpoint: otlp_endpoint?,
            chat: chat?,
            warnings: Vec::new(),
        })
    }
}

/// Limits that keep one user from exhausting the Socket.IO server.
#[derive(Clone, Debug)]
pub struct ChatLimits {
    /// Open sockets per user and replica.
    pub sockets_per_user: usize,
    /// Events per second and socket.
    pub events_per_second: u32,
    /// Largest packet in bytes.
    pub max_payload_bytes: usize,
    /// Age up to which messages are sent again after a reconnect.
    pub replay_window: Duration,
    /// Packets that may wait for a slow socket before it is dropped.
    pub socket_buffer: usize,
}

impl ChatLimits {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let sockets_per_user = reader.number("CHAT_SOCKETS_PER_USER", 1..=10_000_u32);
        let events_per_second = reader.number("CHAT_EVENTS_PER_SECOND", 1..=10_000_u32);
        let max_payload_bytes = reader.number("CHAT_MAX_PAYLOAD_BYTES", 1_024..=16_777_216_u32);
        let replay_minutes = reader.number("CHAT_REPLAY_MINUTES", 0..=1_440_u64);
        let socket_buffer = reader.number("CHAT_SOCKET_BUFFER", 16..=65_536_u32);
        Ok(Self {
            sockets_per_user: sockets_per_user? as usize,
            events_per_second: events_per_second?,
            max_payload_bytes: max_payload_bytes? as usize,
            replay_window: Duration::from_secs(replay_minutes? * 60),
            socket_buffer: socket_buffer? as usize,
        })
    }
}
