//! Structured logs on standard error: JSON for machines, text for people. No cookie, token, password or e-mail is
//! ever a field.

use freehunt_config::{LogConfig, LogFormat};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::traces::Traces;

/// Starts logging for the process, and the recording of traces; a second start (in tests) changes nothing.
pub fn start(config: &LogConfig, traces: Option<&Traces>) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = match config.format {
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).boxed(),
    };
    let spans = traces.map(Traces::layer);
    let _started = tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init();
}

/// What the configuration found odd, without its values.
pub fn warn_all(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}
