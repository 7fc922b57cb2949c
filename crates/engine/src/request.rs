//! What a request asks for, and the answers to those that ask for nothing possible.

use bytes::Bytes;
use engineioxide_core::{Sid, TransportType};
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

/// The protocol's version in the query.
const VERSION: &str = "4";

/// What the query says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineRequest {
    /// `None` for a request that begins a session.
    pub sid: Option<Sid>,
    pub transport: TransportType,
}

impl EngineRequest {
    /// Refuses what Engine.IO's own server would refuse, and in that order. Whether the transport is allowed and the session
    /// exists is not looked at.
    pub fn read<B>(request: &Request<B>) -> Result<Self, Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let value = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
            pair.map(|(_, value)| value)
        };
        let transport = value("transport").and_then(|name| name.parse().ok()).ok_or(Refusal::UnknownTransport)?;
        let sid = value("sid");
        if sid.is_none() && *request.method() != Method::GET {
            return Err(Refusal::BadMethod);
        }
        if value("EIO") != Some(VERSION) {
            return Err(Refusal::UnsupportedVersion);
        }
        // One that cannot be read is of no session, and must not begin another.
        let sid = sid.map(|sid| sid.parse().map_err(|_| Refusal::UnknownSession)).transpose()?;
        Ok(Self { sid, transport })
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    UnsupportedVersion,
    /// The payload is longer than allowed.
    TooLong,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code_and_message().1)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// As Engine.IO's own server says it.
    fn code_and_message(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::UnsupportedVersion => (5, "Unsupported protocol version"),
            Self::TooLong => (3, "Payload too large"),
        }
    }

    pub fn answer(self) -> Response<Full<Bytes>> {
        let (code, message) = self.code_and_message();
        let status = if self == Self::TooLong { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
        answer(status, "application/json", body)
    }
}

pub(crate) fn text(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, "text/plain; charset=UTF-8", body)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
