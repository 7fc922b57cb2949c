//! Authentik's session cookie, and the cookies of one run of a flow.
//!
//! A run has its own jar and nothing outlives it: the session id changes at log-in, and what counts is the last
//! value any answer of the run has set, also those of redirects.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

/// The name under which Authentik issues its session cookie.
pub const SESSION_COOKIE: &str = "authentik_session";

const LONGEST_VALUE: usize = 4096;
const MOST_COOKIES: usize = 20;

/// The value of an `authentik_session` cookie. It opens the user's session, so it is never shown.
#[derive(Clone, Debug)]
pub struct SessionCookie(SecretString);

impl SessionCookie {
    /// Any text: what is not a possible cookie value is simply nobody's session.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value as it goes into a header or into a hash.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the value can be a cookie's value at all (RFC 6265 cookie-octets, at most 4 KiB), and is spelled as
    /// Authentik spells it. Anything else could smuggle a second cookie into the request to Authentik, or be a known
    /// cookie in disguise.
    pub fn is_well_formed(&self) -> bool {
        is_cookie_value(self.expose()) && is_canonical(self.expose())
    }

    /// A `Cookie` header with this cookie alone; `None` when the value is not well-formed.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if !self.is_well_formed() {
            return None;
        }
        secret_header(&format!("{SESSION_COOKIE}={}", self.expose()))
    }
}

pub(crate) fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(value).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn is_cookie_value(value: &str) -> bool {
    let is_octet = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E);
    !value.is_empty() && value.len() <= LONGEST_VALUE && value.bytes().all(is_octet)
}

/// Authentik signs its cookies as JSON Web Tokens, and its decoder overlooks padding, foreign characters and spare bits of
/// the signature: one cookie has spellings without number. Only the one that Authentik itself issues is taken.
fn is_canonical(value: &str) -> bool {
    let parts: Vec<&str> = value.split('.').collect();
    !value.starts_with("eyJ") || (parts.len() == 3 && parts.iter().all(|part| URL_SAFE_NO_PAD.decode(part).is_ok()))
}

/// The cookies of one run of a flow, all from one host.
#[derive(Default)]
pub(crate) struct Jar(BTreeMap<String, String>);

impl Jar {
    pub(crate) fn with_session(session: &SessionCookie) -> Self {
        Self(BTreeMap::from([(SESSION_COOKIE.to_owned(), session.expose().to_owned())]))
    }

    /// Takes every `Set-Cookie` of an answer in order.
    pub(crate) fn absorb(&mut self, headers: &HeaderMap) {
        for header in headers.get_all(header::SET_COOKIE) {
            let Ok(text) = header.to_str() else { continue };
            let mut parts = text.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim(), value.trim());
            if expires_at_once(parts) || value.is_empty() {
                self.0.remove(name);
            } else if is_token(name) && is_cookie_value(value) && self.has_room_for(name) {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn has_room_for(&self, name: &str) -> bool {
        self.0.len() < MOST_COOKIES || self.0.contains_key(name)
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { None } else { secret_header(&pairs.join("; ")) }
    }

    pub(crate) fn session(&self) -> Option<SessionCookie> {
        self.0.get(SESSION_COOKIE).map(SessionCookie::new)
    }
}

fn expires_at_once<'a>(mut attributes: impl Iterator<Item = &'a str>) -> bool {
    attributes.any(|attribute| {
        attribute.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("max-age") && value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0)
        })
    })
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(set_cookies: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for text in set_cookies {
            let headers = HeaderMap::from_iter([(header::SET_COOKIE, text.parse().expect("header"))]);
            jar.absorb(&headers);
        }
        jar
    }

    #[test]
    fn the_last_value_counts_and_deleted_cookies_are_gone() {
        let jar = jar(&[
            "authentik_session=first; HttpOnly; Path=/",
            "authentik_csrf=token; Path=/",
            "authentik_session=second; HttpOnly; Path=/; SameSite=None",
            "authentik_csrf=gone; Max-Age=0",
        ]);
        assert_eq!(jar.header().expect("cookies"), "authentik_session=second");
        assert_eq!(jar.session().expect("session").expose(), "second");
        let deleted = self::jar(&["authentik_session=x", "authentik_session=\"\"; Max-Age=0"]);
        assert!(deleted.session().is_none());
    }

    /// Fault cases 3 and 4.
    #[test]
    fn values_that_are_no_cookie_value_make_no_header() {
        for value in ["", "x; authentik_proxy=1", "x,y", "x y", "x\r\nHost: y", "é", "\"x\"", "a\\b"] {
            assert!(SessionCookie::new(value).header().is_none(), "{value:?}");
        }
        assert!(SessionCookie::new("x".repeat(LONGEST_VALUE + 1)).header().is_none());
        let header = SessionCookie::new("x%3B%20authentik_proxy=1").header().expect("harmless as it stands");
        assert_eq!(header, "authentik_session=x%3B%20authentik_proxy=1");
        assert!(header.is_sensitive());
    }

    #[test]
    fn a_signed_cookie_has_one_spelling() {
        let (signed, signature) =
            ("eyJhbGciOiJIUzI1NiJ9.eyJzaWQiOiJ4In0", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let is_well_formed = |signature: &str| SessionCookie::new(format!("{signed}.{signature}")).is_well_formed();
        assert!(is_well_formed(signature));
        let spare_bits = format!("{}B", &signature[..signature.len() - 1]);
        for other in [format!("{signature}="), format!("*{signature}"), format!("{signature}.A"), spare_bits] {
            assert!(!is_well_formed(&other), "{other}");
        }
        assert!(SessionCookie::new("0123456789abcdef").is_well_formed(), "a session's bare id");
    }

    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", SessionCookie::new("canary")).contains("canary"));
    }
}
