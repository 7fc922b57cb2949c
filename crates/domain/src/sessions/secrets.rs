//! Keys derived from a session's own token: for what is stored beside the session, and for its socket ticket; and keys
//! derived from that ticket, for what the messaging server may open.
//!
//! Neither is ever stored, so that the database alone opens nothing that is encrypted here.

use ring::{aead, hkdf, rand::SecureRandom};
use serde::{Deserialize, Serialize};

use super::Token;

const SALT: &[u8] = b"freehunt";

/// What Authentik gave for a session, to be asked about it again.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UpstreamSecret {
    Cookie { value: String },
    Tokens { access: String, refresh: Option<String>, id: String },
}

impl UpstreamSecret {
    /// Encrypts for the holder of `token`: the session's own, or its socket ticket. `None` only when the system has no randomness to give.
    pub fn seal(&self, token: &str) -> Option<Vec<u8>> {
        seal(token, &serde_json::to_vec(self).ok()?)
    }

    /// The tokens that take the place of these; what the provider did not renew stays.
    #[must_use]
    pub fn renewed(self, access: &str, refresh: Option<&str>, id: Option<&str>) -> Self {
        let Self::Tokens { refresh: old_refresh, id: old_id, .. } = self else { return self };
        Self::Tokens {
            access: access.to_owned(),
            refresh: refresh.map(str::to_owned).or(old_refresh),
            id: id.map_or(old_id, str::to_owned),
        }
    }

    pub fn open(token: &str, sealed: &[u8]) -> Option<Self> {
        serde_json::from_slice(&open(token, sealed)?).ok()
    }
}

/// The ticket that belongs to a session: no way leads back from it.
pub fn socket_ticket(token: &str) -> Token {
    Token::from_bytes(&derive(token, b"socket ticket"))
}

fn derive(secret: &str, purpose: &[u8]) -> [u8; 32] {
    let mut key = [0_u8; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
        .extract(secret.as_bytes())
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut key))
        .expect("HKDF-SHA256 gives the 32 bytes that were asked for");
    key
}

fn key(token: &str) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &derive(token, b"stored secret"));
    aead::LessSafeKey::new(key.expect("a key of AES-256 has 32 bytes"))
}

/// AES-256-GCM: a random nonce, then the sealed bytes.
pub fn seal(token: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0_u8; aead::NONCE_LEN];
    ring::rand::SystemRandom::new().fill(&mut nonce).ok()?;
    let mut sealed = plain.to_vec();
    let unique = aead::Nonce::assume_unique_for_key(nonce);
    key(token).seal_in_place_append_tag(unique, aead::Aad::empty(), &mut sealed).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

pub fn open(token: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(aead::NONCE_LEN)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = sealed.to_vec();
    let length = key(token).open_in_place(nonce, aead::Aad::empty(), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_opens() {
        let (token, other) = (Token::random().unwrap(), Token::random().unwrap());
        let secret = UpstreamSecret::Cookie { value: "canary".to_owned() };
        let sealed = secret.seal(token.as_str()).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_ne!(sealed, secret.seal(token.as_str()).unwrap());
        assert!(matches!(
            UpstreamSecret::open(token.as_str(), &sealed),
            Some(UpstreamSecret::Cookie { value }) if value == "canary"
        ));
        assert!(UpstreamSecret::open(other.as_str(), &sealed).is_none());
        for length in [0, 5, 12, sealed.len() - 1] {
            assert!(open(token.as_str(), &sealed[..length]).is_none());
        }
    }

    #[test]
    fn a_ticket_is_the_same_each_time_and_not_the_token() {
        let token = Token::random().unwrap();
        let ticket = socket_ticket(token.as_str());
        assert_eq!(ticket.as_str(), socket_ticket(token.as_str()).as_str());
        assert_ne!(ticket.as_str(), token.as_str());
        assert!(Token::parse(ticket.as_str()).is_some());
    }
}
