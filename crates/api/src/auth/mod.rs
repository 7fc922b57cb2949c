//! Who is asking, and how they come to be known: cookies, bearer tokens, login, registration, OpenID Connect.
//!
//! A session is a random token in a cookie, a row in PostgreSQL and an entry in this process's memory. Authentik is
//! asked when one begins and once a minute while it is used; what a user may do is not decided here.

mod bearer;
pub mod bind_identities;
mod check;
mod cookies;
mod credentials;
mod establish;
mod failure;
mod limits;
pub mod log_in;
pub mod log_out;
pub mod oidc;
pub mod register;
mod store;

use axum::http::request::Parts;
use freehunt_domain::sessions::secrets;

pub use self::{
    cookies::{SetCookies, socket_ticket_cookie},
    credentials::Credential,
    limits::LoginLimiter,
    store::SessionStore,
};
use crate::{
    error::ApiResult,
    extract::{Session, client_address},
    state::AppState,
};

/// The session the request carries, or 401; 503 when Authentik or the database would have to be asked and is away.
pub async fn authenticate(parts: &Parts, state: &AppState) -> ApiResult<Session> {
    match Credential::of(&parts.headers, state.config.frontend.secure_cookies)? {
        Credential::Bearer(token) => bearer::authenticate(state, &token).await,
        credential => {
            let address = client_address(parts, state.config.http.trusted_proxy_hops);
            state.sessions.find(state, credential, address).await
        }
    }
}
