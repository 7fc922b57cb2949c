//! What can go wrong with the object store, sorted by what the caller should do about it.
//!
//! The texts name the operation, the HTTP status and S3's error code only: S3's own messages may quote the access key
//! or the string that was signed.

use std::error::Error;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// Settings from which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0} must be an http or https address without user, query and fragment")]
    Url(&'static str),
    #[error("{0} must not be empty")]
    Empty(&'static str),
    #[error("the bucket name must be 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket,
}

/// A failed call to the object store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No answer, or a 5xx or throttling answer, also after the retries. Whether a write happened is unknown.
    #[error("the object store is unavailable: {0}")]
    Unavailable(Failure),
    /// The store understood and said no (wrong key, no such bucket, no right): trying again will not help.
    #[error("the object store refused: {0}")]
    Refused(Failure),
}

/// The circumstances of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The S3 operation, e.g. `PutObject`.
    pub operation: &'static str,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// S3's error code, e.g. `SignatureDoesNotMatch`, or what broke on the way.
    pub reason: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: ", self.operation)?;
        if let Some(status) = self.status {
            write!(formatter, "{status} ")?;
        }
        formatter.write_str(&self.reason)
    }
}

impl StorageError {
    pub(crate) fn of<E: ProvideErrorMetadata>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self {
        let status = status_of(&error);
        let (reason, transport) = match &error {
            SdkError::ServiceError(service) => (service.err().code().unwrap_or("no error code").to_owned(), false),
            SdkError::TimeoutError(_) => ("timed out".to_owned(), true),
            SdkError::DispatchFailure(failure) => {
                (failure.as_connector_error().map_or_else(|| "no connection".to_owned(), |error| chain(error)), true)
            }
            SdkError::ResponseError(_) => ("unintelligible answer".to_owned(), true),
            _ => ("the request could not be built".to_owned(), false),
        };
        let failure = Failure { operation, status, reason };
        let busy = status.is_some_and(|status| status >= 500 || status == 429 || status == 408);
        // 501 is an answer about the request, not about the state of the server.
        if (transport || busy) && status != Some(501) { Self::Unavailable(failure) } else { Self::Refused(failure) }
    }

    /// The circumstances, whichever kind it is.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Unavailable(failure) | Self::Refused(failure) => failure,
        }
    }
}

pub(crate) fn status_of<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
