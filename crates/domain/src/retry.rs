//! A transaction that lost against another one (a deadlock, a serialization failure) changed nothing and may simply be
//! run again: whole use cases are, a few times, before their caller is told to come back later.

use std::time::Duration;

use crate::{
    candidates::{ApplyError, DecideError, WithdrawError},
    error::is_transient,
    job_postings::DeleteJobPostingError,
    payments::{
        ApproveError, BeginCheckoutError, CancelError, EditCheckpointError, PublishError, SubmitError,
        cancel_project::CancelProjectError,
    },
};

/// Repetitions of a use case.
const MOST_RETRIES: u32 = 3;
/// Pause before the first one; doubled for the next.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// An error that knows whether it is only a lost transaction.
pub trait LostTransaction {
    fn is_lost_transaction(&self) -> bool;
}

impl LostTransaction for sqlx::Error {
    fn is_lost_transaction(&self) -> bool {
        is_transient(self)
    }
}

macro_rules! reasons_with_database {
    ($($error:ident),+) => {
        $(impl LostTransaction for $error {
            fn is_lost_transaction(&self) -> bool {
                matches!(self, Self::Database(error) if is_transient(error))
            }
        })+
    };
}

reasons_with_database!(
    ApplyError,
    ApproveError,
    BeginCheckoutError,
    CancelError,
    CancelProjectError,
    DecideError,
    DeleteJobPostingError,
    EditCheckpointError,
    PublishError,
    SubmitError,
    WithdrawError
);

/// Runs a use case, and runs it again while its transaction is lost, at most three times.
///
/// # Errors
/// The last attempt's.
pub async fn retrying<T, E, Attempt>(attempt: impl Fn() -> Attempt) -> Result<T, E>
where
    Attempt: Future<Output = Result<T, E>>,
    E: LostTransaction,
{
    let mut pause = FIRST_PAUSE;
    for _ in 0..MOST_RETRIES {
        match attempt().await {
            Err(error) if error.is_lost_transaction() => {
                tracing::info!("a transaction was lost against another one, and is run again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    attempt().await
}
