//! What a request brings to say who sent it. Read strictly: nothing is chosen among several values of one name, and
//! what can't be one of ours is refused before anything is asked.

use axum::http::{HeaderMap, header};
use freehunt_authentik::{SESSION_COOKIE, SessionCookie};
use freehunt_domain::sessions::{Token, hash_upstream_cookie};
use secrecy::{ExposeSecret, SecretString};

use super::{cookies, secrets};
use crate::error::{ApiError, ApiResult, NO_SESSION};

/// The text of a session that is not, or no longer, valid.
pub const INVALID_SESSION: &str = "Échec de l'authentification Authentik";

/// One way of saying who sent a request.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token of the OpenID Connect provider.
    Bearer(SecretString),
    /// Our own session cookie.
    Session(Token),
    /// Authentik's own session cookie, as the original let browsers keep it.
    Upstream(SessionCookie),
}

impl Credential {
    /// The one credential of a request: a bearer token, else our cookie, else the original's. 401 for none, for several
    /// values of one name, and for what has an impossible form.
    pub fn of(headers: &HeaderMap, secure: bool) -> ApiResult<Self> {
        let invalid = || ApiError::unauthorized(INVALID_SESSION);
        let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        if let Some(token) = authorization.and_then(bearer) {
            return token.ok_or_else(invalid);
        }
        if let Some(value) = only_cookie(headers, cookies::session_name(secure))? {
            return Token::parse(value).map(Self::Session).ok_or_else(invalid);
        }
        match only_cookie(headers, SESSION_COOKIE)? {
            Some(value) => {
                let cookie = SessionCookie::new(value);
                if cookie.is_well_formed() { Ok(Self::Upstream(cookie)) } else { Err(invalid()) }
            }
            None => Err(ApiError::unauthorized(NO_SESSION)),
        }
    }

    /// Every cookie a browser could use as a session, whatever its state: what a login replaces and a logout ends.
    pub fn all_cookies(headers: &HeaderMap, secure: bool) -> Vec<Self> {
        let ours = cookies_named(headers, cookies::session_name(secure)).filter_map(Token::parse).map(Self::Session);
        let originals = cookies_named(headers, SESSION_COOKIE)
            .filter(|value| !value.is_empty())
            .map(SessionCookie::new)
            .filter(SessionCookie::is_well_formed)
            .map(Self::Upstream);
        ours.take(2).chain(originals.take(2)).collect()
    }

    /// The sessions a browser has or had, by their hashes: what shows that it was signed in before.
    pub(super) fn past_and_present(headers: &HeaderMap, secure: bool) -> Vec<Vec<u8>> {
        let over = only_cookie(headers, cookies::known_name(secure)).ok().flatten().and_then(Token::parse);
        Self::all_cookies(headers, secure).iter().map(Self::hash).chain(over.map(|token| token.hash())).collect()
    }

    /// What the table of sessions knows it by.
    pub fn hash(&self) -> Vec<u8> {
        match self {
            Self::Bearer(token) => freehunt_domain::sessions::hash_secret(token.expose_secret()),
            Self::Session(token) => token.hash(),
            Self::Upstream(cookie) => hash_upstream_cookie(cookie.expose()),
        }
    }

    /// The ticket for the messaging server that belongs to this session; the same one each time, so that it can be sent
    /// again without being stored again.
    pub fn socket_ticket(&self) -> Option<Token> {
        match self {
            Self::Bearer(_) => None,
            Self::Session(token) => Some(secrets::socket_ticket(token.as_str())),
            Self::Upstream(cookie) => Some(secrets::socket_ticket(cookie.expose())),
        }
    }
}

/// `None` for other schemes, which are a proxy's business; `Some(None)` for a bearer token of an impossible form.
fn bearer(authorization: &str) -> Option<Option<Credential>> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let token = token.trim();
    // A signed token has three parts; anything else needs no look at the provider's keys.
    let is_signed = token.split('.').count() == 3;
    Some(is_signed.then(|| Credential::Bearer(SecretString::from(token.to_owned()))))
}

fn cookies_named<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(found, _)| *found == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// The value of a cookie; an empty one counts as absent, and several are refused whatever they are.
pub(super) fn only_cookie<'h>(headers: &'h HeaderMap, name: &'h str) -> ApiResult<Option<&'h str>> {
    let mut values = cookies_named(headers, name);
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::unauthorized(INVALID_SESSION));
    }
    Ok(first.filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};

    use super::*;

    fn credential(cookies: &[&str]) -> ApiResult<Credential> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        Credential::of(&headers, false)
    }

    /// Fault cases 2 and 3: refused without asking anybody.
    #[test]
    fn impossible_values_are_refused() {
        for cookie in ["", "x=1", "freehunt_session=garbage", "authentik_session=", "authentik_session=a b"] {
            assert_eq!(credential(&[cookie]).unwrap_err().status(), StatusCode::UNAUTHORIZED, "{cookie}");
        }
        let long = format!("authentik_session={}", "x".repeat(8 * 1024));
        assert_eq!(credential(&[&long]).unwrap_err().status(), StatusCode::UNAUTHORIZED);
    }

    /// Fault case 4.
    #[test]
    fn two_values_of_one_name_are_refused_wherever_they_stand() {
        let token = Token::random().unwrap();
        let good = format!("freehunt_session={}", token.as_str());
        assert!(matches!(credential(&[&good]), Ok(Credential::Session(_))));
        assert!(credential(&[&format!("{good}; freehunt_session=x")]).is_err());
        assert!(credential(&[&good, &good]).is_err());
        assert!(credential(&["authentik_session=a; b=1; authentik_session=b"]).is_err());
        assert!(matches!(credential(&["authentik_session=a"]), Ok(Credential::Upstream(_))));
    }

    #[test]
    fn our_cookie_comes_before_the_originals_even_when_it_is_bad() {
        assert!(credential(&["freehunt_session=bad; authentik_session=good"]).is_err());
    }

    #[test]
    fn a_bearer_token_must_look_signed() {
        for good in ["Bearer a.b.c", "bearer  a.b.c"] {
            assert!(matches!(bearer(good), Some(Some(Credential::Bearer(_)))), "{good}");
        }
        for bad in ["Bearer", "Bearer abc", "Bearer a.b.c.d"] {
            assert!(matches!(bearer(bad), Some(None)), "{bad}");
        }
        for other in ["Basic a.b.c", "a.b.c", ""] {
            assert!(bearer(other).is_none(), "{other}");
        }
    }
}
