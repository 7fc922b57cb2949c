//! Gives a payment back, once, or learns that it was given back by hand.

use std::{collections::BTreeMap, time::Duration};

use freehunt_domain::{
    ids::RefundIntentId,
    payments::{
        ProviderRefund, RecordedRefunds, RefundCall, RefundIntent, RefundStep, begin_refund_call, next_refund_step,
        queries::{keys::find_now, refunds::update_key_spent},
        record_dispute, record_refund_failed, record_refund_held, record_refunds,
    },
};
use freehunt_stripe::{RefundRequest, StripeError};

use crate::{
    JobContext, Setback,
    provider::{REFUND_KEY, dispute_of, refund_of},
};

/// How long a payment that the bank holds waits for another look.
const FROZEN: Duration = Duration::from_secs(600);

pub async fn run(context: &JobContext, id: RefundIntentId) -> Result<(), Setback> {
    loop {
        let (intent, looked_at) = match next_refund_step(&context.pool, id).await? {
            RefundStep::Settled => return Ok(()),
            RefundStep::LookUp(intent) => {
                enter_all(context, &intent).await?;
                return Ok(());
            }
            RefundStep::Ask { intent, looked_at } => (intent, looked_at),
        };
        // Nothing is asked for that others gave back, or that was asked for before.
        if enter_all(context, &intent).await?.is_intent_made {
            return Ok(());
        }
        match begin_refund_call(&context.pool, id, looked_at).await? {
            RefundCall::Settled => return Ok(()),
            RefundCall::Frozen => return Err(Setback::NotYet { why: "the bank holds the payment", after: FROZEN }),
            RefundCall::Resting(after) => {
                return Err(Setback::NotYet { why: "an earlier request may still be carried out", after });
            }
            RefundCall::Send(intent) => {
                if send(context, &intent).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// `false` when it is to be seen anew what is left to be asked for, and when.
async fn send(context: &JobContext, intent: &RefundIntent) -> Result<bool, Setback> {
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
            let recorded = enter(context, intent, &[refund_of(&refund)]).await?;
            if !recorded.is_intent_made && !recorded.has_failed {
                // A key goes on answering with what it has made, also when that is known to have failed since.
                return fail(context, intent, "refund_failed").await;
            }
            Ok(true)
        }
        Err(error) if error.is_disputed() => {
            hold(context, intent, &error).await?;
            Ok(false)
        }
        // The key goes on answering so for a day.
        Err(error) if error.may_be_stored() || error.is_idempotency_mismatch() || error.is_insufficient_balance() => {
            spend_key(context, intent, error).await
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

/// The bank holds the payment, perhaps before any event has told of it: how its disputes stand is asked and entered. The
/// refund waits for their end; what comes after it has another key.
async fn hold(context: &JobContext, intent: &RefundIntent, error: &StripeError) -> Result<(), Setback> {
    let looked_at = {
        let mut connection = context.pool.acquire().await?;
        // The key goes on answering so for a day.
        update_key_spent(&mut connection, intent.id, intent.key_number).await?;
        find_now(&mut connection).await?
    };
    for dispute in context.stripe.list_disputes_of(&intent.stripe_payment_intent_id).await? {
        record_dispute(&context.pool, &dispute_of(&dispute, looked_at)).await?;
    }
    let waits = record_refund_held(&context.pool, intent.id, error.code().unwrap_or("disputed")).await?;
    tracing::warn!(posting = %intent.job_posting_id, %error, waits, "Stripe refused a refund for a dispute");
    Ok(())
}

/// What the key made all the same is adopted; if it made nothing, another key follows in time.
async fn spend_key(context: &JobContext, intent: &RefundIntent, error: StripeError) -> Result<bool, Setback> {
    {
        let mut connection = context.pool.acquire().await?;
        update_key_spent(&mut connection, intent.id, intent.key_number).await?;
    }
    if enter_all(context, intent).await?.is_intent_made {
        return Ok(true);
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
