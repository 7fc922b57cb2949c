//! OpenID Connect for browsers: the way to the provider and back, and the provider's word that a session has ended.

use std::{net::IpAddr, time::Duration};

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use freehunt_authentik::oidc::{LogoutClaims, OidcTokens};
use freehunt_config::FrontendConfig;
use freehunt_domain::{
    sessions::{self, SessionOrigin, Token, hash_provider_session, hash_secret, queries, queries::OidcLogin},
    users::{ProviderIdentity, RegistrationProof},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    cookies::{self, SetCookies},
    credentials::only_cookie,
    establish::{self, SignIn},
    failure::Failure,
    secrets::{self, UpstreamSecret},
};
use crate::{
    error::{ApiError, ApiResult},
    state::AppState,
};

/// Time to sign in at the provider.
const LOGIN_LIFETIME: Duration = Duration::from_secs(600);

/// Where the browser goes next, and what it keeps.
pub struct Redirection {
    pub to: Url,
    pub cookies: SetCookies,
}

/// Begins a login, bound to this browser by a cookie. Two tabs share that cookie.
pub async fn begin(
    state: &AppState,
    headers: &HeaderMap,
    address: IpAddr,
    return_to: Option<&str>,
) -> ApiResult<Redirection> {
    // Each login that begins is a row until it expires.
    state.login_limits.begin_oidc_from(address).map_err(ApiError::too_many_requests)?;
    let frontend = &state.config.frontend;
    let request = state.oidc.authorization_request().await.map_err(Failure::from)?;
    let browser = held_or_new(headers, cookies::browser_name(frontend.secure_cookies))?;
    let verifier = secrets::seal(browser.as_str(), request.pkce_verifier.expose_secret().as_bytes());
    let login = OidcLogin {
        nonce: request.nonce,
        pkce_verifier: STANDARD.encode(verifier.ok_or(Failure::Internal("the system has no randomness to give"))?),
        return_to: allowed_return(frontend, return_to).to_string(),
    };
    let mut connection = state.connection().await?;
    let state_hash = hash_secret(&request.state);
    queries::insert_oidc_login(&mut connection, &state_hash, &browser.hash(), &login, LOGIN_LIFETIME).await?;
    Ok(Redirection { to: request.url, cookies: SetCookies::browser(frontend, browser.as_str(), LOGIN_LIFETIME) })
}

fn held(headers: &HeaderMap, cookie: &str) -> Option<Token> {
    only_cookie(headers, cookie).ok().flatten().and_then(Token::parse)
}

/// What this browser holds in that cookie already, or is to hold from now on.
pub(super) fn held_or_new(headers: &HeaderMap, cookie: &str) -> Result<Token, Failure> {
    held(headers, cookie)
        .map_or_else(Token::random, Ok)
        .map_err(|_| Failure::Internal("the system has no randomness to give"))
}

/// Only pages of the frontend; everything else becomes its first page.
fn allowed_return(frontend: &FrontendConfig, return_to: Option<&str>) -> Url {
    let origin = frontend.url.origin();
    let home = || frontend.url.join("/").unwrap_or_else(|_| frontend.url.clone());
    let asked = return_to.and_then(|text| home().join(text).ok());
    asked.filter(|url| url.origin() == origin && url.username().is_empty()).unwrap_or_else(home)
}

/// What the provider sent the browser back with.
pub struct Callback<'a> {
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub address: IpAddr,
}

/// Why the browser returns to the login page, as its query says.
#[derive(Clone, Copy, Debug)]
enum NoLogin {
    /// The login was not begun in this browser, or too long ago.
    Expired,
    /// The provider did not let the user in.
    Denied,
    /// Nobody here has this account.
    UnknownAccount,
    Unavailable,
}

impl NoLogin {
    fn code(self) -> &'static str {
        match self {
            Self::Expired => "login_expired",
            Self::Denied => "access_denied",
            Self::UnknownAccount => "unknown_account",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Finishes a login: to where the user wanted to go, or to the login page with the reason.
pub async fn finish(state: &AppState, callback: Callback<'_>) -> ApiResult<Redirection> {
    let frontend = &state.config.frontend;
    match sign_in(state, &callback).await? {
        Ok((to, cookies)) => {
            Ok(Redirection { to, cookies: cookies.and(SetCookies::browser(frontend, "", Duration::ZERO)) })
        }
        Err(reason) => {
            let mut to = allowed_return(frontend, Some("/login"));
            to.query_pairs_mut().append_pair("error", reason.code());
            Ok(Redirection { to, cookies: SetCookies::default() })
        }
    }
}

async fn sign_in(state: &AppState, callback: &Callback<'_>) -> ApiResult<Result<(Url, SetCookies), NoLogin>> {
    let frontend = &state.config.frontend;
    let browser = held(callback.headers, cookies::browser_name(frontend.secure_cookies));
    let (Some(browser), Some(login_state)) = (browser, callback.state) else {
        return Ok(Err(NoLogin::Expired));
    };
    let mut connection = state.connection().await?;
    let login = queries::take_oidc_login(&mut connection, &hash_secret(login_state), &browser.hash()).await?;
    connection.finish();
    let Some(login) = login else { return Ok(Err(NoLogin::Expired)) };
    let Some(code) = callback.code else { return Ok(Err(NoLogin::Denied)) };
    let verifier = STANDARD.decode(&login.pkce_verifier).ok();
    let verifier = verifier.and_then(|sealed| secrets::open(browser.as_str(), &sealed));
    let Some(verifier) = verifier.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Ok(Err(NoLogin::Expired));
    };
    let exchanged = state.oidc.exchange(code, &SecretString::from(verifier), &login.nonce).await;
    let tokens = match exchanged.map_err(Failure::from) {
        Ok(tokens) => tokens,
        Err(Failure::Refused) => return Ok(Err(NoLogin::Denied)),
        Err(failure) => {
            tracing::warn!(%failure, "a login could not be finished with the provider");
            return Ok(Err(NoLogin::Unavailable));
        }
    };
    match open(state, callback, &tokens).await {
        Ok(cookies) => Ok(Ok((allowed_return(frontend, Some(&login.return_to)), cookies))),
        Err(Failure::Refused) => Ok(Err(NoLogin::UnknownAccount)),
        Err(failure) => Err(failure.into()),
    }
}

async fn open(state: &AppState, callback: &Callback<'_>, tokens: &OidcTokens) -> Result<SetCookies, Failure> {
    let identity = ProviderIdentity {
        uid: &tokens.subject,
        email: tokens.email.as_deref(),
        username: tokens.username.as_deref(),
        client_address: Some(callback.address),
    };
    let registration = held(callback.headers, cookies::registration_name(state.config.frontend.secure_cookies));
    let user = establish::resolve(state, identity, registration.as_ref().map(RegistrationProof::Browser)).await?;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    let sign_in = SignIn {
        user: &user,
        origin: SessionOrigin::Oidc,
        secret: UpstreamSecret::Tokens {
            access: text(&tokens.access_token),
            refresh: tokens.refresh_token.as_ref().map(text),
            id: text(&tokens.id_token),
        },
        upstream_session_hash: tokens.session_id.as_deref().map(hash_provider_session),
        headers: callback.headers,
        address: callback.address,
    };
    establish::begin(state, sign_in).await
}

/// Where the browser ends its session at the provider too, and comes back to the frontend from.
pub async fn end_session_url(state: &AppState, id_token: Option<&SecretString>) -> Option<Url> {
    let home = allowed_return(&state.config.frontend, None);
    match state.oidc.end_session_url(id_token, Some(&home)).await {
        Ok(url) => url,
        Err(error) => {
            tracing::warn!(%error, "the provider's log-out page is not known");
            None
        }
    }
}

/// Ends the sessions that a log-out token of the provider names. A token that is not good, or not new, is a 400.
pub async fn provider_log_out(state: &AppState, logout_token: &str) -> ApiResult<()> {
    let refused = || ApiError::bad_request("The logout token is not acceptable");
    let LogoutClaims { subject, session_id, jti, .. } =
        state.oidc.verify_logout_token(logout_token).await.map_err(|error| match Failure::from(error) {
            Failure::Refused => refused(),
            failure => failure.into(),
        })?;
    let token_id = hash_secret(&format!("jti={jti}"));
    let provider_session = session_id.as_deref().map(hash_provider_session);
    let touched =
        sessions::provider_log_out(&state.pool, &token_id, subject.as_deref(), provider_session.as_deref()).await?;
    let touched = touched.ok_or_else(refused)?;
    state.sessions.forget(&touched).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_frontend_is_returned_to() {
        let url: Url = "https://freehunt.example/some/page".parse().unwrap();
        let frontend = FrontendConfig {
            api_url: url.clone(),
            url,
            cookie_domain: None,
            secure_cookies: true,
            additional_origins: Vec::new(),
        };
        let to = |text: &str| allowed_return(&frontend, Some(text)).to_string();
        assert_eq!(to("/dashboard?tab=1"), "https://freehunt.example/dashboard?tab=1");
        assert_eq!(to("https://freehunt.example/x"), "https://freehunt.example/x");
        for evil in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "https://freehunt.example.evil.example/",
            "http://freehunt.example/",
            "https://freehunt.example@evil.example/",
            "https://x@freehunt.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\t/evil.example",
        ] {
            assert_eq!(to(evil), "https://freehunt.example/", "{evil}");
        }
        assert_eq!(allowed_return(&frontend, None).to_string(), "https://freehunt.example/");
    }
}
