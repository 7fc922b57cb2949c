//! Stripe's objects in the domain's words.

use std::time::Duration;

use freehunt_domain::{
    Cents,
    ids::{PaymentSessionId, RefundIntentId},
    payments::{ProviderPayment, ProviderRefund, ProviderRefundState, accounts::AccountState},
};
use freehunt_stripe::{Account, CheckoutSession, PaymentStatus, Refund, Stripe};
use uuid::Uuid;

use crate::Setback;

/// Our own id of a session, in its metadata at Stripe.
pub(crate) const SESSION_KEY: &str = "paymentSessionId";
/// Our own id of a refund's intent, in its metadata at Stripe.
pub(crate) const REFUND_KEY: &str = "refundIntentId";

/// Stripe's clock may be behind ours, in seconds.
pub(crate) const CLOCK_DIFFERENCE: i64 = 300;
/// Our own id of a transfer's intent, in its metadata at Stripe.
pub(crate) const INTENT_KEY: &str = "intentId";

/// A failure that is stored under the key does not prove that the first request ended: another key follows only when
/// no request with the old one can still be running.
pub(crate) const QUARANTINE: chrono::TimeDelta = chrono::TimeDelta::minutes(2);

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
