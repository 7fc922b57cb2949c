//! Bearer access tokens and back-channel log-out tokens, verified here with the provider's keys.
//!
//! The algorithm, issuer and audience are those of the settings; a token's header only names the key. Time is
//! checked against the injected clock.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{CLOCK_SKEW, Oidc, OidcError, SigningAlgorithm};

/// A log-out token older than this is refused, so its `jti` need not be remembered for longer.
pub const LOGOUT_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(10);
const LONGEST_TOKEN: usize = 16 * 1024;
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a verified bearer token says.
#[derive(Clone)]
pub struct BearerClaims {
    pub subject: String,
    pub email: Option<String>,
    pub username: Option<String>,
    /// The provider's session (`sid`), for back-channel log-out.
    pub session_id: Option<String>,
    pub scopes: Vec<String>,
    pub expires_at: DateTime<Utc>,
    pub issued_at: Option<DateTime<Utc>>,
}

/// Whose sessions a verified log-out token ends: those of the subject, of the provider's session, or both.
#[derive(Clone)]
pub struct LogoutClaims {
    pub subject: Option<String>,
    pub session_id: Option<String>,
    /// Each token may be used once: the caller remembers this for [`LOGOUT_TOKEN_LIFETIME`].
    pub jti: String,
    pub issued_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct AccessTokenClaims {
    sub: String,
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    /// Only ID tokens have it.
    #[serde(default)]
    at_hash: Option<Value>,
    /// ID tokens have it, and Authentik's access tokens too, but those name their scope beside it.
    #[serde(default)]
    nonce: Option<Value>,
    /// Only security events, such as log-out tokens, have it.
    #[serde(default)]
    events: Option<Value>,
}

#[derive(Deserialize)]
struct LogoutTokenClaims {
    iat: f64,
    jti: String,
    events: Map<String, Value>,
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    nonce: Option<Value>,
}

impl Oidc {
    /// Verifies a bearer access token without a call (but for keys that are not known yet). It says nothing
    /// about whether the session behind it has been revoked since.
    pub async fn verify_bearer(&self, token: &str) -> Result<BearerClaims, OidcError> {
        let mut validation = self.validation(&self.settings.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims: AccessTokenClaims = self.verify(token, &validation, &["JWT", "at+jwt"]).await?;
        let is_id_token = claims.at_hash.is_some() || (claims.nonce.is_some() && claims.scope.is_none());
        if is_id_token || claims.events.is_some() {
            return Err(OidcError::Invalid("it is not an access token"));
        }
        let now = (self.clock)();
        let expires_at = time(claims.exp)?;
        if now >= expires_at + CLOCK_SKEW {
            return Err(OidcError::Invalid("it has expired"));
        }
        if let Some(not_before) = claims.nbf
            && now + CLOCK_SKEW < time(not_before)?
        {
            return Err(OidcError::Invalid("it is not valid yet"));
        }
        Ok(BearerClaims {
            subject: claims.sub,
            email: claims.email,
            username: claims.preferred_username,
            session_id: claims.sid,
            scopes: claims.scope.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
            expires_at,
            issued_at: claims.iat.map(time).transpose()?,
        })
    }

    /// Verifies a log-out token by the rules of OpenID Connect Back-Channel Logout 1.0, section 2.6, except
    /// that a token is used once: see [`LogoutClaims::jti`].
    pub async fn verify_logout_token(&self, token: &str) -> Result<LogoutClaims, OidcError> {
        let mut validation = self.validation(&self.settings.client_id);
        validation.set_required_spec_claims(&["iss", "aud"]);
        let claims: LogoutTokenClaims = self.verify(token, &validation, &["logout+jwt", "JWT"]).await?;
        if !claims.events.get(LOGOUT_EVENT).is_some_and(Value::is_object) {
            return Err(OidcError::Invalid("it is not a log-out token"));
        }
        if claims.nonce.is_some() {
            return Err(OidcError::Invalid("a log-out token has no nonce"));
        }
        if claims.jti.is_empty() || (claims.sub.is_none() && claims.sid.is_none()) {
            return Err(OidcError::Invalid("it names no session"));
        }
        let now = (self.clock)();
        let issued_at = time(claims.iat)?;
        if issued_at > now + CLOCK_SKEW || issued_at + LOGOUT_TOKEN_LIFETIME < now {
            return Err(OidcError::Invalid("it was not issued just now"));
        }
        if let Some(expiry) = claims.exp
            && now >= time(expiry)? + CLOCK_SKEW
        {
            return Err(OidcError::Invalid("it has expired"));
        }
        Ok(LogoutClaims { subject: claims.sub, session_id: claims.sid, jti: claims.jti, issued_at })
    }

    fn algorithm(&self) -> Algorithm {
        match self.settings.algorithm {
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::Es256 => Algorithm::ES256,
        }
    }

    /// Times are left out: `jsonwebtoken` knows the machine's clock only.
    fn validation(&self, audience: &str) -> Validation {
        let mut validation = Validation::new(self.algorithm());
        validation.validate_exp = false;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[audience]);
        validation
    }

    async fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        validation: &Validation,
        types: &[&str],
    ) -> Result<T, OidcError> {
        if token.len() > LONGEST_TOKEN {
            return Err(OidcError::Invalid("it is too long"));
        }
        let header = decode_header(token).map_err(|_| OidcError::Invalid("it is not a signed token"))?;
        self.check_header(&header, types)?;
        let key_id = header.kid.as_deref();
        let provider = self.discovery.provider().await?;
        if let Some(key) = provider.key(key_id) {
            return claims(token, key, validation);
        }
        let newer = self.discovery.newer_than(&provider).await?;
        let key = newer.as_deref().and_then(|provider| provider.key(key_id));
        claims(token, key.ok_or(OidcError::Invalid("its key is not one of the provider's"))?, validation)
    }

    fn check_header(&self, header: &Header, types: &[&str]) -> Result<(), OidcError> {
        if header.alg != self.algorithm() {
            return Err(OidcError::Invalid("its algorithm is not the agreed one"));
        }
        let named = header.typ.as_deref().map(|name| name.strip_prefix("application/").unwrap_or(name));
        if named.is_some_and(|name| !types.iter().any(|known| known.eq_ignore_ascii_case(name))) {
            return Err(OidcError::Invalid("it is a token of another kind"));
        }
        Ok(())
    }
}

fn claims<T: DeserializeOwned>(token: &str, key: &DecodingKey, validation: &Validation) -> Result<T, OidcError> {
    use jsonwebtoken::errors::ErrorKind;
    decode(token, key, validation).map(|data| data.claims).map_err(|error| {
        OidcError::Invalid(match error.kind() {
            ErrorKind::InvalidSignature => "its signature is wrong",
            ErrorKind::InvalidIssuer => "it is from another issuer",
            ErrorKind::InvalidAudience => "it is for another audience",
            _ => "its claims are not acceptable",
        })
    })
}

/// RFC 7519 allows fractions of a second; they do not matter here.
fn time(seconds: f64) -> Result<DateTime<Utc>, OidcError> {
    const YEAR_9999: f64 = 253_402_300_799.0;
    let time = (0.0..=YEAR_9999).contains(&seconds).then_some(seconds as i64);
    time.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(OidcError::Invalid("its times are not times"))
}
