//! Why a job is not done yet.

use std::time::Duration;

use freehunt_domain::error::{is_transient, is_unavailable};
use freehunt_storage::StorageError;
use freehunt_stripe::StripeError;

/// A job that has to be run again.
#[derive(Debug, thiserror::Error)]
pub enum Setback {
    /// Something was away, or its answer is not known. Tried again for as long as it takes.
    #[error("{0}")]
    Unavailable(String),
    /// It can't be done before something else has happened.
    #[error("{why}")]
    NotYet { why: &'static str, after: Duration },
    /// Neither should happen: a bug, or a refusal that no rule foresees.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) || is_transient(&error) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Broken(error.into())
        }
    }
}

impl From<StripeError> for Setback {
    fn from(error: StripeError) -> Self {
        if error.is_final() {
            return Self::Broken(error.into());
        }
        if error == StripeError::Authentication {
            tracing::error!(%error, "Stripe is not usable");
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<StorageError> for Setback {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StorageError::Refused(_) => Self::Broken(error.into()),
        }
    }
}
