//! The end of a dispute, entered by an operator: Stripe is asked first, and what it says is what counts.

use freehunt_domain::payments::{close_dispute, queries::keys::find_now, record_dispute};
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

/// Enters the end of a dispute of which no event came. What it says is what is believed afterwards: Stripe's word, though
/// it takes the place of an earlier one or arrives at this moment.
pub async fn close(
    pool: &PgPool,
    stripe: &Stripe,
    id: &str,
    is_won: bool,
    operator: &str,
) -> Result<ClosedBy, CloseDisputeError> {
    let looked_at = find_now(&mut *pool.acquire().await?).await?;
    let believed = match stripe.get_dispute(id).await {
        Ok(dispute) => record_dispute(pool, &dispute_of(&dispute, looked_at)).await?.dispute,
        Err(error) if error.is_missing() => {
            close_dispute(pool, id, is_won, operator).await?.ok_or(CloseDisputeError::Unknown)?
        }
        Err(error) => return Err(error.into()),
    };
    if !believed.is_closed {
        return Err(CloseDisputeError::StillOpen(believed.status));
    }
    if believed.is_won() != is_won {
        return Err(CloseDisputeError::EndedOtherwise(believed.status));
    }
    Ok(if believed.closed_by.is_some() { ClosedBy::Operator } else { ClosedBy::Stripe })
}
