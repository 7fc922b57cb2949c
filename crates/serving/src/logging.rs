//! Structured logs on standard error: JSON for machines, text for people. No cookie, token, password or e-mail is
//! ever a field.

use freehunt_config::{LogConfig, LogFormat};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::traces::Traces;

/// Starts logging for the process, and the recording of traces; a second start (in tests) changes nothing.
pub fn start(config: &LogConfig, traces: Option<&Traces>) {
    let filter = filter(&config.filter);
    let lines = match config.format {
        LogFormat::Json => json_lines(std::io::stderr).boxed(),
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).boxed(),
    };
    let spans = traces.map(Traces::layer);
    let _started = tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init();
}

/// The lines that `text` asks for, without those of libraries that write a secret at the levels an operator turns on to
/// look for a fault: the S3 client names its access key, the Socket.IO server what people write to each other.
pub fn filter(text: &str) -> EnvFilter {
    const QUIET: [&str; 3] = ["aws=warn", "socketioxide=info", "engineioxide=info"];
    let filter = EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info"));
    QUIET
        .into_iter()
        .fold(filter, |filter, quiet| filter.add_directive(quiet.parse().expect("the directive is well-formed")))
}

/// One JSON object a line, whatever a text in it holds.
pub fn json_lines<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    fmt::layer().json().with_writer(writer)
}

/// What the configuration found odd, without its values.
pub fn warn_all(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Fault case 161.
    #[test]
    fn a_text_with_newlines_and_escapes_stays_one_json_line() {
        let written = Written::default();
        let make = {
            let written = written.clone();
            move || written.clone()
        };
        let evil = "x\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\n\u{1b}[31mred\u{1b}[0m\u{2028}\0";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(json_lines(make)), || {
            let span = tracing::info_span!("request", route = evil);
            let _entered = span.enter();
            tracing::error!(field = evil, display = %evil, debug = ?evil, "said {evil}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n') && !text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["fields"]["field"], evil);
        assert_eq!((&line["level"], &line["span"]["route"]), (&"ERROR".into(), &evil.into()));
    }
}
