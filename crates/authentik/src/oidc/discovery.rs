//! The provider's discovery document and signing keys: fetched at first use, kept, refreshed when they are old
//! or when a token names a key that is not among them.
//!
//! Refreshes are single flight. While the provider is down, what was known last stays in use for a while, so
//! that tokens are still verified.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use openidconnect::{
    DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, ProviderMetadataWithLogout, core::CoreJsonWebKey,
};
use tokio::{sync::Mutex, time::Instant};

use super::{OidcError, SigningAlgorithm};
use crate::{
    error::{Unavailable, UnavailableKind},
    http::Http,
};

/// How long discovery and keys are taken as they are.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// How long they stay in use when they cannot be fetched anew.
const USABLE: Duration = Duration::from_secs(60 * 60);
/// Tokens with made-up key ids cause one refresh in this time.
const BETWEEN_REFRESHES: Duration = Duration::from_secs(10);
/// After a failed fetch nothing is fetched for this long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// One fetched state of the provider.
pub(super) struct Provider {
    pub(super) metadata: ProviderMetadataWithLogout,
    keys: Vec<(Option<String>, DecodingKey)>,
    fetched: Instant,
}

impl Provider {
    fn new(metadata: ProviderMetadataWithLogout, algorithm: SigningAlgorithm) -> Self {
        let keys = metadata.jwks().keys().iter().filter_map(|key| decoding_key(key, algorithm)).collect();
        Self { metadata, keys, fetched: Instant::now() }
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The key of that id. A token without a key id is accepted only where there is nothing to choose from.
    pub(super) fn key(&self, id: Option<&str>) -> Option<&DecodingKey> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|(known, _)| known.as_deref() == Some(id)).map(|(_, key)| key),
            (None, [(_, key)]) => Some(key),
            (None, _) => None,
        }
    }
}

/// The key, if it is one for signatures with `algorithm`.
fn decoding_key(key: &CoreJsonWebKey, algorithm: SigningAlgorithm) -> Option<(Option<String>, DecodingKey)> {
    let jwk: Jwk = serde_json::from_value(serde_json::to_value(key).ok()?).ok()?;
    let (family, named) = match algorithm {
        SigningAlgorithm::Rs256 => (Algorithm::RS256.family(), KeyAlgorithm::RS256),
        SigningAlgorithm::Es256 => (Algorithm::ES256.family(), KeyAlgorithm::ES256),
    };
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let for_algorithm = jwk.common.key_algorithm.as_ref().is_none_or(|algorithm| *algorithm == named);
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    (for_signatures && for_algorithm && decoding.family() == family).then_some((jwk.common.key_id, decoding))
}

#[derive(Default)]
struct Attempts {
    /// The last refresh for the sake of an unknown key id.
    for_key: Option<Instant>,
    failed: Option<Instant>,
}

pub(super) struct Discovery {
    http: Arc<Http>,
    issuer: IssuerUrl,
    algorithm: SigningAlgorithm,
    current: RwLock<Option<Arc<Provider>>>,
    /// Held while fetching, so that one caller fetches for all.
    attempts: Mutex<Attempts>,
}

impl Discovery {
    pub(super) fn new(http: Arc<Http>, issuer: IssuerUrl, algorithm: SigningAlgorithm) -> Self {
        Self { http, issuer, algorithm, current: RwLock::new(None), attempts: Mutex::new(Attempts::default()) }
    }

    /// What is known, fetched if need be.
    pub(super) async fn provider(&self) -> Result<Arc<Provider>, OidcError> {
        if let Some(provider) = self.known_since(FRESH) {
            return Ok(provider);
        }
        let mut attempts = self.attempts.lock().await;
        if let Some(provider) = self.known_since(FRESH) {
            return Ok(provider);
        }
        let fetched = if attempts.failed.is_some_and(|failed| failed.elapsed() < AFTER_FAILURE) {
            Err(Unavailable::from(UnavailableKind::CircuitOpen).into())
        } else {
            self.fetch(&mut attempts).await
        };
        fetched.or_else(|error| self.known_since(USABLE).ok_or(error))
    }

    /// For a token whose key is not in `seen`: a newer state if there is one or if one may be fetched now.
    pub(super) async fn newer_than(&self, seen: &Arc<Provider>) -> Result<Option<Arc<Provider>>, OidcError> {
        let mut attempts = self.attempts.lock().await;
        if let Some(provider) = self.known_since(USABLE)
            && !Arc::ptr_eq(&provider, seen)
        {
            return Ok(Some(provider));
        }
        if attempts.for_key.is_some_and(|last| last.elapsed() < BETWEEN_REFRESHES) {
            return Ok(None);
        }
        attempts.for_key = Some(Instant::now());
        self.fetch(&mut attempts).await.map(Some)
    }

    fn known_since(&self, age: Duration) -> Option<Arc<Provider>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|provider| provider.fetched.elapsed() < age).cloned()
    }

    async fn fetch(&self, attempts: &mut Attempts) -> Result<Arc<Provider>, OidcError> {
        let http = http_client(&self.http);
        match ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &http).await {
            Ok(metadata) => {
                attempts.failed = None;
                let provider = Arc::new(Provider::new(metadata, self.algorithm));
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&provider));
                Ok(provider)
            }
            Err(error) => {
                attempts.failed = Some(Instant::now());
                tracing::warn!(%error, "the OpenID Connect provider could not be discovered");
                Err(failure(error))
            }
        }
    }
}

fn failure(error: DiscoveryError<Unavailable>) -> OidcError {
    match error {
        DiscoveryError::Request(unavailable) => unavailable.into(),
        DiscoveryError::Response(status, ..) if !status.is_success() => {
            Unavailable::from(UnavailableKind::Status(status.as_u16())).into()
        }
        DiscoveryError::Validation(_) => OidcError::Misconfigured("its discovery document names another issuer"),
        _ => Unavailable::from(UnavailableKind::Malformed).into(),
    }
}

/// The HTTP client in the form the `openidconnect` crate takes.
pub(super) fn http_client(
    http: &Arc<Http>,
) -> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, Unavailable>> + Send>> + use<> {
    let http = Arc::clone(http);
    move |request: HttpRequest| {
        let http = Arc::clone(&http);
        Box::pin(async move {
            let answer = http.execute(reqwest::Request::try_from(request)?).await?;
            let mut response = HttpResponse::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}
