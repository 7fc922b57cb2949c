//! Sends the one transfer of an approved checkpoint.

use std::time::Duration;

use freehunt_domain::{
    Cents,
    ids::TransferIntentId,
    payments::{
        TransferCall, TransferIntent, TransferStep, begin_transfer_call, next_transfer_step,
        queries::{sessions::find_session, transfers::update_key_spent},
        record_refunds, record_transfer_failed, record_transfer_reversed, record_transfer_succeeded,
    },
};
use freehunt_stripe::{StripeError, Transfer, TransferRequest};

use crate::{JobContext, Setback, provider::refunds_of};

/// How long a disputed payment waits for another look.
const FROZEN: Duration = Duration::from_secs(600);

pub async fn run(context: &JobContext, id: TransferIntentId) -> Result<(), Setback> {
    let (intent, looked_at) = match next_transfer_step(&context.pool, id).await? {
        TransferStep::Settled => return Ok(()),
        TransferStep::Ask { intent, looked_at } => (intent, looked_at),
    };
    // Nothing goes out without a look at what was made before: a database that was restored knows less than Stripe.
    if adopt(context, &intent).await? {
        return Ok(());
    }
    enter_refunds(context, &intent).await?;
    match begin_transfer_call(&context.pool, id, looked_at).await? {
        TransferCall::Settled => Ok(()),
        TransferCall::Frozen => Err(Setback::NotYet { why: "the payment is disputed", after: FROZEN }),
        TransferCall::Resting(after) => {
            Err(Setback::NotYet { why: "an earlier request may still be carried out", after })
        }
        TransferCall::Gone => Ok(record_transfer_failed(&context.pool, id, "payment_gone").await?),
        TransferCall::Send(intent) => send(context, &intent).await,
    }
}

/// What was given back by hand, and nobody told of, is not there to be paid out: Stripe would not refuse it (I2).
async fn enter_refunds(context: &JobContext, intent: &TransferIntent) -> Result<(), Setback> {
    let session = {
        let mut connection = context.pool.acquire().await?;
        find_session(&mut connection, intent.payment_session_id).await?
    };
    let Some(payment_intent) = session.and_then(|session| session.stripe_payment_intent_id) else { return Ok(()) };
    let refunds = refunds_of(&context.stripe, &payment_intent).await?;
    if !refunds.is_empty() {
        record_refunds(&context.pool, &payment_intent, &refunds).await?;
    }
    Ok(())
}

async fn send(context: &JobContext, intent: &TransferIntent) -> Result<(), Setback> {
    let request = TransferRequest {
        amount_cents: intent.net.0,
        destination: intent.destination.clone(),
        source_transaction: Some(intent.source_transaction.clone()),
        transfer_group: intent.job_posting_id.to_string(),
        checkpoint_id: intent.checkpoint_id.to_string(),
        intent_id: intent.id.to_string(),
        description: format!("Paiement du jalon {}", intent.checkpoint_id),
    };
    match context.stripe.create_transfer(&request, &intent.idempotency_key()).await {
        Ok(transfer) => enter(context, intent, &transfer).await,
        // The key goes on answering so for a day.
        Err(error) if error.may_be_stored() || error.is_idempotency_mismatch() || error.is_insufficient_balance() => {
            spend_key(context, intent, error).await
        }
        Err(error) if error.is_final() => {
            if adopt(context, intent).await? {
                return Ok(());
            }
            tracing::error!(checkpoint = %intent.checkpoint_id, %error, "Stripe refused a transfer");
            record_transfer_failed(&context.pool, intent.id, error.code().unwrap_or("refused")).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the key made all the same is adopted; if it made nothing, another key follows in time.
async fn spend_key(context: &JobContext, intent: &TransferIntent, error: StripeError) -> Result<(), Setback> {
    {
        let mut connection = context.pool.acquire().await?;
        update_key_spent(&mut connection, intent.id, intent.key_number).await?;
    }
    if adopt(context, intent).await? {
        return Ok(());
    }
    Err(Setback::Unavailable(error.to_string()))
}

/// Whether Stripe has made the transfer; then it is entered.
pub(crate) async fn adopt(context: &JobContext, intent: &TransferIntent) -> Result<bool, Setback> {
    let (intent_id, checkpoint_id) = (intent.id.to_string(), intent.checkpoint_id.to_string());
    let made = context.stripe.list_transfers(&intent.job_posting_id.to_string()).await?;
    let ours = made.iter().find(|transfer| {
        transfer.metadata.get("intentId") == Some(&intent_id)
            || transfer.metadata.get("checkpointId") == Some(&checkpoint_id)
    });
    let Some(transfer) = ours else { return Ok(false) };
    enter(context, intent, transfer).await?;
    Ok(true)
}

/// Enters a transfer that Stripe has made for the intent, and what was taken back of it since.
pub(super) async fn enter(context: &JobContext, intent: &TransferIntent, transfer: &Transfer) -> Result<(), Setback> {
    if transfer.amount_cents != intent.net.0 {
        return Err(Setback::Broken(anyhow::anyhow!(
            "the transfer {} has another amount than its intent",
            transfer.id
        )));
    }
    record_transfer_succeeded(&context.pool, intent.id, &transfer.id, context.clock.now()).await?;
    if transfer.amount_reversed_cents > 0 {
        record_transfer_reversed(&context.pool, &transfer.id, Cents(transfer.amount_reversed_cents)).await?;
    }
    Ok(())
}
