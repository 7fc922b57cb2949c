//! Gives a payment back, once, or learns that it was given back by hand.

use std::collections::BTreeMap;

use freehunt_domain::{
    ids::RefundIntentId,
    payments::{
        ProviderRefund, ProviderRefundState, RecordedRefunds, RefundIntent, RefundStep, next_refund_step,
        queries::refunds::update_next_key, record_refund_failed, record_refunds,
    },
};
use freehunt_stripe::{RefundRequest, StripeError};

use crate::{
    JobContext, Setback,
    provider::{QUARANTINE, REFUND_KEY, refund_of},
};

pub async fn run(context: &JobContext, id: RefundIntentId) -> Result<(), Setback> {
    loop {
        match next_refund_step(&context.pool, id, context.clock.now()).await? {
            RefundStep::Settled => return Ok(()),
            RefundStep::LookUp(intent) => {
                enter_all(context, &intent).await?;
                return Ok(());
            }
            RefundStep::Ask { intent, look_up_first: true } => {
                if enter_all(context, &intent).await?.is_intent_made {
                    return Ok(());
                }
                next_key(context, &intent).await?;
            }
            RefundStep::Ask { intent, look_up_first: false } => {
                if send(context, &intent).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// `false` when what is left is to be asked for again.
async fn send(context: &JobContext, intent: &RefundIntent) -> Result<bool, Setback> {
    // A later key never goes out without a look at what the earlier ones made: a part could be given back twice.
    if intent.key_number > 1 && enter_all(context, intent).await?.is_intent_made {
        return Ok(true);
    }
    let request = RefundRequest {
        payment_intent: intent.stripe_payment_intent_id.clone(),
        amount_cents: Some(intent.amount.0),
        metadata: BTreeMap::from([
            (REFUND_KEY.to_owned(), intent.id.to_string()),
            ("jobPostingId".to_owned(), intent.job_posting_id.to_string()),
            ("reason".to_owned(), intent.reason.name().to_owned()),
        ]),
    };
    match context.stripe.create_refund(&request, &intent.idempotency_key()).await {
        Ok(refund) => {
            let refund = refund_of(&refund);
            enter(context, intent, std::slice::from_ref(&refund)).await?;
            if refund.state == ProviderRefundState::Failed {
                return fail(context, intent, "refund_failed").await;
            }
            Ok(true)
        }
        Err(error) if error.may_be_stored() || error.is_idempotency_mismatch() => look_up(context, intent, error).await,
        // A stored answer that may change with the balance: later, with another key.
        Err(error) if error.is_insufficient_balance() => {
            next_key(context, intent).await?;
            Err(Setback::Unavailable(error.to_string()))
        }
        Err(error) if error.is_final() => {
            // Perhaps somebody refunded (a part of) it by hand.
            if enter_all(context, intent).await?.is_intent_made {
                return Ok(true);
            }
            tracing::error!(posting = %intent.job_posting_id, %error, "Stripe refused a refund");
            fail(context, intent, error.code().unwrap_or("refused")).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn fail(context: &JobContext, intent: &RefundIntent, code: &str) -> Result<bool, Setback> {
    let try_again = record_refund_failed(&context.pool, intent.id, code).await?;
    Ok(!try_again)
}

/// The key may answer this failure for a day: what it made is adopted, and only if it made nothing another key follows.
async fn look_up(context: &JobContext, intent: &RefundIntent, error: StripeError) -> Result<bool, Setback> {
    if enter_all(context, intent).await?.is_intent_made {
        return Ok(true);
    }
    if intent.key_used_at.is_some_and(|used| context.clock.now() - used > QUARANTINE) {
        next_key(context, intent).await?;
    }
    Err(Setback::Unavailable(error.to_string()))
}

/// Enters everything that Stripe knows to be refunded of the payment.
async fn enter_all(context: &JobContext, intent: &RefundIntent) -> Result<RecordedRefunds, Setback> {
    let refunds = context.stripe.list_refunds(&intent.stripe_payment_intent_id).await?;
    let refunds: Vec<ProviderRefund> = refunds.iter().map(refund_of).collect();
    enter(context, intent, &refunds).await
}

async fn enter(
    context: &JobContext,
    intent: &RefundIntent,
    refunds: &[ProviderRefund],
) -> Result<RecordedRefunds, Setback> {
    let recorded = record_refunds(&context.pool, &intent.stripe_payment_intent_id, refunds).await?;
    recorded.ok_or_else(|| Setback::Broken(anyhow::anyhow!("the refund's payment is not on record")))
}

async fn next_key(context: &JobContext, intent: &RefundIntent) -> Result<(), Setback> {
    let mut connection = context.pool.acquire().await?;
    update_next_key(&mut connection, intent.id, intent.key_number).await?;
    Ok(())
}
