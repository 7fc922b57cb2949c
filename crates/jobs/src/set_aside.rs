//! Payments that were set aside, decided on by an operator: Stripe is asked how the payment stands, and only then does
//! the domain decide.

use chrono::DateTime;
use freehunt_domain::{
    ids::RefundIntentId,
    payments::{
        PaymentOutcome, ProviderPayment,
        quarantine::{self, QuarantineError, SetAside},
    },
};
use freehunt_stripe::{CheckoutSession, SessionStatus, Stripe, StripeError};
use sqlx::PgPool;

use crate::{Setback, provider::payment_of};

/// Why a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error(transparent)]
    Refused(#[from] QuarantineError),
    /// Cents that went back already, so that the posting would be published on money that is gone.
    #[error("{0} cents of the payment were refunded already: give the rest back instead")]
    AlreadyRefunded(i64),
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Setback(#[from] Setback),
}

/// A session as Stripe tells it now, and what of its payment went back.
#[derive(Clone, Debug)]
pub struct Look {
    pub session: CheckoutSession,
    pub payment: ProviderPayment,
    /// Cents that were refunded at Stripe, by whomever.
    pub refunded_cents: i64,
}

impl Look {
    fn is_given_back(&self) -> bool {
        self.payment.amount_total.is_some_and(|total| self.refunded_cents >= total.0)
    }

    fn set_aside<'a>(&'a self, live_mode: bool, operator: &'a str) -> SetAside<'a> {
        let expires_at = DateTime::from_timestamp(self.session.expires_at, 0).unwrap_or_default();
        SetAside { payment: &self.payment, expires_at, live_mode, operator }
    }
}

/// Asks Stripe about a session.
pub async fn look(stripe: &Stripe, stripe_session_id: &str) -> Result<Look, DecisionError> {
    let session = stripe.get_checkout_session(stripe_session_id).await?;
    let payment = payment_of(stripe, &session).await?;
    let refunds = match &payment.payment_intent {
        Some(payment_intent) => stripe.list_refunds(payment_intent).await?,
        None => Vec::new(),
    };
    let counts = refunds.iter().filter(|refund| !matches!(refund.status.as_str(), "failed" | "canceled"));
    let refunded_cents = counts.map(|refund| refund.amount_cents).sum();
    Ok(Look { session, payment, refunded_cents })
}

/// Who decides, and on what.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    pub stripe_session_id: &'a str,
    pub operator: &'a str,
    /// Whether real money is configured.
    pub live_mode: bool,
}

/// The payment is the posting's after all.
pub async fn adopt(pool: &PgPool, stripe: &Stripe, decision: Decision<'_>) -> Result<PaymentOutcome, DecisionError> {
    let look = look(stripe, decision.stripe_session_id).await?;
    if look.refunded_cents > 0 {
        return Err(DecisionError::AlreadyRefunded(look.refunded_cents));
    }
    Ok(quarantine::adopt(pool, &look.set_aside(decision.live_mode, decision.operator)).await?)
}

/// The payment goes back; a running server makes the refund.
pub async fn give_back(
    pool: &PgPool,
    stripe: &Stripe,
    decision: Decision<'_>,
) -> Result<RefundIntentId, DecisionError> {
    let look = look(stripe, decision.stripe_session_id).await?;
    Ok(quarantine::give_back(pool, &look.set_aside(decision.live_mode, decision.operator)).await?)
}

/// Nothing is to be done about it any more; a page that is still open is ended first.
pub async fn dismiss(pool: &PgPool, stripe: &Stripe, decision: Decision<'_>) -> Result<(), DecisionError> {
    let look = look(stripe, decision.stripe_session_id).await?;
    if look.session.status == SessionStatus::Open {
        stripe.expire_checkout_session(decision.stripe_session_id).await?;
    }
    let set_aside = look.set_aside(decision.live_mode, decision.operator);
    Ok(quarantine::dismiss(pool, &set_aside, look.is_given_back()).await?)
}
