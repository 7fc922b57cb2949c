//! What goes wrong between this program and Authentik, and what Authentik's forms say is wrong with an input.
//!
//! No value here carries a secret: no cookie, token, password, address with a query, or body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A client could not be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the address of Authentik must be an http or https URL without user, query or fragment")]
    Url,
    #[error("the OpenID Connect issuer is not a URL")]
    Issuer(#[source] url::ParseError),
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client could not be set up")]
    Client(#[from] reqwest::Error),
}

/// Authentik gave no usable answer, so nothing is known about what was asked.
#[derive(Debug, thiserror::Error)]
#[error("Authentik gave no usable answer: {kind}")]
pub struct Unavailable {
    kind: UnavailableKind,
    source: Option<reqwest::Error>,
}

/// How an answer was missing or unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnavailableKind {
    #[error("it took too long")]
    Timeout,
    #[error("the connection failed")]
    Transport,
    #[error("it answered status {0}")]
    Status(u16),
    #[error("its answer is not of the agreed shape")]
    Malformed,
    /// It redirected to somewhere that is not followed. Nothing was sent there.
    #[error("it redirected elsewhere")]
    ForeignRedirect,
    /// Not asked at all: it failed several times just now.
    #[error("it failed repeatedly and is not asked for a moment")]
    CircuitOpen,
}

impl Unavailable {
    pub fn kind(&self) -> UnavailableKind {
        self.kind
    }
}

impl From<UnavailableKind> for Unavailable {
    fn from(kind: UnavailableKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<reqwest::Error> for Unavailable {
    fn from(error: reqwest::Error) -> Self {
        let kind = if error.is_timeout() { UnavailableKind::Timeout } else { UnavailableKind::Transport };
        Self { kind, source: Some(error.without_url()) }
    }
}

/// One complaint about one field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The sentence for the user.
    pub string: String,
    /// Machine-readable reason, such as `invalid` or `required`.
    #[serde(default)]
    pub code: String,
}

/// Complaints by field name, serialised exactly as Authentik's `response_errors`. What concerns no single
/// field is under `non_field_errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowErrors(pub BTreeMap<String, Vec<FieldError>>);

impl FlowErrors {
    /// Errors with one complaint.
    pub fn of(field: &str, string: &str, code: &str) -> Self {
        let mut errors = Self::default();
        errors.add(field, string, code);
        errors
    }

    pub fn add(&mut self, field: &str, string: &str, code: &str) {
        let error = FieldError { string: string.to_owned(), code: code.to_owned() };
        self.0.entry(field.to_owned()).or_default().push(error);
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}
