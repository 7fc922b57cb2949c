//! Enters what was given back of a payment, by us or by hand, as Stripe tells it now.

use freehunt_domain::payments::{dismissed::record_refunds_of_dismissed, record_refunds};

use crate::{JobContext, Setback, provider::refunds_of};

/// What was found, for the event that told of it.
pub async fn run(context: &JobContext, payment_intent: &str) -> Result<&'static str, Setback> {
    let refunds = refunds_of(&context.stripe, payment_intent).await?;
    Ok(match record_refunds(&context.pool, payment_intent, &refunds).await? {
        None => match record_refunds_of_dismissed(&context.pool, payment_intent, &refunds).await? {
            Some(true) => {
                metrics::counter!("freehunt_payments_quarantined_total").increment(1);
                tracing::error!(payment_intent, "a payment that was put away has money again");
                "the payment is set aside again"
            }
            Some(false) => "ignored: put away by an operator",
            None => "ignored: unknown payment",
        },
        Some(recorded) if recorded.has_failed => {
            tracing::error!(payment_intent, "a refund failed after it was made");
            "the refund failed"
        }
        Some(_) => "refunds recorded",
    })
}
