//! The value of Authentik's session cookie: a JSON Web Token around the session's id, read as leniently as Authentik
//! reads it.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use ring::hmac;
use serde_json::{Value, json};

/// Published with this source on purpose: it only ever signs for the sandbox.
const KEY: &[u8] = b"sandbox-only: signs the session cookies of the stand-in";

/// What Python's decoder leaves of a signature is decoded as it does it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The cookie of a session. A session may have several: its claims change, its id does not.
pub(super) fn sign(session_id: &str, authenticated: bool) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({ "sid": session_id, "iss": "authentik", "sub": "anonymous", "authenticated": authenticated,
        "acr": "goauthentik.io/core/default" });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The id of the session, if the cookie is one of ours.
pub(super) fn session_id(cookie: &str) -> Option<String> {
    let (signed, signature) = cookie.rsplit_once('.')?;
    let letters: String =
        signature.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect();
    let signature = LENIENT.decode(letters).ok()?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, KEY), signed.as_bytes(), &signature).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["sid"].as_str().map(str::to_owned)
}
