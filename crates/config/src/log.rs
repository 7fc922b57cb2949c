//! How log lines look and which are written.

use crate::parse;
use crate::reader::{Reader, Reported};

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// Text for people.
    Text,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Form of the lines.
    pub format: LogFormat,
    /// Filter in the notation of `RUST_LOG`.
    pub filter: String,
}

impl LogConfig {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let format = reader.value("LOG_FORMAT", parse_format);
        let filter = reader.value("RUST_LOG", parse::line);
        Ok(Self { format: format?, filter: filter? })
    }
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err("is neither json nor text".to_owned()),
    }
}
