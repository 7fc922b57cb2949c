//! The configuration of the HTTP API.

use std::{net::SocketAddr, time::Duration};

use url::Url;

use crate::database::DatabaseConfig;
use crate::error::ConfigErrors;
use crate::frontend::FrontendConfig;
use crate::http::HttpConfig;
use crate::identity::{AuthentikConfig, LoginLimits, OidcConfig, SessionConfig};
use crate::log::LogConfig;
use crate::object_storage::S3Config;
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::redis::RedisUrl;
use crate::source::Source;
use crate::stripe::StripeConfig;

/// Port of the API when `PORT` is not set.
pub(crate) const API_PORT: u16 = 3000;

/// Everything the HTTP API needs to know.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// PostgreSQL.
    pub database: DatabaseConfig,
    /// The listener.
    pub http: HttpConfig,
    /// The web frontend, cookies and origins.
    pub frontend: FrontendConfig,
    /// The identity provider.
    pub authentik: AuthentikConfig,
    /// Tokens.
    pub oidc: OidcConfig,
    /// Sessions.
    pub sessions: SessionConfig,
    /// Limits on login and registration attempts.
    pub login_limits: LoginLimits,
    /// The bucket of the avatars.
    pub s3: S3Config,
    /// Payments.
    pub stripe: StripeConfig,
    /// How long a server that starts waits for a database that cannot be reached.
    pub database_start_timeout: Duration,
    /// Whether the pages that describe the API are served.
    pub docs_enabled: bool,
    /// Redis to spread chat events over replicas; `None` uses PostgreSQL.
    pub redis_url: Option<RedisUrl>,
    /// The log.
    pub log: LogConfig,
    /// Separate listener for metrics, never routed publicly; `None` serves none.
    pub metrics_address: Option<SocketAddr>,
    /// OpenTelemetry collector that traces are sent to; `None` sends none.
    pub otlp_endpoint: Option<Url>,
    /// Things the operator should know although they stop nothing; to be logged once at start. Hold no value.
    pub warnings: Vec<String>,
}

impl ApiConfig {
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
        let http = HttpConfig::read(reader, API_PORT);
        let frontend = FrontendConfig::read(reader, http.as_ref().map_or(API_PORT, |http| http.port));
        let authentik = AuthentikConfig::read(reader);
        let oidc = OidcConfig::read(reader, authentik.as_ref().ok());
        let sessions = SessionConfig::read(reader);
        let login_limits = LoginLimits::read(reader);
        let s3 = S3Config::read(reader);
        let stripe = StripeConfig::read(reader);
        let database_start_timeout = reader.milliseconds("DATABASE_START_TIMEOUT_MS");
        let docs_enabled = reader.optional("DOCS_ENABLED", parse::boolean);
        let redis_url = RedisUrl::read(reader);
        let log = LogConfig::read(reader);
        let metrics_address = reader.optional("METRICS_ADDRESS", parse::socket_address);
        let otlp_endpoint = reader.optional("OTEL_EXPORTER_OTLP_ENDPOINT", parse::http_url);
        let frontend = frontend?;
        Ok(Self {
            database: database?,
            http: http?,
            database_start_timeout: database_start_timeout?,
            docs_enabled: docs_enabled?.unwrap_or_else(|| frontend.is_local()),
            frontend,
            authentik: authentik?,
            oidc: oidc?,
            sessions: sessions?,
            login_limits: login_limits?,
            s3: s3?,
            stripe: stripe?,
            redis_url: redis_url?,
            log: log?,
            metrics_address: metrics_address?,
            otlp_endpoint: otlp_endpoint?,
            warnings: Vec::new(),
        })
    }
}
