//! Sends the one transfer of an approved checkpoint.

use freehunt_domain::{
    Cents,
    ids::TransferIntentId,
    payments::{
        TransferIntent, TransferStep, next_transfer_step, queries::transfers::update_next_key, record_transfer_failed,
        record_transfer_reversed, record_transfer_succeeded,
    },
};
use freehunt_stripe::{StripeError, Transfer, TransferRequest};

use crate::{JobContext, Setback, provider::QUARANTINE};

/// How long a disputed payment waits for another look.
const FROZEN: std::time::Duration = std::time::Duration::from_secs(600);

pub async fn run(context: &JobContext, id: TransferIntentId) -> Result<(), Setback> {
    loop {
        match next_transfer_step(&context.pool, id, context.clock.now()).await? {
            TransferStep::Settled => return Ok(()),
            TransferStep::Frozen => return Err(Setback::NotYet { why: "the payment is disputed", after: FROZEN }),
            TransferStep::Gone { intent, may_be_sent } => {
                if !may_be_sent || !adopt(context, &intent).await? {
                    record_transfer_failed(&context.pool, id, "payment_gone").await?;
                }
                return Ok(());
            }
            TransferStep::Ask { intent, look_up_first: true } => {
                if adopt(context, &intent).await? {
                    return Ok(());
                }
                next_key(context, &intent).await?;
            }
            TransferStep::Ask { intent, look_up_first: false } => return send(context, &intent).await,
        }
    }
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
    // A later key never goes out without a look at what the earlier ones made.
    if intent.key_number > 1 && adopt(context, intent).await? {
        return Ok(());
    }
    match context.stripe.create_transfer(&request, &intent.idempotency_key()).await {
        Ok(transfer) => enter(context, intent, &transfer).await,
        Err(error) if error.may_be_stored() || error.is_idempotency_mismatch() => look_up(context, intent, error).await,
        // A stored answer that may change with the balance: later, with another key.
        Err(error) if error.is_insufficient_balance() => {
            next_key(context, intent).await?;
            Err(Setback::Unavailable(error.to_string()))
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

/// The key may answer this failure for a day: what it made is adopted, and only if it made nothing another key follows.
async fn look_up(context: &JobContext, intent: &TransferIntent, error: StripeError) -> Result<(), Setback> {
    if adopt(context, intent).await? {
        return Ok(());
    }
    if intent.key_used_at.is_some_and(|used| context.clock.now() - used > QUARANTINE) {
        next_key(context, intent).await?;
    }
    Err(Setback::Unavailable(error.to_string()))
}

/// Whether Stripe has made the transfer; then it is entered.
async fn adopt(context: &JobContext, intent: &TransferIntent) -> Result<bool, Setback> {
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

async fn next_key(context: &JobContext, intent: &TransferIntent) -> Result<(), Setback> {
    let mut connection = context.pool.acquire().await?;
    update_next_key(&mut connection, intent.id, intent.key_number).await?;
    Ok(())
}
