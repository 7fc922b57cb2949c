//! Who is asking.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use freehunt_domain::{
    audit::AuditActor,
    ids::{SessionId, UserId},
    policy::Actor,
    users::Role,
};

use crate::{
    auth,
    error::{ApiError, ApiResult},
    state::AppState,
};

/// A user with a live session. As an argument it refuses everybody else with 401.
#[derive(Clone, Debug)]
pub struct Session {
    /// `None` for a bearer token, which has no row.
    pub id: Option<SessionId>,
    pub user_id: UserId,
    pub email: String,
    pub username: String,
    pub role: Role,
    /// Whether Authentik confirmed the session lately. While Authentik is away, sessions live on for some minutes for
    /// reads and messages only.
    pub is_confirmed: bool,
}

impl Session {
    pub fn actor(&self) -> Actor {
        Actor { user_id: self.user_id, role: self.role }
    }

    pub fn audit_actor(&self) -> AuditActor {
        AuditActor::User(self.user_id)
    }

    /// For changes of money and profiles: 503 while Authentik cannot confirm the session.
    pub fn require_confirmed(&self) -> ApiResult<()> {
        if self.is_confirmed {
            Ok(())
        } else {
            Err(ApiError::unavailable(anyhow::anyhow!("the session could not be confirmed with Authentik")))
        }
    }

    /// Before any change of one's own account or profile: as [`Session::require_confirmed`], and from now on whoever makes it
    /// sees it at once.
    pub fn begin_account_change(&self, state: &AppState) -> ApiResult<()> {
        self.require_confirmed()?;
        state.accounts.expect_change(self.user_id);
        Ok(())
    }

    /// 403 for the other role.
    pub fn require_role(&self, role: Role) -> ApiResult<()> {
        if self.role == role { Ok(()) } else { Err(ApiError::forbidden(crate::error::FORBIDDEN)) }
    }
}

impl FromRequestParts<AppState> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> ApiResult<Self> {
        if let Some(session) = parts.extensions.get::<Self>() {
            return Ok(session.clone());
        }
        let session = auth::authenticate(parts, state).await?;
        parts.extensions.insert(session.clone());
        Ok(session)
    }
}

/// For public endpoints that know more for somebody who is logged in. An absent or dead session is nobody; so is one
/// that cannot be checked now, but such a reader is not told that something is missing or forbidden.
#[derive(Debug)]
pub struct MaybeSession {
    pub session: Option<Session>,
    /// Why the session that was sent could not be checked.
    unchecked: Option<ApiError>,
}

impl FromRequestParts<AppState> for MaybeSession {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(match Session::from_request_parts(parts, state).await {
            Ok(session) => Self { session: Some(session), unchecked: None },
            Err(error) if error.status() == StatusCode::UNAUTHORIZED => Self { session: None, unchecked: None },
            Err(error) => Self { session: None, unchecked: Some(error) },
        })
    }
}

impl MaybeSession {
    /// As an argument that cannot fail, for extractors that are made of several.
    pub async fn of(parts: &mut Parts, state: &AppState) -> Self {
        Self::from_request_parts(parts, state).await.unwrap_or_else(|never| match never {})
    }

    /// What to answer when `refusal` is right for a stranger: whose session could not be checked may be none.
    pub fn refusal(self, refusal: ApiError) -> ApiError {
        match self.unchecked {
            Some(unchecked) if refusal.status().is_client_error() => unchecked,
            _ => refusal,
        }
    }
}

/// The client's address, behind as many trusted proxies as the configuration names.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(Self(client_address(parts, state.config.http.trusted_proxy_hops)))
    }
}

/// Each trusted proxy appends the address it saw to `X-Forwarded-For`; only those last entries are believed.
pub fn client_address(parts: &Parts, trusted_hops: u8) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    if trusted_hops == 0 {
        return peer;
    }
    let forwarded: Vec<&str> = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    forwarded
        .len()
        .checked_sub(usize::from(trusted_hops))
        .and_then(|index| forwarded.get(index))
        .and_then(|text| text.parse().ok())
        .unwrap_or(peer)
}
