//! The identity provider (Authentik), tokens, our sessions and the limits on logins.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::parse;
use crate::reader::{Reader, Reported};

/// How to reach Authentik.
#[derive(Clone, Debug)]
pub struct AuthentikConfig {
    /// Address the programs use, with a trailing slash.
    pub url: Url,
    /// Address browsers use, with a trailing slash.
    pub public_url: Url,
    /// Slug of the flow that logs a user in.
    pub login_flow: String,
    /// Slug of the flow that registers a user.
    pub enrollment_flow: String,
    /// Time limit for one call.
    pub timeout: Duration,
    /// API token of an administrator; only the command that binds identities needs it.
    pub admin_token: Option<SecretString>,
}

impl AuthentikConfig {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let url = reader.value("AUTHENTIK_URL", parse::base_url);
        let public_url = reader.optional("AUTHENTIK_PUBLIC_URL", parse::base_url);
        let login_flow = reader.value("AUTHENTIK_LOGIN_FLOW", parse::identifier);
        let enrollment_flow = reader.value("AUTHENTIK_ENROLLMENT_FLOW", parse::identifier);
        let timeout = reader.milliseconds("AUTHENTIK_TIMEOUT_MS");
        let admin_token = reader.optional("AUTHENTIK_TOKEN", parse::secret);
        let url = url?;
        Ok(Self {
            public_url: public_url?.unwrap_or_else(|| url.clone()),
            url,
            login_flow: login_flow?,
            enrollment_flow: enrollment_flow?,
            timeout: timeout?,
            admin_token: admin_token?,
        })
    }
}

/// Algorithm that signs the provider's tokens. Any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// OpenID Connect: whose tokens are accepted and as which client we ask for them.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Issuer exactly as in the tokens, including its trailing slash or the lack of one.
    pub issuer: String,
    /// Client identifier.
    pub client_id: String,
    /// Client secret; `None` is a public client, which relies on PKCE.
    pub client_secret: Option<SecretString>,
    /// Required audience of the tokens.
    pub audience: String,
    /// Required algorithm of the tokens.
    pub signing_algorithm: SigningAlgorithm,
}

impl OidcConfig {
    /// `authentik` is `None` when its settings are themselves in error, which is then reported already.
    pub(crate) fn read(reader: &mut Reader<'_>, authentik: Option<&AuthentikConfig>) -> Result<Self, Reported> {
        let issuer = reader.optional("OIDC_ISSUER", parse::exact_http_url);
        let client_id = reader.value("OIDC_CLIENT_ID", parse::line);
        let client_secret = reader.optional("OIDC_CLIENT_SECRET", parse::secret);
        let audience = reader.optional("OIDC_AUDIENCE", parse::line);
        let signing_algorithm = reader.value("OIDC_SIGNING_ALGORITHM", parse_algorithm);
        let issuer = match (issuer?, authentik) {
            (Some(issuer), _) => issuer,
            (None, Some(authentik)) => authentik
                .public_url
                .join("application/o/freehunt/")
                .map(String::from)
                .map_err(|_| reader.problem("OIDC_ISSUER", "is missing and cannot be derived from AUTHENTIK_URL"))?,
            (None, None) => return Err(Reported),
        };
        let client_id = client_id?;
        Ok(Self {
            issuer,
            audience: audience?.unwrap_or_else(|| client_id.clone()),
            client_id,
            client_secret: client_secret?,
            signing_algorithm: signing_algorithm?,
        })
    }
}

fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    match text.to_ascii_uppercase().as_str() {
        "RS256" => Ok(SigningAlgorithm::Rs256),
        "ES256" => Ok(SigningAlgorithm::Es256),
        _ => Err("is neither RS256 nor ES256".to_owned()),
    }
}

/// How long sessions last and how far a checked session is trusted.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Longest life of a session.
    pub lifetime: Duration,
    /// Age after which a session is checked again at the provider; at most 60 s.
    pub revalidate_after: Duration,
    /// How long a checked session still reads while the provider is down.
    pub grace: Duration,
    /// Whether the first login binds a local user that has no provider identity yet.
    pub trust_on_first_use: bool,
    /// Number of checked sessions kept in memory.
    pub cache_capacity: u64,
}

impl SessionConfig {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let hours = reader.number("SESSION_LIFETIME_HOURS", 1..=8_760_u64);
        let revalidate_seconds = reader.number("SESSION_REVALIDATE_SECONDS", 5..=60_u64);
        let grace_minutes = reader.number("SESSION_GRACE_MINUTES", 0..=1_440_u64);
        let trust_on_first_use = reader.value("IDENTITY_TRUST_ON_FIRST_USE", parse::boolean);
        let cache_capacity = reader.number("SESSION_CACHE_CAPACITY", 1..=1_000_000_u64);
        Ok(Self {
            lifetime: Duration::from_secs(hours? * 3_600),
            revalidate_after: Duration::from_secs(revalidate_seconds?),
            grace: Duration::from_secs(grace_minutes? * 60),
            trust_on_first_use: trust_on_first_use?,
            cache_capacity: cache_capacity?,
        })
    }
}

/// Limits on login and registration attempts. A burst is what a rested key may do at once; the rate refills it.
///
/// By default ten logins at once and then ten a minute, per client address and per account. The account limit stays
/// that mild so that somebody who floods an account delays its owner by seconds (six, at the default rate), never
/// locks them out; the address limit leaves room for an office behind one address. Registrations: five at once, then
/// twenty an hour per address. What makes a call to Authentik or a row without any credential has limits too, wide enough
/// for an office behind one address on the morning of the switch.
#[derive(Clone, Debug)]
pub struct LoginLimits {
    /// Login attempts at once per client address.
    pub per_address_burst: u32,
    /// Login attempts per minute and client address.
    pub per_address_per_minute: u32,
    /// Login attempts at once per account.
    pub per_account_burst: u32,
    /// Login attempts per minute and account.
    pub per_account_per_minute: u32,
    /// Registrations at once per client address.
    pub registration_burst: u32,
    /// Registrations per hour and client address.
    pub registration_per_hour: u32,
    /// Unknown cookies of Authentik's own that are asked about at once, per client address.
    pub adoption_burst: u32,
    /// Unknown cookies of Authentik's own that are asked about per minute and client address.
    pub adoption_per_minute: u32,
    /// OpenID Connect logins begun at once per client address.
    pub oidc_burst: u32,
    /// OpenID Connect logins begun per minute and client address.
    pub oidc_per_minute: u32,
}

impl LoginLimits {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        // Zero would mean "never"; the limiter needs a rate.
        let mut limit = |name| reader.number(name, 1..=100_000_u32);
        let per_address_burst = limit("LOGIN_LIMIT_ADDRESS_BURST");
        let per_address_per_minute = limit("LOGIN_LIMIT_ADDRESS_PER_MINUTE");
        let per_account_burst = limit("LOGIN_LIMIT_ACCOUNT_BURST");
        let per_account_per_minute = limit("LOGIN_LIMIT_ACCOUNT_PER_MINUTE");
        let registration_burst = limit("REGISTRATION_LIMIT_BURST");
        let registration_per_hour = limit("REGISTRATION_LIMIT_PER_HOUR");
        let adoption_burst = limit("SESSION_ADOPTION_LIMIT_BURST");
        let adoption_per_minute = limit("SESSION_ADOPTION_LIMIT_PER_MINUTE");
        let oidc_burst = limit("OIDC_LOGIN_LIMIT_BURST");
        let oidc_per_minute = limit("OIDC_LOGIN_LIMIT_PER_MINUTE");
        Ok(Self {
            per_address_burst: per_address_burst?,
            per_address_per_minute: per_address_per_minute?,
            per_account_burst: per_account_burst?,
            per_account_per_minute: per_account_per_minute?,
            registration_burst: registration_burst?,
            registration_per_hour: registration_per_hour?,
            adoption_burst: adoption_burst?,
            adoption_per_minute: adoption_per_minute?,
            oidc_burst: oidc_burst?,
            oidc_per_minute: oidc_per_minute?,
        })
    }
}
