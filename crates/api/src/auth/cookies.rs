//! The cookies this server sets: the session's, the socket ticket's, the one that ties an OpenID Connect login to a
//! browser, the one that does so for a registration, and what is left of a session that was logged out. Names carry the
//! prefixes that browsers enforce, where cookies are `Secure`.

use std::time::Duration;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use freehunt_config::FrontendConfig;
use freehunt_domain::sessions::{MEMORY_OF_THE_DEAD, Token};

use super::credentials::Credential;
use crate::state::AppState;

/// Only the messaging server gets to see its ticket.
const SOCKET_PATH: &str = "/socket.io/";
/// Names under which the original left cookies.
const ORIGINAL_NAMES: [&str; 2] = ["authentik_csrf", "authentik_session"];

pub(super) fn session_name(secure: bool) -> &'static str {
    if secure { "__Host-freehunt_session" } else { "freehunt_session" }
}

pub(super) fn browser_name(secure: bool) -> &'static str {
    if secure { "__Host-freehunt_oidc" } else { "freehunt_oidc" }
}

/// Of its own: an OpenID Connect login ends within minutes, and a registration that goes on at Authentik takes hours.
pub(super) fn registration_name(secure: bool) -> &'static str {
    if secure { "__Host-freehunt_registration" } else { "freehunt_registration" }
}

/// Of the token of a session that was logged out. It opens nothing; it only shows that whoever logs in next has been here.
pub(super) fn known_name(secure: bool) -> &'static str {
    if secure { "__Host-freehunt_known" } else { "freehunt_known" }
}

fn socket_name(secure: bool) -> &'static str {
    if secure { "__Secure-freehunt_socket" } else { "freehunt_socket" }
}

/// Cookies to be set by an answer, each a whole `Set-Cookie` value.
#[derive(Clone, Default)]
pub struct SetCookies(Vec<String>);

impl SetCookies {
    /// The two cookies of a session that has begun.
    pub(super) fn begin(frontend: &FrontendConfig, token: &Token, ticket: &Token, lifetime: Duration) -> Self {
        Self(vec![session(frontend, token.as_str(), lifetime), socket(frontend, ticket.as_str(), lifetime)])
    }

    /// The socket ticket alone.
    pub(super) fn ticket(frontend: &FrontendConfig, ticket: &Token, lifetime: Duration) -> Self {
        Self(vec![socket(frontend, ticket.as_str(), lifetime)])
    }

    /// Removes everything that could carry a session, the original's cookies too.
    pub(super) fn end(frontend: &FrontendConfig) -> Self {
        let ours = [session(frontend, "", Duration::ZERO), socket(frontend, "", Duration::ZERO)];
        Self(ours.into_iter().chain(Self::forget_original().0).collect())
    }

    /// Removes the original's cookies.
    pub(super) fn forget_original() -> Self {
        let expired = |name| format!("{name}=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        Self(ORIGINAL_NAMES.map(expired).to_vec())
    }

    /// What binds an OpenID Connect login to this browser; an empty value with no lifetime removes it.
    pub(super) fn browser(frontend: &FrontendConfig, value: &str, lifetime: Duration) -> Self {
        let secure = frontend.secure_cookies;
        Self(vec![set_cookie(browser_name(secure), value, None, "/", secure, lifetime)])
    }

    /// What finishes a registration in this browser. Nothing removes it, since several may hang on it; it goes by itself.
    pub(super) fn registration(frontend: &FrontendConfig, browser: &Token, lifetime: Duration) -> Self {
        let secure = frontend.secure_cookies;
        Self(vec![set_cookie(registration_name(secure), browser.as_str(), None, "/", secure, lifetime)])
    }

    /// Lets the browser be known again as one that had this session, which is over.
    pub(super) fn known(frontend: &FrontendConfig, over: &Token) -> Self {
        let secure = frontend.secure_cookies;
        Self(vec![set_cookie(known_name(secure), over.as_str(), None, "/", secure, MEMORY_OF_THE_DEAD)])
    }

    pub(super) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

impl IntoResponseParts for SetCookies {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // Every part is of our own making and printable, so that no value is ever dropped here.
        for mut value in self.0.iter().filter_map(|text| HeaderValue::from_str(text).ok()) {
            value.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(response)
    }
}

/// The ticket cookie of a session, to be set again; nothing for a bearer token.
pub fn socket_ticket_cookie(state: &AppState, credential: &Credential) -> Option<SetCookies> {
    let ticket = credential.socket_ticket()?;
    Some(SetCookies::ticket(&state.config.frontend, &ticket, state.config.sessions.lifetime))
}

fn session(frontend: &FrontendConfig, value: &str, lifetime: Duration) -> String {
    let secure = frontend.secure_cookies;
    set_cookie(session_name(secure), value, None, "/", secure, lifetime)
}

fn socket(frontend: &FrontendConfig, value: &str, lifetime: Duration) -> String {
    let secure = frontend.secure_cookies;
    set_cookie(socket_name(secure), value, frontend.cookie_domain.as_deref(), SOCKET_PATH, secure, lifetime)
}

fn set_cookie(name: &str, value: &str, domain: Option<&str>, path: &str, secure: bool, lifetime: Duration) -> String {
    let mut text = format!("{name}={value}; Path={path}; Max-Age={}; HttpOnly; SameSite=Lax", lifetime.as_secs());
    if lifetime.is_zero() {
        text.push_str("; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    }
    if let Some(domain) = domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if secure {
        text.push_str("; Secure");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontend(url: &str) -> FrontendConfig {
        let url: url::Url = url.parse().unwrap();
        let secure_cookies = url.scheme() == "https";
        let cookie_domain = secure_cookies.then(|| url.domain().unwrap().to_owned());
        FrontendConfig { api_url: url.clone(), url, cookie_domain, secure_cookies, additional_origins: Vec::new() }
    }

    /// Fault case 10.
    #[test]
    fn over_https_names_carry_the_prefixes_and_only_the_ticket_has_a_domain() {
        let (token, ticket) = (Token::random().unwrap(), Token::random().unwrap());
        let life = Duration::from_secs(3600);
        let cookies = SetCookies::begin(&frontend("https://freehunt.example"), &token, &ticket, life).0;
        let (token, ticket) = (token.as_str(), ticket.as_str());
        let expected = [
            format!("__Host-freehunt_session={token}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"),
            format!(
                "__Secure-freehunt_socket={ticket}; Path=/socket.io/; Max-Age=3600; HttpOnly; SameSite=Lax; Domain=freehunt.example; Secure"
            ),
        ];
        assert_eq!(cookies, expected);
    }

    #[test]
    fn on_localhost_names_are_plain_and_ends_match_beginnings() {
        let local = frontend("http://localhost:5173");
        let begun = SetCookies::begin(&local, &Token::random().unwrap(), &Token::random().unwrap(), Duration::MAX).0;
        let ended = SetCookies::end(&local).0;
        for (begun, ended) in begun.iter().zip(&ended) {
            let place = |text: &str| {
                let parts: Vec<&str> = text.split("; ").collect();
                (parts[0].split('=').next().unwrap().to_owned(), parts[1].to_owned(), text.contains("Domain"))
            };
            assert_eq!(place(begun), place(ended));
            assert!(ended.contains("Max-Age=0") && !begun.contains("Secure"));
        }
        assert!(ended.iter().any(|cookie| cookie.starts_with("authentik_session=;")));
    }
}
