//! The authorization code flow with PKCE: the request that starts it, the exchange of the code, refreshing.
//!
//! ID tokens are verified by the `openidconnect` crate: signature, algorithm, issuer, audience, expiry, nonce.

use std::{sync::Arc, time::Duration};

use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    ErrorResponseType, IdToken, IdTokenClaims, IdTokenFields, IdTokenVerifier, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreResponseType, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    CLOCK_SKEW, Oidc, OidcError, SigningAlgorithm,
    discovery::{Provider, http_client},
};
use crate::error::{Unavailable, UnavailableKind};

/// Beside `openid`, which is always asked for. `offline_access` is what yields a refresh token.
const SCOPES: [&str; 3] = ["profile", "email", "offline_access"];

/// The claim that ties an ID token to a session at the provider, named again by back-channel log-out.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SessionClaim {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

impl AdditionalClaims for SessionClaim {}

type Claims = IdTokenClaims<SessionClaim, CoreGenderClaim>;
type SignedIdToken = IdToken<SessionClaim, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Tokens = StandardTokenResponse<
    IdTokenFields<
        SessionClaim,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;
type TokenError = StandardErrorResponse<CoreErrorResponseType>;
type OidcClient = Client<
    SessionClaim,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    TokenError,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What starts a log-in: where the browser goes, and what must be bound to that browser until it returns.
pub struct AuthorizationRequest {
    pub url: Url,
    /// Must equal the `state` of the callback.
    pub state: String,
    /// Given to [`Oidc::exchange`].
    pub nonce: String,
    /// Given to [`Oidc::exchange`]; must not leave the server unencrypted.
    pub pkce_verifier: SecretString,
}

/// A finished log-in. The subject is verified; e-mail and user name are what the provider says.
pub struct OidcTokens {
    pub subject: String,
    pub email: Option<String>,
    pub username: Option<String>,
    /// The provider's session (`sid`), for back-channel log-out.
    pub session_id: Option<String>,
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    pub id_token: SecretString,
    /// Lifetime of the access token from now.
    pub expires_in: Option<Duration>,
}

/// What a refresh yields. Without a new refresh token the old one stays valid.
pub struct RefreshedTokens {
    /// Of the new ID token, where the provider sends one. Must equal the subject of the log-in.
    pub subject: Option<String>,
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    pub id_token: Option<SecretString>,
    pub expires_in: Option<Duration>,
}

impl Oidc {
    /// A fresh authorization request with its own state, nonce and PKCE verifier (S256).
    pub async fn authorization_request(&self) -> Result<AuthorizationRequest, OidcError> {
        let provider = self.discovery.provider().await?;
        let client = self.client(&provider);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in SCOPES {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
        let (url, state, nonce) = request.url();
        Ok(AuthorizationRequest {
            url,
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            pkce_verifier: SecretString::from(verifier.into_secret()),
        })
    }

    /// Exchanges the code of the callback and verifies the ID token. The caller has compared `state` before.
    pub async fn exchange(
        &self,
        code: &str,
        pkce_verifier: &SecretString,
        nonce: &str,
    ) -> Result<OidcTokens, OidcError> {
        let provider = self.discovery.provider().await?;
        let http = http_client(&self.http);
        let response = self
            .client(&provider)
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| OidcError::Misconfigured("it has no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier.expose_secret().to_owned()))
            .request_async(&http)
            .await
            .map_err(token_failure)?;
        let id_token = response.id_token().ok_or(OidcError::Invalid("there is no ID token"))?;
        let nonce = Nonce::new(nonce.to_owned());
        let claims = self.verified(provider, id_token, Some(&nonce), response.access_token()).await?;
        Ok(OidcTokens {
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            username: claims.preferred_username().map(|name| name.to_string()),
            session_id: claims.additional_claims().sid.clone(),
            access_token: secret(response.access_token().secret()),
            refresh_token: response.refresh_token().map(|token| secret(token.secret())),
            id_token: secret(&id_token.to_string()),
            expires_in: response.expires_in(),
        })
    }

    /// Fresh tokens for a refresh token. [`OidcError::Refused`] means the session at the provider has ended.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<RefreshedTokens, OidcError> {
        let provider = self.discovery.provider().await?;
        let http = http_client(&self.http);
        let response = self
            .client(&provider)
            .exchange_refresh_token(&RefreshToken::new(refresh_token.expose_secret().to_owned()))
            .map_err(|_| OidcError::Misconfigured("it has no token endpoint"))?
            .request_async(&http)
            .await
            .map_err(token_failure)?;
        let subject = match response.id_token() {
            None => None,
            Some(token) => {
                let claims = self.verified(provider, token, None, response.access_token()).await?;
                Some(claims.subject().to_string())
            }
        };
        Ok(RefreshedTokens {
            subject,
            access_token: secret(response.access_token().secret()),
            refresh_token: response.refresh_token().map(|token| secret(token.secret())),
            id_token: response.id_token().map(|token| secret(&token.to_string())),
            expires_in: response.expires_in(),
        })
    }

    fn client(&self, provider: &Provider) -> OidcClient {
        let secret = self.settings.client_secret.as_ref();
        Client::from_provider_metadata(
            provider.metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned())),
        )
        .set_redirect_uri(RedirectUrl::from_url(self.settings.redirect_uri.clone()))
    }

    /// Verifies with the keys of `provider`, and once more with newer ones when the key is not among them.
    async fn verified(
        &self,
        provider: Arc<Provider>,
        token: &SignedIdToken,
        nonce: Option<&Nonce>,
        access_token: &AccessToken,
    ) -> Result<Claims, OidcError> {
        let first = self.claims(&provider, token, nonce, access_token);
        if !matches!(first, Err(Rejection::UnknownKey)) {
            return first.map_err(Rejection::into_error);
        }
        let Some(newer) = self.discovery.newer_than(&provider).await? else {
            return first.map_err(Rejection::into_error);
        };
        self.claims(&newer, token, nonce, access_token).map_err(Rejection::into_error)
    }

    fn claims(
        &self,
        provider: &Provider,
        token: &SignedIdToken,
        nonce: Option<&Nonce>,
        access_token: &AccessToken,
    ) -> Result<Claims, Rejection> {
        let algorithm = match self.settings.algorithm {
            SigningAlgorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            SigningAlgorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        };
        let client = self.client(provider);
        let clock = Arc::clone(&self.clock);
        let verifier: IdTokenVerifier<'_, CoreJsonWebKey> =
            client.id_token_verifier().set_allowed_algs([algorithm]).set_time_fn(move || clock() - CLOCK_SKEW);
        let claims = match nonce {
            Some(nonce) => token.claims(&verifier, nonce),
            // OpenID Connect Core 12.2: a refreshed ID token need not repeat the nonce.
            None => token.claims(&verifier, |_: Option<&Nonce>| Ok(())),
        }?;
        if let Some(expected) = claims.access_token_hash() {
            let key = token.signing_key(&verifier).map_err(|_| Rejection::Invalid("its key does not fit"))?;
            let algorithm =
                token.signing_alg().map_err(|_| Rejection::Invalid("its algorithm is not the agreed one"))?;
            let actual = AccessTokenHash::from_token(access_token, algorithm, key)
                .map_err(|_| Rejection::Invalid("its algorithm is not the agreed one"))?;
            if actual != *expected {
                return Err(Rejection::Invalid("it belongs to another access token"));
            }
        }
        Ok(claims.clone())
    }
}

enum Rejection {
    UnknownKey,
    Invalid(&'static str),
}

impl Rejection {
    fn into_error(self) -> OidcError {
        match self {
            Self::UnknownKey => OidcError::Invalid("its key is not one of the provider's"),
            Self::Invalid(reason) => OidcError::Invalid(reason),
        }
    }
}

impl From<ClaimsVerificationError> for Rejection {
    /// The crate's own texts repeat parts of the token, so they are not passed on.
    fn from(error: ClaimsVerificationError) -> Self {
        Self::Invalid(match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
                return Self::UnknownKey;
            }
            ClaimsVerificationError::SignatureVerification(_) => "its signature is wrong",
            ClaimsVerificationError::Expired(_) => "it has expired",
            ClaimsVerificationError::InvalidAudience(_) => "it is for another audience",
            ClaimsVerificationError::InvalidIssuer(_) => "it is from another issuer",
            ClaimsVerificationError::InvalidNonce(_) => "it answers another request",
            _ => "its claims are not acceptable",
        })
    }
}

fn token_failure(error: RequestTokenError<Unavailable, TokenError>) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(response) => OidcError::Refused { code: error_code(response.error()) },
        RequestTokenError::Request(unavailable) => unavailable.into(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Unavailable::from(UnavailableKind::Malformed).into()
        }
    }
}

fn error_code(code: &(impl ErrorResponseType + AsRef<str>)) -> String {
    code.as_ref().chars().filter(|character| character.is_ascii_graphic()).take(64).collect()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}
