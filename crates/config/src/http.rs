//! Where a program listens and how it starts and stops serving.

use std::net::IpAddr;
use std::time::Duration;

use crate::error::ConfigErrors;
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::source::Source;

/// The HTTP listener of one program.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Number of reverse proxies whose `X-Forwarded-For` entry is believed; 0 uses the address of the connection.
    pub trusted_proxy_hops: u8,
    /// How long it keeps serving, while reporting that it is not ready, after it was told to stop.
    pub shutdown_delay: Duration,
    /// How long running requests may take to finish after that.
    pub shutdown_timeout: Duration,
    /// Longest time one request may take.
    pub request_timeout: Duration,
    /// Longest time the header of a request may take to arrive, and a connection may be idle.
    pub header_timeout: Duration,
}

impl HttpConfig {
    /// The configured port alone, for a health check beside the server.
    pub fn port_of(source: &Source, default_port: u16) -> Result<u16, ConfigErrors> {
        let mut reader = Reader::new(source);
        let port = reader.optional("PORT", parse::number(0..=u16::MAX));
        reader.finish(port).map(|(port, _)| port.unwrap_or(default_port))
    }

    pub(crate) fn read(reader: &mut Reader<'_>, default_port: u16) -> Result<Self, Reported> {
        let bind = reader.value("BIND_ADDRESS", parse::ip_address);
        let port = reader.optional("PORT", parse::number(0..=u16::MAX));
        let trusted_proxy_hops = reader.number("TRUSTED_PROXY_HOPS", 0..=10);
        let shutdown_delay = reader.number("SHUTDOWN_DELAY_MS", 0..=600_000).map(Duration::from_millis);
        let shutdown_timeout = reader.milliseconds("SHUTDOWN_TIMEOUT_MS");
        let request_timeout = reader.milliseconds("REQUEST_TIMEOUT_MS");
        let header_timeout = reader.milliseconds("HEADER_TIMEOUT_MS");
        Ok(Self {
            bind: bind?,
            port: port?.unwrap_or(default_port),
            trusted_proxy_hops: trusted_proxy_hops?,
            shutdown_delay: shutdown_delay?,
            shutdown_timeout: shutdown_timeout?,
            request_timeout: request_timeout?,
            header_timeout: header_timeout?,
        })
    }
}
