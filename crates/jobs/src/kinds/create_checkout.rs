//! Makes the Checkout Session of a recorded payment session, once.

use std::collections::BTreeMap;

use freehunt_domain::{
    ids::PaymentSessionId,
    payments::{
        PaymentSession,
        queries::sessions::update_next_key,
        sessions::{begin_creation, record_checkout_created, record_checkout_ended},
    },
};
use freehunt_stripe::{CheckoutRequest, CheckoutSession, StripeError};

use crate::{JobContext, Setback, provider::SESSION_KEY};

/// Stripe's clock may be behind ours, in seconds.
const CLOCK_DIFFERENCE: i64 = 300;

pub async fn run(context: &JobContext, id: PaymentSessionId) -> Result<(), Setback> {
    let Some(session) = begin_creation(&context.pool, id).await? else { return Ok(()) };
    match context.stripe.create_checkout_session(&request(&session), &session.idempotency_key).await {
        Ok(made) => record_made(context, id, &made).await,
        Err(error) if error.is_final() && !error.is_idempotency_mismatch() => {
            tracing::error!(posting = %session.job_posting_id, %error, "Stripe refused to make a payment page");
            let code = error.code().unwrap_or("refused").to_owned();
            record_checkout_ended(&context.pool, id, Some(&code)).await?;
            Ok(())
        }
        Err(error) if error.may_be_stored() || error.is_idempotency_mismatch() => {
            look_up(context, &session, error).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The request is a function of the row: Stripe refuses a key that comes with other parameters.
fn request(session: &PaymentSession) -> CheckoutRequest {
    CheckoutRequest {
        job_posting_id: session.job_posting_id.to_string(),
        company_id: session.company_id.to_string(),
        title: session.title.clone(),
        amount_cents: session.amount_subtotal.0,
        customer_email: session.customer_email.clone(),
        success_url: session.success_url.clone(),
        cancel_url: session.cancel_url.clone(),
        expires_at: session.expires_at.timestamp(),
        metadata: BTreeMap::from([(SESSION_KEY.to_owned(), session.id.to_string())]),
    }
}

async fn record_made(context: &JobContext, id: PaymentSessionId, made: &CheckoutSession) -> Result<(), Setback> {
    record_checkout_created(&context.pool, id, &made.id, made.url.as_deref()).await?;
    Ok(())
}

/// The key may answer this failure for a day: what it made is adopted, and only if it made nothing another key follows.
async fn look_up(context: &JobContext, session: &PaymentSession, error: StripeError) -> Result<(), Setback> {
    let id = session.id.to_string();
    let created_from = session.created_at.timestamp() - CLOCK_DIFFERENCE;
    if let Some(made) = context.stripe.find_checkout_session((SESSION_KEY, &id), created_from).await? {
        return record_made(context, session.id, &made).await;
    }
    let mut connection = context.pool.acquire().await?;
    update_next_key(&mut connection, session.id).await?;
    Err(Setback::Unavailable(error.to_string()))
}
