//! What a stored event means. Events come in any order, twice, of other versions and with partial objects: what
//! matters is asked of Stripe again where the event does not tell it.

use freehunt_domain::{
    Cents,
    payments::{
        DisputeFacts, PaymentOutcome, TransferIntent,
        accounts::{AccountState, record_account_state},
        model::is_end_of_dispute,
        queries::{
            dismissed::find_dismissed_by_charge,
            events::{find_event, update_processed},
            keys::find_now,
            refunds::find_refund_of_stripe,
            sessions::{find_session_of_charge, find_session_of_payment_intent},
            transfers::{find_transfer, find_transfer_of_checkpoint, find_transfer_of_stripe},
        },
        record_dispute,
        sessions::record_checkout_expired,
    },
};
use freehunt_stripe::{CheckoutSession, PaymentStatus, Transfer};
use serde_json::Value;

use super::send_transfer;
use crate::{
    JobContext, Setback,
    provider::{CHECKPOINT_KEY, INTENT_KEY, account_state, dispute_of, is_ours, named, record_session},
};

pub async fn run(context: &JobContext, id: &str) -> Result<(), Setback> {
    let event = {
        let mut connection = context.pool.acquire().await?;
        find_event(&mut connection, id).await?
    };
    let Some(event) = event.filter(|event| !event.is_processed) else { return Ok(()) };
    let object = event.payload.pointer("/data/object").unwrap_or(&Value::Null);
    let outcome = process(context, &event.event_type, object).await?;
    tracing::info!(event = id, r#type = event.event_type, outcome, "an event was processed");
    let mut connection = context.pool.acquire().await?;
    update_processed(&mut connection, id, &outcome).await?;
    Ok(())
}

async fn process(context: &JobContext, event_type: &str, object: &Value) -> Result<String, Setback> {
    match event_type {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => completed(context, object).await,
        "checkout.session.expired" => expired(context, object).await,
        "payment_intent.payment_failed" => Ok("noted".to_owned()),
        "charge.refunded" => refunded(context, object).await,
        "charge.refund.updated" | "refund.created" | "refund.updated" | "refund.failed" => {
            refund_changed(context, object).await
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => disputed(context, event_type, object).await,
        "account.updated" => account_updated(context, object).await,
        "transfer.created" | "transfer.updated" | "transfer.reversed" => transfer_told(context, object).await,
        _ => Ok("ignored: not of interest".to_owned()),
    }
}

async fn completed(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let Some(told) = CheckoutSession::from_event_object(object) else { return Ok(partial("session")) };
    let session = if is_whole(&told) {
        told
    } else {
        match context.stripe.get_checkout_session(&told.id).await {
            Ok(session) => session,
            Err(error) if error.is_missing() => return Ok("ignored: Stripe does not know the session".to_owned()),
            Err(error) => return Err(error.into()),
        }
    };
    let outcome = record_session(context, &session).await?;
    // A page that the original opened before the switch, or one whose record is gone: somebody paid for nothing.
    if outcome == PaymentOutcome::Unknown && is_ours(&session) && session.payment_status == PaymentStatus::Paid {
        metrics::counter!("freehunt_payments_quarantined_total").increment(1);
        tracing::error!(session = session.id, "a payment for a posting has no recorded session");
        return Ok("quarantined: no recorded session".to_owned());
    }
    Ok(outcome.to_string())
}

/// Whether the event's object tells everything that decides.
fn is_whole(session: &CheckoutSession) -> bool {
    let paid_by = session.payment_status != PaymentStatus::Paid || session.payment_intent.is_some();
    session.payment_status != PaymentStatus::Unknown
        && session.amount_subtotal.is_some()
        && session.amount_total.is_some()
        && session.currency.is_some()
        && !session.metadata.is_empty()
        && paid_by
}

async fn expired(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let Some(id) = text(object, "id") else { return Ok(partial("session")) };
    Ok(match record_checkout_expired(&context.pool, id).await? {
        Some(true) => "expired",
        Some(false) => "ignored: it had ended before",
        None => "ignored: unknown session",
    }
    .to_owned())
}

/// A charge was refunded, by us or by hand.
async fn refunded(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let told = reference(object, "payment_intent").map(ToOwned::to_owned);
    let payment_intent = match (told, text(object, "id")) {
        (Some(payment_intent), _) => Some(payment_intent),
        (None, Some(charge)) => {
            let mut connection = context.pool.acquire().await?;
            let session = find_session_of_charge(&mut connection, charge).await?;
            session.and_then(|session| session.stripe_payment_intent_id)
        }
        (None, None) => return Ok(partial("charge")),
    };
    enter_refunds(context, payment_intent.as_deref()).await
}

async fn refund_changed(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let told = reference(object, "payment_intent").map(ToOwned::to_owned);
    let payment_intent = match (told, text(object, "id")) {
        (Some(payment_intent), _) => Some(payment_intent),
        (None, Some(refund)) => {
            let mut connection = context.pool.acquire().await?;
            match (find_refund_of_stripe(&mut connection, refund).await?, reference(object, "charge")) {
                (Some(intent), _) => Some(intent.stripe_payment_intent_id),
                // One made by hand.
                (None, Some(charge)) => {
                    let session = find_session_of_charge(&mut connection, charge).await?;
                    session.and_then(|session| session.stripe_payment_intent_id)
                }
                (None, None) => None,
            }
        }
        (None, None) => return Ok(partial("refund")),
    };
    enter_refunds(context, payment_intent.as_deref()).await
}

async fn enter_refunds(context: &JobContext, payment_intent: Option<&str>) -> Result<String, Setback> {
    let Some(payment_intent) = payment_intent else { return Ok("ignored: unknown payment".to_owned()) };
    Ok(super::enter_refunds::run(context, payment_intent).await?.to_owned())
}

/// Events may overtake each other, and a dispute that was closed may be opened or turned: the dispute itself says how it
/// stands.
async fn disputed(context: &JobContext, event_type: &str, object: &Value) -> Result<String, Setback> {
    let Some(id) = text(object, "id") else { return Ok(partial("dispute")) };
    let told = told_dispute(context, event_type, id, object).await?;
    let looked_at = find_now(&mut *context.pool.acquire().await?).await?;
    let dispute = match (context.stripe.get_dispute(id).await, told) {
        (Ok(dispute), _) => dispute_of(&dispute, looked_at),
        (Err(error), Some(told)) if error.is_missing() => told,
        (Err(error), None) if error.is_missing() => {
            // Not to be lost: an operator sees the job, and what is disputed, in the dashboard.
            return Err(Setback::Broken(anyhow::anyhow!("the dispute {id} does not say what is disputed")));
        }
        (Err(error), told) => {
            // What is disputed is not paid out until Stripe answers.
            if let Some(told) = told {
                record_dispute(&context.pool, &told).await?;
            }
            return Err(error.into());
        }
    };
    let recorded = record_dispute(&context.pool, &dispute).await?;
    tracing::error!(dispute = id, status = recorded.dispute.status, recorded.is_ours, "a payment is disputed");
    if !recorded.is_ours {
        let mut connection = context.pool.acquire().await?;
        let dismissed = find_dismissed_by_charge(&mut connection, &recorded.dispute.charge).await?;
        drop(connection);
        if let Some(dismissed) = dismissed {
            // What the bank gives back of a payment that was put away is there again.
            return enter_refunds(context, Some(&dismissed.stripe_payment_intent_id)).await;
        }
    }
    Ok(if recorded.is_ours { "dispute recorded" } else { "dispute kept: unknown charge" }.to_owned())
}

/// The dispute as the event tells it, when it tells enough.
async fn told_dispute(
    context: &JobContext,
    event_type: &str,
    id: &str,
    object: &Value,
) -> Result<Option<DisputeFacts>, sqlx::Error> {
    let charge = disputed_charge(context, object).await?;
    let amount = object.get("amount").and_then(Value::as_i64);
    let begins = (event_type == "charge.dispute.created").then_some("needs_response");
    let status = text(object, "status").or(begins);
    let (Some(charge), Some(amount), Some(status)) = (charge, amount, status) else { return Ok(None) };
    let is_closed = event_type == "charge.dispute.closed" || is_end_of_dispute(status);
    let (id, status, amount) = (id.to_owned(), status.to_owned(), Cents(amount));
    Ok(Some(DisputeFacts { id, charge, status, amount, is_closed, closed_by: None, looked_at: None }))
}

/// The disputed charge, told itself or by its payment.
async fn disputed_charge(context: &JobContext, object: &Value) -> Result<Option<String>, sqlx::Error> {
    if let Some(charge) = reference(object, "charge") {
        return Ok(Some(charge.to_owned()));
    }
    let Some(payment_intent) = reference(object, "payment_intent") else { return Ok(None) };
    let mut connection = context.pool.acquire().await?;
    let session = find_session_of_payment_intent(&mut connection, payment_intent).await?;
    Ok(session.and_then(|session| session.stripe_charge_id))
}

/// Events may overtake each other: the account itself says how it stands.
async fn account_updated(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let Some(id) = text(object, "id") else { return Ok(partial("account")) };
    let state = match context.stripe.get_account(id).await {
        Ok(account) => account_state(&account),
        Err(error) if error.is_final() || error.is_missing() => {
            let made_for = object.pointer("/metadata/freelanceId").and_then(Value::as_str).map(ToOwned::to_owned);
            AccountState { made_for, ..AccountState::gone(id) }
        }
        Err(error) => return Err(error.into()),
    };
    let is_ours = record_account_state(&context.pool, &state).await?;
    Ok(if is_ours { "account recorded" } else { "ignored: unknown account" }.to_owned())
}

/// A transfer was made or taken back, perhaps before its own answer was heard here: Stripe says how it stands.
async fn transfer_told(context: &JobContext, object: &Value) -> Result<String, Setback> {
    let Some(id) = text(object, "id") else { return Ok(partial("transfer")) };
    let transfer = match context.stripe.get_transfer(id).await {
        Ok(transfer) => transfer,
        Err(error) if error.is_missing() => return Ok("ignored: Stripe does not know the transfer".to_owned()),
        Err(error) => return Err(error.into()),
    };
    let Some(intent) = transfer_intent(context, &transfer).await? else {
        return Ok("ignored: unknown transfer".to_owned());
    };
    let is_its_own = intent.stripe_transfer_id.as_ref().is_none_or(|known| *known == transfer.id)
        && transfer.amount_cents == intent.net.0
        && transfer.destination == intent.destination
        && transfer.transfer_group.as_deref() == Some(intent.job_posting_id.to_string().as_str());
    if !is_its_own {
        tracing::error!(transfer = transfer.id, intent = %intent.id, "a transfer is not the one its intent asked for");
        return Ok("ignored: not the transfer that was asked for".to_owned());
    }
    send_transfer::enter(context, &intent, &transfer).await?;
    Ok(if transfer.amount_reversed_cents > 0 { "reversal recorded" } else { "transfer recorded" }.to_owned())
}

/// The intent by the transfer's id, or, before its answer was heard, the one its metadata names. A database that was restored
/// may have another intent for the checkpoint.
async fn transfer_intent(context: &JobContext, transfer: &Transfer) -> Result<Option<TransferIntent>, sqlx::Error> {
    let mut connection = context.pool.acquire().await?;
    if let Some(intent) = find_transfer_of_stripe(&mut connection, &transfer.id).await? {
        return Ok(Some(intent));
    }
    if let Some(id) = named(&transfer.metadata, INTENT_KEY)
        && let Some(intent) = find_transfer(&mut connection, id.into()).await?
    {
        return Ok(Some(intent));
    }
    match named(&transfer.metadata, CHECKPOINT_KEY) {
        Some(id) => find_transfer_of_checkpoint(&mut connection, id.into()).await,
        None => Ok(None),
    }
}

fn partial(what: &str) -> String {
    tracing::error!(what, "an event's object lacks its identifier");
    format!("ignored: the {what} has no identifier")
}

fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The id of another object, given as such or as the whole object.
fn reference<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    let value = object.get(field)?;
    if value.is_object() { text(value, "id") } else { text(object, field) }
}
