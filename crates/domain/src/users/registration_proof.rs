//! What shows that whoever signs in is the one who began a registration. The address and the user name show nothing:
//! anybody can write them into the form, with a role of their choice.

use std::num::NonZeroU32;

use ring::{digest, pbkdf2};
use tokio::task::spawn_blocking;

use crate::sessions::Token;

/// What makes a stolen table slow to guess from; it is kept for a day at most.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");

#[derive(Clone, Copy)]
pub enum RegistrationProof<'a> {
    /// The password that Authentik has accepted, or is about to set.
    Password(&'a str),
    /// What the browser got with the form's answer, where the registration goes on at Authentik's own pages.
    Browser(&'a Token),
}

impl std::fmt::Debug for RegistrationProof<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RegistrationProof(…)")
    }
}

impl RegistrationProof<'_> {
    /// What the table holds; the same each time. Takes a tenth of a second of a core for a password.
    pub async fn derive(self, email: &str, username: &str) -> Vec<u8> {
        let password = match self {
            Self::Browser(token) => return token.hash(),
            Self::Password(password) => password.to_owned(),
        };
        let salt = format!("registration\n{}\n{}", email.to_lowercase(), username.to_lowercase());
        let derived = spawn_blocking(move || {
            let mut proof = vec![0; digest::SHA256_OUTPUT_LEN];
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt.as_bytes(), password.as_bytes(), &mut proof);
            proof
        });
        derived.await.expect("deriving neither panics nor is it aborted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_proof_is_of_one_password_and_one_attempt() {
        let proof =
            async |email, username, password| RegistrationProof::Password(password).derive(email, username).await;
        let first = proof("alice@example.org", "alice", "secret").await;
        assert_eq!(first, proof("Alice@example.org", "ALICE", "secret").await);
        assert_ne!(first, proof("alice@example.org", "alice", "Secret").await);
        assert_ne!(first, proof("alice@example.org", "alicia", "secret").await);
        let browser = Token::random().unwrap();
        assert_eq!(RegistrationProof::Browser(&browser).derive("", "").await, browser.hash());
    }
}
