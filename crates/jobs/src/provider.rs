//! Stripe's objects in the domain's words.

use std::time::Duration;

use chrono::{DateTime, Utc};
use freehunt_domain::{
    Cents,
    ids::{PaymentSessionId, RefundIntentId},
    payments::{
        DisputeFacts, PaymentOutcome, ProviderPayment, ProviderRefund, ProviderRefundState, accounts::AccountState,
        model::is_end_of_dispute, record_payment,
    },
};
use freehunt_stripe::{Account, CheckoutSession, Dispute, PAYMENT_TYPE, PaymentStatus, Refund, Stripe, StripeError};
use uuid::Uuid;

use crate::{JobContext, Setback};

/// Our own id of a session, in its metadata at Stripe.
pub(crate) const SESSION_KEY: &str = "paymentSessionId";
/// Our own id of a refund's intent, in its metadata at Stripe.
pub(crate) const REFUND_KEY: &str = "refundIntentId";

/// Stripe's clock may be behind ours, in seconds.
pub(crate) const CLOCK_DIFFERENCE: i64 = 300;
/// Our own id of a transfer's intent, in its metadata at Stripe.
pub(crate) const INTENT_KEY: &str = "intentId";
pub(crate) const CHECKPOINT_KEY: &str = "checkpointId";

/// What Stripe says of a session; of a paid one also its charge, which transfers are made from.
pub async fn payment_of(stripe: &Stripe, session: &CheckoutSession) -> Result<ProviderPayment, Setback> {
    let is_paid = session.payment_status == PaymentStatus::Paid;
    let charge = match &session.payment_intent {
        Some(payment_intent) if is_paid => Some(charge_of(stripe, payment_intent).await?),
        _ => None,
    };
    Ok(ProviderPayment {
        session_id: session.id.clone(),
        is_paid,
        payment_status: session.payment_status.to_string(),
        amount_subtotal: session.amount_subtotal.map(Cents),
        amount_total: session.amount_total.map(Cents),
        currency: session.currency.clone(),
        live_mode: session.livemode,
        payment_intent: session.payment_intent.clone(),
        charge,
        named_posting: session.metadata.get("jobPostingId").cloned(),
        named_session: named(&session.metadata, SESSION_KEY).map(PaymentSessionId),
    })
}

async fn charge_of(stripe: &Stripe, payment_intent: &str) -> Result<String, Setback> {
    let payment = stripe.get_payment_intent(payment_intent).await?;
    payment.latest_charge.ok_or(Setback::NotYet { why: "the payment has no charge yet", after: Duration::from_secs(2) })
}

/// Everything that went back of a payment, by whomever; nothing of one that Stripe does not know.
pub(crate) async fn refunds_of(stripe: &Stripe, payment_intent: &str) -> Result<Vec<ProviderRefund>, Setback> {
    Ok(list_refunds(stripe, payment_intent).await?.iter().map(refund_of).collect())
}

/// Refunds of a payment; none of one that Stripe does not know, as when its test data was deleted.
pub(crate) async fn list_refunds(stripe: &Stripe, payment_intent: &str) -> Result<Vec<Refund>, StripeError> {
    match stripe.list_refunds(payment_intent).await {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        listed => listed,
    }
}

/// Records what Stripe says of a session that went through: its payment, and what went back of it since.
pub(crate) async fn record_session(context: &JobContext, session: &CheckoutSession) -> Result<PaymentOutcome, Setback> {
    let mut payment = payment_of(&context.stripe, session).await?;
    if !is_ours(session) {
        // Somebody else's session on the same Stripe account is never adopted.
        payment.named_session = None;
    }
    let refunds = match &payment.payment_intent {
        Some(payment_intent) if payment.is_paid => refunds_of(&context.stripe, payment_intent).await?,
        _ => Vec::new(),
    };
    let outcome = record_payment(&context.pool, &payment, &refunds).await?;
    if let PaymentOutcome::Quarantined(reason) = outcome {
        metrics::counter!("freehunt_payments_quarantined_total").increment(1);
        tracing::error!(session = session.id, reason, "a payment was set aside");
    }
    Ok(outcome)
}

pub(crate) fn is_ours(session: &CheckoutSession) -> bool {
    session.metadata.get("type").is_some_and(|kind| kind == PAYMENT_TYPE)
}

/// A dispute as Stripe tells it, asked after `looked_at` by the database's clock.
pub fn dispute_of(dispute: &Dispute, looked_at: DateTime<Utc>) -> DisputeFacts {
    DisputeFacts {
        id: dispute.id.clone(),
        charge: dispute.charge.clone(),
        status: dispute.status.clone(),
        amount: Cents(dispute.amount_cents),
        is_closed: is_end_of_dispute(&dispute.status),
        closed_by: None,
        looked_at: Some(looked_at),
    }
}

pub(crate) fn refund_of(refund: &Refund) -> ProviderRefund {
    ProviderRefund {
        id: refund.id.clone(),
        amount: Cents(refund.amount_cents),
        state: ProviderRefundState::parse(&refund.status),
        intent: named(&refund.metadata, REFUND_KEY).map(RefundIntentId),
    }
}

/// How an account stands.
pub fn account_state(account: &Account) -> AccountState {
    AccountState {
        id: account.id.clone(),
        transfers_active: account.transfers_active,
        details_submitted: account.details_submitted,
        made_for: account.metadata.get("freelanceId").cloned(),
        email: account.email.clone(),
    }
}

pub(crate) fn named(metadata: &std::collections::HashMap<String, String>, name: &str) -> Option<Uuid> {
    metadata.get(name).and_then(|text| Uuid::parse_str(text).ok())
}
