//! How refusals of candidates' use cases are answered, in the original's words where it has some.

use freehunt_domain::candidates::{ApplyError, DecideError, WithdrawError};

use super::access::NO_CANDIDATE;
use crate::error::{ApiError, FORBIDDEN};

/// The client shows a text of its own when it finds `has already been selected` in this one.
const ALREADY_SELECTED: &str = "Cannot apply: A freelance has already been selected for this job posting";
/// The client shows a text of its own when it finds `must connect your Stripe account` in this one.
const NO_PAYOUT_ACCOUNT: &str =
    "You must connect your Stripe account before applying to job postings. Please complete your profile setup.";
const NO_CHECKPOINT: &str = "Job posting does not have a checkpoint";

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::NotOwnProfile | ApplyError::OwnCompany => Self::forbidden(FORBIDDEN),
            ApplyError::NoJobPosting => Self::not_found("Job posting not found"),
            ApplyError::NoPayoutAccount | ApplyError::PayoutAccountNotReady { .. } => {
                Self::bad_request(NO_PAYOUT_ACCOUNT)
            }
            ApplyError::NotPublished => Self::conflict("This job posting does not take applications"),
            ApplyError::NoCheckpoint => Self::bad_request(NO_CHECKPOINT),
            ApplyError::AlreadySelected => Self::bad_request(ALREADY_SELECTED),
            ApplyError::Exists => Self::bad_request("Candidate already exists"),
            ApplyError::Database(error) => error.into(),
        }
    }
}

impl From<DecideError> for ApiError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::NotFound => Self::not_found(NO_CANDIDATE),
            DecideError::AlreadyAccepted => {
                Self::bad_request("A candidate has already been accepted for this job posting")
            }
            DecideError::Final => Self::conflict("This candidate has already been decided"),
            DecideError::NotPublished => Self::conflict("This job posting is not published"),
            DecideError::NotPaid => Self::conflict("This job posting has not been paid"),
            DecideError::NoCheckpoint => Self::conflict(NO_CHECKPOINT),
            DecideError::Database(error) => error.into(),
        }
    }
}

impl From<WithdrawError> for ApiError {
    fn from(error: WithdrawError) -> Self {
        match error {
            WithdrawError::NotFound => Self::not_found(NO_CANDIDATE),
            WithdrawError::Decided => Self::conflict("This candidate has already been decided"),
            WithdrawError::Database(error) => error.into(),
        }
    }
}
