use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};

use crate::{
    ids::{SessionId, UserId},
    users::Role,
};

/// A secret that a client holds: 256 random bits as URL-safe base64. Only its hash is stored.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Fails only when the operating system has no randomness to give.
    pub fn random() -> Result<Self, ring::error::Unspecified> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes what a client sent; anything that is not of our own form is `None`, without a look at the database.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// SHA-256; what the tables hold.
    pub fn hash(&self) -> Vec<u8> {
        hash_secret(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// SHA-256 of a secret with enough entropy of its own: tokens, and Authentik's cookies.
pub fn hash_secret(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// How a session came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOrigin {
    /// The login or registration form.
    Form,
    /// OpenID Connect.
    Oidc,
    /// Authentik's own cookie, from before the switch.
    Authentik,
}

impl SessionOrigin {
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Oidc => "oidc",
            Self::Authentik => "authentik",
        }
    }
}

/// A live session and its user, as one statement loads them.
#[derive(Clone, Debug)]
pub struct SessionRow {
    pub id: SessionId,
    pub user_id: UserId,
    pub email: String,
    pub username: String,
    pub role: Role,
    pub origin: String,
    pub upstream_secret: Option<Vec<u8>>,
    /// When Authentik last confirmed the session.
    pub validated_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}
