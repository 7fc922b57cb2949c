//! Refunds: giving a posting's payment back to the company.
//!
//! How much and whether is decided elsewhere; this module only asks Stripe.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use stripe::StripeRequest;
use stripe_core::refund::{CreateRefund, ListRefund};

use crate::{
    client::{PAGE_SIZE, Stripe, check_amount, check_id, keyed},
    error::StripeError,
    event_object,
};

/// Status of a refund Stripe has made but says nothing about: as good as on its way.
const PENDING: &str = "pending";

/// Money to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The payment, `pi_…`.
    pub payment_intent: String,
    /// Euro cents, tax included; `None` for all that has not been refunded yet.
    pub amount_cents: Option<i64>,
    /// Metadata for reconciliation.
    pub metadata: BTreeMap<String, String>,
}

/// A refund that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// Euro cents.
    pub amount_cents: i64,
    /// Stripe's word: `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    pub status: String,
    /// The payment it belongs to.
    pub payment_intent: Option<String>,
    /// Metadata, as given when the refund was made.
    pub metadata: HashMap<String, String>,
}

impl Stripe {
    /// Gives money back.
    ///
    /// # Errors
    /// See [`StripeError`]; [`StripeError::is_already_refunded`] means that nothing is left to do.
    pub async fn create_refund(&self, request: &RefundRequest, key: &str) -> Result<Refund, StripeError> {
        check_id("the payment", &request.payment_intent)?;
        let strategy = keyed(key)?;
        let metadata: HashMap<_, _> = request.metadata.clone().into_iter().collect();
        let mut body = CreateRefund::new().payment_intent(request.payment_intent.clone());
        if !metadata.is_empty() {
            body = body.metadata(metadata);
        }
        if let Some(amount) = request.amount_cents {
            check_amount(amount)?;
            body = body.amount(amount);
        }
        let refund = self
            .call("create refund", || body.customize().request_strategy(strategy.clone()).send(self.client()))
            .await?;
        Ok(refund.into())
    }

    /// All refunds of a payment, newest first, those made in the dashboard included.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_refunds(&self, payment_intent: &str) -> Result<Vec<Refund>, StripeError> {
        check_id("the payment", payment_intent)?;
        let mut refunds: Vec<Refund> = Vec::new();
        loop {
            let mut request = ListRefund::new().payment_intent(payment_intent).limit(PAGE_SIZE);
            if let Some(last) = refunds.last() {
                request = request.starting_after(last.id.clone());
            }
            let page = self.call("list refunds", || request.send(self.client())).await?;
            let is_last = !page.has_more || page.data.is_empty();
            refunds.extend(page.data.into_iter().map(Refund::from));
            if is_last {
                return Ok(refunds);
            }
        }
    }
}

impl Refund {
    /// Reads a refund out of an event's object; `None` without identifier or amount.
    #[must_use]
    pub fn from_event_object(object: &Value) -> Option<Self> {
        Some(Self {
            id: event_object::text(object, "id")?,
            amount_cents: event_object::integer(object, "amount")?,
            status: event_object::text(object, "status").unwrap_or_else(|| PENDING.to_owned()),
            payment_intent: event_object::reference(object, "payment_intent"),
            metadata: event_object::metadata(object),
        })
    }
}

impl From<stripe_shared::Refund> for Refund {
    fn from(refund: stripe_shared::Refund) -> Self {
        Self {
            id: refund.id.to_string(),
            amount_cents: refund.amount,
            status: refund.status.unwrap_or_else(|| PENDING.to_owned()),
            payment_intent: refund.payment_intent.map(|payment| payment.id().to_string()),
            metadata: refund.metadata.unwrap_or_default(),
        }
    }
}
