//! Disputes: a customer's bank takes a payment back. Read only; they are answered in Stripe's dashboard.

use stripe_core::dispute::{ListDispute, RetrieveDispute};
use stripe_types::RangeQueryTs;

use crate::{
    client::{PAGE_SIZE, Stripe, check_id},
    error::StripeError,
};

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// `dp_…` or `du_…`
    pub id: String,
    /// The charge it is about, `ch_…`.
    pub charge: String,
    /// Euro cents that the bank takes, which may be a part of the charge.
    pub amount_cents: i64,
    /// Stripe's word: `needs_response`, `under_review`, `won`, `lost`, or one of those that begin with `warning_`.
    pub status: String,
}

impl Stripe {
    /// Reads a dispute.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_dispute(&self, id: &str) -> Result<Dispute, StripeError> {
        check_id("the dispute", id)?;
        let request = RetrieveDispute::new(id);
        let dispute = self.call("get dispute", || request.send(self.client())).await?;
        Ok(dispute.into())
    }

    /// All disputes opened at `created_from` (Unix seconds) or later, newest first.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_disputes_since(&self, created_from: i64) -> Result<Vec<Dispute>, StripeError> {
        self.list_disputes(&ListDispute::new().created(RangeQueryTs::gte(created_from))).await
    }

    /// All disputes about a payment, newest first.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_disputes_of(&self, payment_intent: &str) -> Result<Vec<Dispute>, StripeError> {
        check_id("the payment", payment_intent)?;
        self.list_disputes(&ListDispute::new().payment_intent(payment_intent)).await
    }

    async fn list_disputes(&self, query: &ListDispute) -> Result<Vec<Dispute>, StripeError> {
        let mut disputes: Vec<Dispute> = Vec::new();
        loop {
            let mut request = query.clone().limit(PAGE_SIZE);
            if let Some(last) = disputes.last() {
                request = request.starting_after(last.id.clone());
            }
            let page = self.call("list disputes", || request.send(self.client())).await?;
            let is_last = !page.has_more || page.data.is_empty();
            disputes.extend(page.data.into_iter().map(Dispute::from));
            if is_last {
                return Ok(disputes);
            }
        }
    }
}

impl From<stripe_shared::Dispute> for Dispute {
    fn from(dispute: stripe_shared::Dispute) -> Self {
        Self {
            id: dispute.id.to_string(),
            charge: dispute.charge.id().to_string(),
            amount_cents: dispute.amount,
            status: dispute.status.to_string(),
        }
    }
}
