//! What Stripe sends: is it Stripe's, and which event is it?
//!
//! The signature covers the body's bytes as received, so nothing may parse or rewrite them before
//! [`verify`]. Parsing is lenient on purpose: an event of another version, of an unknown type or
//! with a partial object must still be stored and acknowledged.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// How far the signature's time may be from now, in seconds, in either direction.
pub const TOLERANCE_SECONDS: u64 = 300;
/// The only signature scheme accepted; `v0` is Stripe's scheme for test events.
const SCHEME: &str = "v1";
/// Signatures looked at in one header: each costs an HMAC over the body, and anybody can send some.
const MOST_SIGNATURES: usize = 8;

/// Why a message is not taken for Stripe's. The texts are part of the answer to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no body.
    #[error("No webhook payload was provided.")]
    NoPayload,
    /// The header is absent or empty.
    #[error("No stripe-signature header value was provided.")]
    NoHeader,
    /// The header carries no time.
    #[error("Unable to extract timestamp and signatures from header")]
    UnableToExtract,
    /// The header carries no signature of the accepted scheme.
    #[error("No signatures found with expected scheme")]
    NoSignaturesWithExpectedScheme,
    /// No signature was made with one of the secrets over these bytes.
    #[error(
        "No signatures found matching the expected signature for payload. Are you passing the raw request body you \
         received from Stripe? \n If a webhook request is being forwarded by a third-party tool, ensure that the exact \
         request body, including JSON formatting and new line style, is preserved.\n\nLearn more about webhook signing \
         and explore webhook integration examples for various frameworks at \
         https://docs.stripe.com/webhooks/signature\n"
    )]
    NoMatch,
    /// The signature is right but too old, or from the future: a replay, or a clock is wrong.
    #[error("Timestamp outside the tolerance zone")]
    TimestampOutsideTolerance,
}

/// Checks that `payload`, the body's bytes as received, was signed with one of the `secrets` at most
/// [`TOLERANCE_SECONDS`] from `now_unix_seconds`. Several secrets are in use while one replaces
/// another; an empty one is never used.
///
/// # Errors
/// The first reason found not to accept the message.
pub fn verify(
    payload: &[u8],
    header: Option<&str>,
    secrets: &[SecretString],
    now_unix_seconds: i64,
) -> Result<(), SignatureError> {
    let header = header.filter(|header| !header.is_empty()).ok_or(SignatureError::NoHeader)?;
    let (timestamp, signatures) = parse_header(header)?;
    if signatures.is_empty() {
        return Err(SignatureError::NoSignaturesWithExpectedScheme);
    }
    let signed = signed_bytes(timestamp, payload);
    let matches = secrets.iter().filter(|secret| !secret.expose_secret().is_empty()).any(|secret| {
        let key = hmac_key(secret.expose_secret());
        signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok())
    });
    if !matches {
        return Err(SignatureError::NoMatch);
    }
    if now_unix_seconds.abs_diff(timestamp) > TOLERANCE_SECONDS {
        return Err(SignatureError::TimestampOutsideTolerance);
    }
    if payload.is_empty() { Err(SignatureError::NoPayload) } else { Ok(()) }
}

/// The value of the `Stripe-Signature` header Stripe would send with `payload` at `timestamp`, in
/// Unix seconds. For stand-ins and tests.
#[must_use]
pub fn sign(payload: &[u8], secret: &str, timestamp: i64) -> String {
    let tag = hmac::sign(&hmac_key(secret), &signed_bytes(timestamp, payload));
    format!("t={timestamp},{SCHEME}={}", hex::encode(tag))
}

fn hmac_key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn signed_bytes(timestamp: i64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{timestamp}.").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Time and signatures of the accepted scheme. A signature that is not hexadecimal stays as an empty
/// one, which matches nothing, so that the answer says "no match" and not "no signature".
fn parse_header(header: &str) -> Result<(i64, Vec<Vec<u8>>), SignatureError> {
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for (name, value) in header.split(',').filter_map(|item| item.split_once('=')) {
        if name == "t" && value.bytes().all(|byte| byte.is_ascii_digit()) {
            timestamp = value.parse().ok();
        } else if name == SCHEME && signatures.len() < MOST_SIGNATURES {
            signatures.push(hex::decode(value).unwrap_or_default());
        }
    }
    Ok((timestamp.ok_or(SignatureError::UnableToExtract)?, signatures))
}

/// An event, with its object as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// For example `checkout.session.completed`.
    pub event_type: String,
    /// When it happened, in Unix seconds; 0 when not told.
    pub created: i64,
    /// Whether it is about real money; `None` when not told.
    pub livemode: Option<bool>,
    /// Version of the interface the object is in.
    pub api_version: Option<String>,
    /// `data.object`, or null when there is none.
    pub object: Value,
}

/// Why a verified message is not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON.
    #[error("the webhook's body is not JSON")]
    NotJson,
    /// Without identifier or type.
    #[error("the webhook's body has no event id or no event type")]
    NotAnEvent,
}

impl Event {
    /// Reads an event; call [`verify`] on the same bytes first.
    ///
    /// # Errors
    /// When the payload is not JSON or has no identifier or type.
    pub fn parse(payload: &[u8]) -> Result<Self, EventError> {
        let mut event: Value = serde_json::from_slice(payload).map_err(|_| EventError::NotJson)?;
        let text = |event: &Value, field: &str| crate::event_object::text(event, field);
        Ok(Self {
            id: text(&event, "id").ok_or(EventError::NotAnEvent)?,
            event_type: text(&event, "type").ok_or(EventError::NotAnEvent)?,
            created: crate::event_object::integer(&event, "created").unwrap_or_default(),
            livemode: event.get("livemode").and_then(Value::as_bool),
            api_version: text(&event, "api_version"),
            object: event.pointer_mut("/data/object").map(Value::take).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
