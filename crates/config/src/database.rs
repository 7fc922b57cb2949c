//! How to reach PostgreSQL and how many connections to hold.
//!
//! Builds the connection options; opening connections is the storage crate's business.

use std::fmt;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::database_url::DatabaseUrl;
use crate::error::ConfigErrors;
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::source::Source;

/// Connections in the pool when neither a setting nor the URL says otherwise.
const DEFAULT_MAX_CONNECTIONS: u32 = 24;

/// The database connection.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// Everything needed to connect: UTC as time zone, the schema as search path, no logging of statements.
    pub options: PgConnectOptions,
    /// Schema that holds the tables.
    pub schema: String,
    /// Largest number of connections in the pool.
    pub max_connections: u32,
    /// How long to wait for a connection from the pool.
    pub acquire_timeout: Duration,
}

impl DatabaseConfig {
    /// Reads the database settings alone, for commands that need nothing else.
    ///
    /// # Errors
    /// Every setting that is missing or invalid.
    pub fn load(source: &Source) -> Result<Self, ConfigErrors> {
        Self::load_with_warnings(source).map(|(config, _)| config)
    }

    /// As [`DatabaseConfig::load`], with the warnings, which the programs' configurations carry themselves.
    ///
    /// # Errors
    /// Every setting that is missing or invalid.
    pub fn load_with_warnings(source: &Source) -> Result<(Self, Vec<String>), ConfigErrors> {
        let mut reader = Reader::new(source);
        let config = Self::read(&mut reader);
        reader.finish(config)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let url = reader.value("DATABASE_URL", DatabaseUrl::parse);
        let max_connections = reader.optional("DATABASE_MAX_CONNECTIONS", parse::number(1..=1000));
        let acquire_timeout = reader.milliseconds("DATABASE_ACQUIRE_TIMEOUT_MS");

        let url = url?;
        for warning in &url.warnings {
            reader.warn(warning);
        }
        if url.parameters.behind_pgbouncer {
            reader.warn(
                "DATABASE_URL: with pgbouncer=true, LISTEN and advisory locks only work if PgBouncer pools by session",
            );
        }
        let schema = url.parameters.schema.clone().unwrap_or_else(|| "public".to_owned());
        Ok(Self {
            options: connect_options(&url, &schema),
            schema,
            max_connections: max_connections?.or(url.parameters.connection_limit).unwrap_or(DEFAULT_MAX_CONNECTIONS),
            acquire_timeout: acquire_timeout?,
        })
    }
}

fn connect_options(url: &DatabaseUrl, schema: &str) -> PgConnectOptions {
    let parameters = &url.parameters;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .port(url.port.unwrap_or(5432))
        .ssl_mode(parameters.ssl_mode.unwrap_or(PgSslMode::Prefer))
        .application_name(parameters.application_name.as_deref().unwrap_or("freehunt"));
    match &url.host {
        Some(directory) if directory.starts_with('/') => options = options.socket(directory),
        Some(host) => options = options.host(host),
        None => {}
    }
    if let Some(user) = &url.user {
        options = options.username(user);
    }
    if let Some(password) = &url.password {
        options = options.password(password);
    }
    if let Some(database) = &url.database {
        options = options.database(database);
    }
    if let Some(path) = &parameters.ssl_root_certificate {
        options = options.ssl_root_cert(path);
    }
    if parameters.behind_pgbouncer {
        options = options.statement_cache_capacity(0);
    } else if let Some(size) = parameters.statement_cache_size {
        options = options.statement_cache_capacity(size);
    }
    // The last assignment of a server setting wins, so these two cannot be overridden by the URL.
    options
        .options(parameters.options.iter().map(|(name, value)| (name, value)))
        .options([("search_path", quoted(schema).as_str()), ("TimeZone", "UTC")])
        .disable_statement_logging()
}

/// Quotes an identifier, so that upper case and odd characters keep their meaning.
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own debug output shows the password.
        formatter
            .debug_struct("DatabaseConfig")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database())
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish_non_exhaustive()
    }
}
