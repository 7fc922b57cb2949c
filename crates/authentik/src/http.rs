//! The HTTP client all of this crate shares: TLS with ring, no redirects, no cookie store, time limits, a limit
//! on what is read, and the circuit breaker.
//!
//! It knows nothing of Authentik's paths.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use tracing::Instrument;

use crate::{
    circuit::{Circuit, CircuitSettings},
    error::{BuildError, Unavailable, UnavailableKind},
};

/// Answers longer than this are not read to their end.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Authentik closes idle connections itself; being earlier avoids writing into one that is closing.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// A whole answer with a status below 500.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Unavailable> {
        serde_json::from_slice(&self.body).map_err(|_| UnavailableKind::Malformed.into())
    }

    /// For an answer that must be a success: its body, or the status as the error.
    pub(crate) fn success_json<T: DeserializeOwned>(&self) -> Result<T, Unavailable> {
        if self.status.is_success() {
            return self.json();
        }
        if self.status.is_redirection() {
            return Err(UnavailableKind::ForeignRedirect.into());
        }
        Err(UnavailableKind::Status(self.status.as_u16()).into())
    }

    fn is_json(&self) -> bool {
        serde_json::from_slice::<IgnoredAny>(&self.body).is_ok()
    }

    /// Whether Authentik itself (not a proxy before it) refuses the caller's credentials.
    pub(crate) fn refuses_credentials(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) && self.is_json()
    }
}

pub(crate) struct Http {
    client: reqwest::Client,
    circuit: Circuit,
}

impl Http {
    /// `timeout` bounds one call, from connecting to the last byte.
    pub(crate) fn new(timeout: Duration, circuit: CircuitSettings) -> Result<Self, BuildError> {
        // Fails when a provider is installed already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("freehunt/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, circuit: Circuit::new(circuit) })
    }

    pub(crate) fn get(&self, url: url::Url) -> reqwest::RequestBuilder {
        self.client.get(url).header(header::ACCEPT, "application/json")
    }

    pub(crate) fn post(&self, url: url::Url) -> reqwest::RequestBuilder {
        self.client.post(url).header(header::ACCEPT, "application/json")
    }

    /// Sends and reads the whole answer. A status of 500 and above, and a success that is not JSON (a proxy's
    /// page, say), are errors and count as failures for the circuit breaker.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Unavailable> {
        self.execute(request.build()?).await
    }

    pub(crate) async fn execute(&self, request: reqwest::Request) -> Result<Answer, Unavailable> {
        let permit = self.circuit.permit(Instant::now())?;
        let began = Instant::now();
        let answer = self.attempt(request).instrument(tracing::info_span!("authentik", otel.kind = "client")).await;
        let outcome = if answer.is_ok() { "answered" } else { "failed" };
        metrics::histogram!("freehunt_outbound_duration_seconds", "service" => "authentik", "outcome" => outcome)
            .record(began.elapsed());
        if answer.is_ok() {
            permit.succeeded()
        } else {
            permit.failed(Instant::now())
        }
        answer
    }

    async fn attempt(&self, request: reqwest::Request) -> Result<Answer, Unavailable> {
        let mut response = self.client.execute(request).await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if status.is_server_error() {
            return Err(UnavailableKind::Status(status.as_u16()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(UnavailableKind::Malformed.into());
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer { status, headers, body };
        if status.is_success() && !answer.is_json() {
            return Err(UnavailableKind::Malformed.into());
        }
        Ok(answer)
    }
}

fn tls() -> Result<rustls::ClientConfig, BuildError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
