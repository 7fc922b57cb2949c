//! Why nobody could be recognised: shared by all requests that waited for the same check.

use std::sync::Arc;

use freehunt_authentik::{Unavailable, oidc::OidcError};
use freehunt_domain::error::is_unavailable;

use super::credentials::INVALID_SESSION;
use crate::error::ApiError;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It is not a session, or no longer.
    #[error("the session is not valid")]
    Refused,
    /// This address has asked about too many unknown cookies; the seconds to wait.
    #[error("too many unknown cookies came from this address")]
    TooMany(u32),
    /// Authentik could not be asked.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(format!("{:#}", anyhow::Error::new(error)))
    }
}

impl From<OidcError> for Failure {
    fn from(error: OidcError) -> Self {
        if error.is_refusal() { Self::Refused } else { Self::Unavailable(format!("{:#}", anyhow::Error::new(error))) }
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Refused => Self::unauthorized(INVALID_SESSION),
            Failure::TooMany(seconds) => Self::too_many_requests(*seconds),
            Failure::Unavailable(reason) => Self::unavailable(anyhow::anyhow!("{reason}")),
            Failure::Database(error) if is_unavailable(error) => Self::unavailable(anyhow::anyhow!("{error}")),
            Failure::Database(error) => Self::internal(anyhow::anyhow!("{error}")),
            Failure::Internal(reason) => Self::internal(anyhow::anyhow!("{reason}")),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::from(&failure)
    }
}

impl From<Arc<Failure>> for ApiError {
    fn from(failure: Arc<Failure>) -> Self {
        Self::from(&*failure)
    }
}
