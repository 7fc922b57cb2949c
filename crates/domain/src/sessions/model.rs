use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
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
        Ok(Self::from_bytes(&bytes))
    }

    /// For bytes that were derived from another secret.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
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

/// The hash of Authentik's own session cookie: the token of a session from before the switch. It never equals the hash
/// of one of our tokens, so that neither can be sent in the other's place.
pub fn hash_upstream_cookie(value: &str) -> Vec<u8> {
    hash_secret(&format!("authentik_session={value}"))
}

/// The hash of Authentik's own session behind its cookie, however often Authentik issues that anew: of the session's id
/// where the cookie names one (it is a signed token, whose signature is not looked at here), else of the cookie. It tells
/// which sessions are over, and never opens one.
pub fn hash_upstream_session(cookie: &str) -> Vec<u8> {
    match upstream_session_id(cookie) {
        Some(id) => hash_secret(&format!("authentik_sid={id}")),
        None => hash_upstream_cookie(cookie),
    }
}

fn upstream_session_id(cookie: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Claims {
        sid: String,
    }
    let claims = URL_SAFE_NO_PAD.decode(cookie.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok().map(|claims: Claims| claims.sid)
}

/// The hash of a session id (`sid`) that the OpenID Connect provider gave.
pub fn hash_provider_session(sid: &str) -> Vec<u8> {
    hash_secret(&format!("sid={sid}"))
}

/// How a session came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
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
    pub origin: SessionOrigin,
    /// Encrypted; see the HTTP API.
    pub upstream_secret: Option<Vec<u8>>,
    /// Whom Authentik must name when it is asked about this session.
    pub authentik_uid: Option<String>,
    /// Age of Authentik's last confirmation, by the database's clock.
    pub validated_seconds_ago: f64,
    /// By the database's clock; positive.
    pub expires_in_seconds: f64,
}

/// The live session behind a socket ticket, as far as Authentik can be asked about it.
#[derive(Clone, Debug)]
pub struct TicketHolder {
    pub session_id: SessionId,
    pub email: String,
    /// Whom Authentik must name.
    pub authentik_uid: Option<String>,
    /// Encrypted under the ticket; see [`super::secrets`].
    pub upstream_secret: Option<Vec<u8>>,
}

impl SessionRow {
    /// Age of Authentik's last confirmation.
    pub fn confirmation_age(&self) -> Duration {
        Duration::try_from_secs_f64(self.validated_seconds_ago).unwrap_or_default()
    }

    pub fn expires_in(&self) -> Duration {
        Duration::try_from_secs_f64(self.expires_in_seconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault case 2: what cannot be a token of ours costs no look at the database.
    #[test]
    fn only_tokens_of_our_own_form_are_taken() {
        let token = Token::random().unwrap();
        assert_eq!(Token::parse(token.as_str()).unwrap().hash(), token.hash());
        for text in ["", "x", &"A".repeat(42), &"A".repeat(44), &"é".repeat(22), &format!("{}=", &token.as_str()[1..])]
        {
            assert!(Token::parse(text).is_none(), "{text}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_token_is_not_accepted_as_authentiks_cookie() {
        let token = Token::random().unwrap();
        assert_ne!(token.hash(), hash_upstream_cookie(token.as_str()));
        assert_ne!(hash_provider_session("x"), hash_upstream_cookie("x"));
    }

    #[test]
    fn two_cookies_of_one_session_of_authentik_are_one_session() {
        let cookie = |claims: &str| format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let first = cookie(r#"{"sid":"x","authenticated":false}"#);
        let second = cookie(r#"{"sid":"x","authenticated":true}"#);
        assert_ne!(hash_upstream_cookie(&first), hash_upstream_cookie(&second));
        assert_eq!(hash_upstream_session(&first), hash_upstream_session(&second));
        assert_ne!(hash_upstream_session(&first), hash_upstream_session(&cookie(r#"{"sid":"y"}"#)));
        for bare in ["0123456789abcdef", "a.b.c", &cookie("{}")] {
            assert_eq!(hash_upstream_session(bare), hash_upstream_cookie(bare));
        }
    }
}
