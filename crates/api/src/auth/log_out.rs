//! Ending a session: here on every replica, at Authentik, and in the browser.

use std::net::IpAddr;

use axum::http::HeaderMap;
use freehunt_authentik::SessionCookie;
use freehunt_domain::sessions::{self, hash_upstream_session};
use secrecy::SecretString;

use super::{cookies::SetCookies, credentials::Credential, establish, secrets::UpstreamSecret};
use crate::{error::ApiResult, state::AppState};

pub struct LoggedOut {
    /// Remove what the browser held, and leave what it is known again by.
    pub cookies: SetCookies,
    /// Of a session that came by OpenID Connect, for the provider's own log-out page.
    pub id_token: Option<SecretString>,
}

/// Ends whatever session the request's cookies open; none at all is as good.
pub async fn log_out(state: &AppState, headers: &HeaderMap, address: IpAddr) -> ApiResult<LoggedOut> {
    let frontend = &state.config.frontend;
    let credentials = Credential::all_cookies(headers, frontend.secure_cookies);
    let has_own = credentials.iter().any(|credential| matches!(credential, Credential::Session(_)));
    let mut upstream = Vec::new();
    let mut id_token = None;
    let mut cookies = SetCookies::end(frontend);
    for credential in &credentials {
        let hash = credential.hash();
        // Authentik's cookie beside our own may be of another application on the same host: it stays, if unused here.
        let refused = match credential {
            Credential::Upstream(cookie) if !has_own => Some(hash_upstream_session(cookie.expose())),
            _ => None,
        };
        let ended = sessions::log_out(&state.pool, &hash, refused.as_deref(), Some(address.to_string())).await?;
        if let Some(ended) = &ended {
            state.sessions.forget(&[ended.id]).await;
        }
        match credential {
            Credential::Upstream(cookie) if refused.is_some() || ended.is_some() => upstream.push(cookie.clone()),
            Credential::Session(token) => {
                if ended.is_some() {
                    cookies = cookies.and(SetCookies::known(frontend, token));
                }
                let sealed = ended.and_then(|ended| ended.upstream_secret);
                match sealed.and_then(|sealed| UpstreamSecret::open(token.as_str(), &sealed)) {
                    Some(UpstreamSecret::Cookie { value }) => upstream.push(SessionCookie::new(value)),
                    Some(UpstreamSecret::Tokens { id, .. }) => id_token = Some(SecretString::from(id)),
                    None => {}
                }
            }
            _ => {}
        }
    }
    for cookie in &upstream {
        establish::end_upstream(state, cookie).await;
    }
    Ok(LoggedOut { cookies, id_token })
}
