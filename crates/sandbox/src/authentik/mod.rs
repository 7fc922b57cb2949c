//! A stand-in for Authentik that speaks its flow executor, its users API and its OpenID Connect provider over HTTP.
//!
//! Paths, status codes and JSON shapes are those of Authentik 2025.2 (its API schema), so that FreeHunt's client
//! code runs unchanged against it. It knows nothing of FreeHunt's own users, roles or database.
//!
//! Identity: each user has a stable `uid` of 64 hexadecimal digits, and the OpenID Connect `sub` is that same value
//! (Authentik's subject mode "based on the user's hashed id").

mod challenges;
mod flows;
mod handle;
mod oidc;
mod pages;
mod session_cookies;
mod state;
#[cfg(test)]
mod tests;
mod token_endpoint;
mod tokens;
mod users;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use tokio::net::TcpListener;

use self::state::{Shared, Store};
pub use self::{
    tokens::{TokenOptions, TokenSignature},
    users::{NewUser, StandInUser, UserRefused},
};
use crate::stand_in::{Controls, Running, serve};

/// How a stand-in for Authentik is set up; the defaults are those of the sandbox.
#[derive(Clone, Debug)]
pub struct AuthentikStandInSettings {
    /// Base URL that browsers and servers use, without a trailing slash; `None` takes the listener's address.
    pub public_url: Option<String>,
    /// Bearer token that may list all users.
    pub admin_token: String,
    /// Slug of the application, part of the issuer URL.
    pub application_slug: String,
    pub client_id: String,
    /// `None` makes the client public (PKCE only).
    pub client_secret: Option<String>,
    /// Exact redirect URIs; empty accepts every http(s) address.
    pub redirect_uris: Vec<String>,
    /// Exact addresses to return to after a logout; empty accepts every http(s) address.
    pub post_logout_redirect_uris: Vec<String>,
    pub authentication_slug: String,
    pub enrolment_slug: String,
    pub invalidation_slug: String,
    /// Life of access and ID tokens, in seconds.
    pub access_token_seconds: i64,
    /// A JSON file that keeps users, sessions and refresh tokens over a restart.
    pub persist: Option<PathBuf>,
}

impl Default for AuthentikStandInSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            admin_token: "sandbox-authentik-admin-token".to_owned(),
            application_slug: "freehunt".to_owned(),
            client_id: "freehunt".to_owned(),
            client_secret: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            authentication_slug: "default-authentication-flow".to_owned(),
            enrolment_slug: "freehunt-enrollment".to_owned(),
            invalidation_slug: "default-invalidation-flow".to_owned(),
            access_token_seconds: 300,
            persist: None,
        }
    }
}

/// How the flows of the stand-in are configured, as an administrator of Authentik could.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The password is asked in a stage of its own, not beside the identification.
    pub separate_password_stage: bool,
    /// A correct password is followed by a stage that asks for a second factor.
    pub require_mfa: bool,
    /// A solved stage redirects to this address instead of back to the executor.
    pub redirect_flow_to: Option<String>,
    /// A policy denies access once the first stages are solved.
    pub deny: bool,
    /// The flow breaks (`ak-stage-flow-error`) once the first stages are solved.
    pub flow_error: bool,
    /// The enrolment flow ends with a login; otherwise the new user stays anonymous.
    pub enrolment_logs_in: bool,
    /// The uniqueness rules report under `non_field_errors`, as Authentik's expression policies do.
    pub rules_report_without_field: bool,
    /// Largest page of the users list.
    pub max_page_size: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            separate_password_stage: false,
            require_mfa: false,
            redirect_flow_to: None,
            deny: false,
            flow_error: false,
            enrolment_logs_in: true,
            rules_report_without_field: false,
            max_page_size: 100,
        }
    }
}

/// A running stand-in for Authentik. Dropping it stops it.
pub struct AuthentikStandIn {
    pub running: Running,
    shared: Arc<Shared>,
}

impl AuthentikStandIn {
    /// Serves on `listener`; fails when the file of `settings.persist` cannot be read or is not what this wrote.
    pub async fn start(listener: TcpListener, settings: AuthentikStandInSettings) -> std::io::Result<Self> {
        let store = match &settings.persist {
            Some(path) => Store::load(path)?,
            None => Store::default(),
        };
        let base_url = match &settings.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", listener.local_addr()?),
        };
        let shared = Arc::new(Shared::new(settings, base_url, store));
        let running = serve(listener, router(Arc::clone(&shared)), Controls::new())?;
        Ok(Self { running, shared })
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let health = || async { StatusCode::NO_CONTENT };
    Router::new()
        .route("/api/v3/flows/executor/{slug}/", get(flows::executor).post(flows::executor))
        .route("/api/v3/core/users/me/", get(users::me))
        .route("/api/v3/core/users/", get(users::list))
        .route("/application/o/authorize/", get(oidc::authorize).post(oidc::log_in_and_authorize))
        .route("/application/o/token/", post(token_endpoint::token))
        .route("/application/o/userinfo/", get(token_endpoint::userinfo).post(token_endpoint::userinfo))
        .route("/application/o/revoke/", post(token_endpoint::revoke))
        .route("/application/o/{slug}/", get(oidc::application))
        .route("/application/o/{slug}/.well-known/openid-configuration", get(oidc::discovery))
        .route("/application/o/{slug}/jwks/", get(oidc::jwks))
        .route("/application/o/{slug}/end-session/", get(oidc::end_session).post(oidc::end_session))
        .route("/-/health/live/", get(health))
        .route("/-/health/ready/", get(health))
        .with_state(shared)
}
