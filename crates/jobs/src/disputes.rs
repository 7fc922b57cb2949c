//! The end of a dispute, entered by an operator: Stripe is asked first, and what it says is what counts.

use freehunt_domain::payments::{close_dispute, record_dispute};
use freehunt_stripe::{Stripe, StripeError};
use sqlx::PgPool;

use crate::provider::dispute_of;

/// Whose word ended the dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    Stripe,
    /// Stripe knows no such dispute (any more).
    Operator,
}

#[derive(Debug, thiserror::Error)]
pub enum CloseDisputeError {
    #[error("Stripe says that it is still open ({0})")]
    StillOpen(String),
    /// Entered all the same, since it is how things stand.
    #[error("Stripe says that it ended otherwise ({0}); that is what was entered")]
    EndedOtherwise(String),
    #[error("no such dispute is open here, and Stripe knows none")]
    Unknown,
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Enters the end of a dispute of which no event came.
pub async fn close(
    pool: &PgPool,
    stripe: &Stripe,
    id: &str,
    is_won: bool,
    operator: &str,
) -> Result<ClosedBy, CloseDisputeError> {
    let dispute = match stripe.get_dispute(id).await {
        Ok(dispute) => dispute_of(&dispute),
        Err(error) if error.is_missing() => {
            let closed = close_dispute(pool, id, is_won, operator).await?;
            return if closed { Ok(ClosedBy::Operator) } else { Err(CloseDisputeError::Unknown) };
        }
        Err(error) => return Err(error.into()),
    };
    record_dispute(pool, &dispute).await?;
    if !dispute.is_closed {
        return Err(CloseDisputeError::StillOpen(dispute.status));
    }
    if dispute.is_won() == is_won {
        Ok(ClosedBy::Stripe)
    } else {
        Err(CloseDisputeError::EndedOtherwise(dispute.status))
    }
}
