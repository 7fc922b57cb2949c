//! OpenID Connect against Authentik: the code flow for browsers, bearer tokens for API clients, log-out.
//!
//! Nothing here keeps a session or a state: the caller binds `state`, `nonce` and the PKCE verifier to the
//! browser, and remembers the `jti` of log-out tokens.

mod confirm;
mod discovery;
mod login;
mod tokens;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use http::header;
use openidconnect::IssuerUrl;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use self::discovery::Discovery;
use crate::{
    circuit::CircuitSettings,
    error::{BuildError, Unavailable},
    http::Http,
    session::secret_header,
};

pub use self::{
    confirm::TokenState,
    login::{AuthorizationRequest, OidcTokens, RefreshedTokens},
    tokens::{BearerClaims, LOGOUT_TOKEN_LIFETIME, LogoutClaims},
};

/// Difference between Authentik's clock and ours that is overlooked.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// The time source, so that tests can set it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The one algorithm tokens are signed with. It is never taken from a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
}

/// How this program is registered at the provider.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// Exactly as in the discovery document; Authentik's ends with a slash.
    pub issuer: String,
    pub client_id: String,
    /// Absent for a public client.
    pub client_secret: Option<SecretString>,
    pub redirect_uri: Url,
    /// The audience bearer tokens must be issued for.
    pub audience: String,
    pub algorithm: SigningAlgorithm,
    /// Time limit of one call.
    pub timeout: Duration,
}

/// Why an OpenID Connect step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The provider refused, with its error code (such as `invalid_grant`).
    #[error("the provider refused: {code}")]
    Refused { code: String },
    /// A token must not be trusted.
    #[error("the token is not acceptable: {0}")]
    Invalid(&'static str),
    /// The provider is not set up as it has to be.
    #[error("the provider is not set up as it has to be: {0}")]
    Misconfigured(&'static str),
}

/// What the provider says about the holder of an access token.
#[derive(Clone, Deserialize)]
pub struct UserInfo {
    #[serde(rename = "sub")]
    pub subject: String,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(rename = "preferred_username", default)]
    pub username: Option<String>,
}

/// The OpenID Connect client. One for the whole process: discovery and keys are cached in it.
pub struct Oidc {
    settings: OidcSettings,
    http: Arc<Http>,
    discovery: Discovery,
    clock: Clock,
}

impl Oidc {
    /// Makes no call; discovery happens at first use.
    #[expect(clippy::disallowed_methods, reason = "the default of the clock that with_clock injects")]
    pub fn new(settings: OidcSettings) -> Result<Self, BuildError> {
        Self::with_clock(settings, Arc::new(Utc::now))
    }

    /// As [`Oidc::new`], with another time source for the checks of tokens.
    pub fn with_clock(settings: OidcSettings, clock: Clock) -> Result<Self, BuildError> {
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(BuildError::Issuer)?;
        let http = Arc::new(Http::new(settings.timeout, CircuitSettings::default())?);
        let discovery = Discovery::new(Arc::clone(&http), issuer, settings.algorithm);
        Ok(Self { settings, http, discovery, clock })
    }

    /// Who holds this access token, asked of the provider: `None` when it is no longer valid. The caller
    /// compares the subject with the one it expects.
    pub async fn user_info(&self, access_token: &SecretString) -> Result<Option<UserInfo>, OidcError> {
        let provider = self.discovery.provider().await?;
        let endpoint = provider.metadata.userinfo_endpoint();
        let endpoint = endpoint.ok_or(OidcError::Misconfigured("it has no user info endpoint"))?;
        let bearer = secret_header(&format!("Bearer {}", access_token.expose_secret()));
        let bearer = bearer.ok_or(OidcError::Invalid("no token has such characters"))?;
        let request = self.http.get(endpoint.url().clone()).header(header::AUTHORIZATION, bearer);
        let answer = self.http.send(request).await?;
        // RFC 6750 leaves the body of a refusal open, so only the status counts.
        if matches!(answer.status.as_u16(), 401 | 403) {
            return Ok(None);
        }
        Ok(Some(answer.success_json()?))
    }

    /// Where the browser goes to end its session at the provider too; `None` when the provider has no such page.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&SecretString>,
        post_logout_redirect: Option<&Url>,
    ) -> Result<Option<Url>, OidcError> {
        let provider = self.discovery.provider().await?;
        let Some(endpoint) = &provider.metadata.additional_metadata().end_session_endpoint else {
            return Ok(None);
        };
        let mut url = endpoint.url().clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.settings.client_id);
            if let Some(hint) = id_token_hint {
                query.append_pair("id_token_hint", hint.expose_secret());
            }
            if let Some(redirect) = post_logout_redirect {
                query.append_pair("post_logout_redirect_uri", redirect.as_str());
            }
        }
        Ok(Some(url))
    }

    /// For an operator's check: discovery works, and there is a key for the configured algorithm.
    pub async fn check(&self) -> Result<(), OidcError> {
        if self.discovery.provider().await?.has_keys() {
            return Ok(());
        }
        Err(OidcError::Misconfigured("it has no key for the configured algorithm"))
    }
}
