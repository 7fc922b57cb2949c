//! Idempotency keys as Stripe keeps them: one answer a key for 24 hours, replayed whatever it was.
//!
//! A key belongs to the endpoint and the parameters it was first used with. Nothing here knows what was answered.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::error::StripeError;

/// Seconds for which Stripe promises to remember a key.
pub(super) const KEY_LIFETIME: i64 = 24 * 60 * 60;
const KEY_CHARACTERS: usize = 255;

/// An answer kept for replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    pub status: u16,
    pub body: String,
    pub request_id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    fingerprint: String,
    created: i64,
    /// None while the first request is under way.
    answer: Option<StoredAnswer>,
}

/// Every key in use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Keys(HashMap<String, Entry>);

/// What to do with a request that carries a key.
pub(super) enum Begin {
    Execute,
    Replay(StoredAnswer),
}

impl Keys {
    /// Claims `key` for a request, or says what its earlier use means for this one.
    pub(super) fn begin(&mut self, key: &str, path: &str, fingerprint: &str, now: i64) -> Result<Begin, StripeError> {
        if key.is_empty() || key.chars().count() > KEY_CHARACTERS {
            let message = format!("The idempotency key must have between 1 and {KEY_CHARACTERS} characters.");
            return Err(StripeError::idempotency(message));
        }
        if let Some(entry) = self.0.get(key).filter(|entry| now - entry.created < KEY_LIFETIME) {
            return entry.reuse(key, path, fingerprint);
        }
        let (path, fingerprint) = (path.to_owned(), fingerprint.to_owned());
        self.0.insert(key.to_owned(), Entry { path, fingerprint, created: now, answer: None });
        Ok(Begin::Execute)
    }

    pub(super) fn finish(&mut self, key: &str, answer: StoredAnswer) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.answer = Some(answer);
        }
    }

    /// Forgets a key whose request never began to execute.
    pub(super) fn abandon(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets every answered key, as if 24 hours had passed.
    pub(super) fn expire_all(&mut self) {
        self.0.retain(|_, entry| entry.answer.is_none());
    }

    /// What survives a restart: keys that are answered and not too old.
    pub(super) fn prune(&mut self, now: i64) {
        self.0.retain(|_, entry| entry.answer.is_some() && now - entry.created < KEY_LIFETIME);
    }
}

impl Entry {
    fn reuse(&self, key: &str, path: &str, fingerprint: &str) -> Result<Begin, StripeError> {
        if self.path != path {
            return Err(StripeError::idempotency(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{path}' vs '{}'). Try using a key other than '{key}' if you meant to execute a different request.",
                self.path
            )));
        }
        if self.fingerprint != fingerprint {
            return Err(StripeError::idempotency(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '{key}' if you meant to execute a different request."
            )));
        }
        match &self.answer {
            Some(answer) => Ok(Begin::Replay(answer.clone())),
            None => Err(StripeError::key_in_use(key)),
        }
    }
}
