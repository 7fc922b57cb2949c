//! JSON Web Tokens: the signing keys, access, ID and logout tokens, and bad ones on request.
//!
//! The keys are published with this source on purpose: they only ever sign for the sandbox.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Map, Value, json};

use super::{
    state::{Grant, Shared, hash, random_hex},
    users::{StandInUser, profile_claims},
};

static KEYS: LazyLock<[EncodingKey; 2]> = LazyLock::new(|| {
    [include_bytes!("keys/sandbox-only-1.pem").as_slice(), include_bytes!("keys/sandbox-only-2.pem")]
        .map(|pem| EncodingKey::from_rsa_pem(pem).expect("the embedded keys are valid PEM"))
});

/// How a token made for a test differs from a good one.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub subject: Option<String>,
    pub email: Option<String>,
    /// Seconds until it expires; negative for one that already has.
    pub lifetime_seconds: i64,
    pub signature: TokenSignature,
    /// Claims to leave out, e.g. `exp`.
    pub without: Vec<&'static str>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            subject: None,
            email: None,
            lifetime_seconds: 300,
            signature: TokenSignature::Valid,
            without: Vec::new(),
        }
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSignature {
    /// RS256 with the current key.
    Valid,
    /// RS256 with another key, under the current key's id.
    Forged,
    /// RS256 with another key, under an id that is not published.
    UnknownKeyId,
    /// HS256 with the public key as the secret (algorithm confusion).
    HmacWithPublicKey,
    /// `alg: none`, no signature.
    Unsigned,
}

fn key_id(generation: usize) -> String {
    format!("sandbox-key-{generation}")
}

fn key(generation: usize) -> &'static EncodingKey {
    &KEYS[generation % KEYS.len()]
}

/// The public half of the current key; like Authentik, an old key disappears with its replacement.
pub(super) fn key_set(generation: usize) -> Value {
    json!({ "keys": [public_key(generation)] })
}

fn public_key(generation: usize) -> Value {
    let jwk = Jwk::from_encoding_key(key(generation), Algorithm::RS256).and_then(|jwk| Ok(serde_json::to_value(jwk)?));
    let mut jwk = jwk.expect("an RSA key has a public half");
    jwk["kid"] = json!(key_id(generation));
    jwk["use"] = json!("sig");
    jwk["alg"] = json!("RS256");
    jwk
}

fn sign(generation: usize, signature: TokenSignature, token_type: &str, claims: &Map<String, Value>) -> String {
    let (algorithm, kid, key) = match signature {
        TokenSignature::Valid => (Algorithm::RS256, key_id(generation), key(generation).clone()),
        TokenSignature::Forged => (Algorithm::RS256, key_id(generation), key(generation + 1).clone()),
        TokenSignature::UnknownKeyId => (Algorithm::RS256, "unpublished".to_owned(), key(generation + 1).clone()),
        TokenSignature::HmacWithPublicKey => {
            let modulus = public_key(generation)["n"].to_string();
            (Algorithm::HS256, key_id(generation), EncodingKey::from_secret(modulus.trim_matches('"').as_bytes()))
        }
        TokenSignature::Unsigned => {
            let header = json!({ "typ": token_type, "alg": "none" }).to_string();
            let claims = Value::Object(claims.clone()).to_string();
            return format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        }
    };
    let mut header = Header::new(algorithm);
    header.typ = Some(token_type.to_owned());
    header.kid = Some(kid);
    jsonwebtoken::encode(&header, claims, &key).expect("a valid key signs any JSON object")
}

/// The claims that access and ID tokens share; Authentik's look the same but for a few.
fn common_claims(shared: &Shared, user: &StandInUser, grant: &Grant) -> Map<String, Value> {
    let mut claims = profile_claims(user, |scope| grant.has_scope(scope));
    let common = [
        ("iss", json!(shared.issuer())),
        ("sub", json!(user.uid)),
        ("aud", json!(shared.settings.client_id)),
        ("iat", json!(Utc::now().timestamp())),
        ("exp", json!(grant.expires_at)),
        ("auth_time", json!(grant.auth_time)),
        ("acr", json!("goauthentik.io/providers/oauth2/default")),
        ("amr", json!(["pwd"])),
    ];
    claims.extend(common.map(|(name, value)| (name.to_owned(), value)));
    if let Some(session) = &grant.session {
        claims.insert("sid".to_owned(), json!(session_id(session)));
    }
    claims
}

/// The `sid` claim of the session with this cookie hash.
pub(super) fn session_id(session: &str) -> String {
    hash(&format!("sid:{session}"))
}

/// An access token, changed as `options` say. Its `uid` claim is the token's own id, not the user's: so it is at
/// Authentik.
pub(super) fn access_token(
    shared: &Shared,
    generation: usize,
    user: &StandInUser,
    grant: &Grant,
    options: &TokenOptions,
) -> String {
    let mut claims = common_claims(shared, user, grant);
    claims.insert("azp".to_owned(), json!(shared.settings.client_id));
    claims.insert("uid".to_owned(), json!(random_hex()));
    claims.insert("scope".to_owned(), json!(grant.scope));
    let changed =
        [("iss", &options.issuer), ("aud", &options.audience), ("sub", &options.subject), ("email", &options.email)];
    for (name, value) in changed {
        if let Some(value) = value {
            claims.insert(name.to_owned(), json!(value));
        }
    }
    for name in &options.without {
        claims.remove(*name);
    }
    sign(generation, options.signature, "JWT", &claims)
}

/// An ID token for the access token beside it.
pub(super) fn id_token(
    shared: &Shared,
    generation: usize,
    user: &StandInUser,
    grant: &Grant,
    nonce: Option<&str>,
    access_token: &str,
) -> String {
    let mut claims = common_claims(shared, user, grant);
    let digest = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
    let at_hash = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
    claims.insert("at_hash".to_owned(), json!(at_hash));
    if let Some(nonce) = nonce {
        claims.insert("nonce".to_owned(), json!(nonce));
    }
    sign(generation, TokenSignature::Valid, "JWT", &claims)
}

/// A back-channel logout token for one session, or for all of the user's without one.
pub(super) fn logout_token(shared: &Shared, generation: usize, user: &StandInUser, session: Option<&str>) -> String {
    let now = Utc::now().timestamp();
    let mut claims = Map::from_iter(
        [
            ("iss", json!(shared.issuer())),
            ("sub", json!(user.uid)),
            ("aud", json!(shared.settings.client_id)),
            ("iat", json!(now)),
            ("exp", json!(now + 120)),
            ("jti", json!(random_hex())),
            ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if let Some(session) = session {
        claims.insert("sid".to_owned(), json!(session_id(session)));
    }
    sign(generation, TokenSignature::Valid, "logout+jwt", &claims)
}
