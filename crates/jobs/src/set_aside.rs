//! Payments that were set aside, decided on by an operator: Stripe is asked how the payment stands, and only then does
//! the domain decide.

use chrono::DateTime;
use freehunt_domain::{
    ids::RefundIntentId,
    payments::{
        PaymentOutcome, ProviderPayment, ProviderRefund, ProviderRefundState,
        quarantine::{self, QuarantineError, SetAside},
    },
};
use freehunt_stripe::{CheckoutSession, SessionStatus, Stripe, StripeError};
use sqlx::PgPool;

use crate::{
    Setback,
    provider::{payment_of, refunds_of},
};

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
    /// What was refunded at Stripe, by whomever.
    pub refunds: Vec<ProviderRefund>,
}

impl Look {
    /// Cents that went back.
    pub fn refunded_cents(&self) -> i64 {
        let counts = self.refunds.iter().filter(|refund| refund.state != ProviderRefundState::Failed);
        counts.map(|refund| refund.amount.0).sum()
    }

    fn set_aside<'a>(&'a self, live_mode: bool, operator: &'a str) -> SetAside<'a> {
        let expires_at = DateTime::from_timestamp(self.session.expires_at, 0).unwrap_or_default();
        SetAside { payment: &self.payment, refunds: &self.refunds, expires_at, live_mode, operator }
    }
}

/// Asks Stripe about a session.
pub async fn look(stripe: &Stripe, stripe_session_id: &str) -> Result<Look, DecisionError> {
    let session = stripe.get_checkout_session(stripe_session_id).await?;
    let payment = payment_of(stripe, &session).await?;
    let refunds = match &payment.payment_intent {
        Some(payment_intent) => refunds_of(stripe, payment_intent).await?,
        None => Vec::new(),
    };
    Ok(Look { session, payment, refunds })
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
    if look.refunded_cents() > 0 {
        return Err(DecisionError::AlreadyRefunded(look.refunded_cents()));
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
    Ok(quarantine::dismiss(pool, &set_aside).await?)
}
