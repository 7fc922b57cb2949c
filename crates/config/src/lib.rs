//! Typed configuration of both programs, read once at start.
//!
//! Each setting comes from the environment (`UPPER_CASE`) or else from a secret file (`/run/secrets/<lower_case>`).
//! Missing and invalid settings are reported together, by name and never by value. This is the only crate that reads
//! the process environment. It knows nothing about what the settings are used for and opens no connection.

mod api;
mod database;
mod database_url;
mod error;
mod frontend;
mod http;
mod identity;
mod log;
mod messaging;
mod object_storage;
mod parse;
mod reader;
mod redis;
mod settings;
mod source;
mod stripe;
#[cfg(test)]
mod tests;

pub use api::ApiConfig;
pub use database::DatabaseConfig;
pub use error::{ConfigErrors, Problem};
pub use frontend::FrontendConfig;
pub use http::HttpConfig;
pub use identity::{AuthentikConfig, LoginLimits, OidcConfig, SessionConfig, SigningAlgorithm};
pub use log::{LogConfig, LogFormat};
pub use messaging::{ChatLimits, MessagingConfig};
pub use object_storage::S3Config;
pub use redis::RedisUrl;
pub use settings::{Program, Setting, SettingDefault, settings, settings_markdown};
pub use source::Source;
pub use stripe::StripeConfig;
