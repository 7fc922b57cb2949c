//! Makes the Checkout Session of a recorded payment session, once.

use std::collections::BTreeMap;

use freehunt_domain::{
    ids::PaymentSessionId,
    payments::{
        PaymentSession,
        keys::KEY_LIFETIME,
        queries::sessions::update_next_key,
        sessions::{begin_creation, record_checkout_created, record_checkout_ended},
    },
};
use freehunt_stripe::{CheckoutRequest, CheckoutSession, StripeError};

use crate::{
    JobContext, Setback,
    provider::{CLOCK_DIFFERENCE, SESSION_KEY},
};

pub async fn run(context: &JobContext, id: PaymentSessionId) -> Result<(), Setback> {
    let Some(session) = begin_creation(&context.pool, id).await? else { return Ok(()) };
    // The key may be too old to be kept: what it made would be made once more.
    let key_is_old = session.key_used_at.is_some_and(|used| context.clock.now() - used > KEY_LIFETIME);
    if key_is_old && let Some(made) = find_made(context, &session).await? {
        return record_made(context, id, &made).await;
    }
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
    if !record_checkout_created(&context.pool, id, &made.id, made.url.as_deref()).await? {
        // Two attempts with different keys: the page that nobody is shown must not be paid.
        tracing::error!(session = made.id, "a second payment page was made, and is ended");
        context.stripe.expire_checkout_session(&made.id).await?;
    }
    Ok(())
}

/// What Stripe has made of the request, whatever key it came with.
async fn find_made(context: &JobContext, session: &PaymentSession) -> Result<Option<CheckoutSession>, Setback> {
    let id = session.id.to_string();
    let created_from = session.created_at.timestamp() - CLOCK_DIFFERENCE;
    Ok(context.stripe.find_checkout_session((SESSION_KEY, &id), created_from).await?)
}

/// The key may answer this failure for a day: what it made is adopted, and only if it made nothing another key follows.
async fn look_up(context: &JobContext, session: &PaymentSession, error: StripeError) -> Result<(), Setback> {
    if let Some(made) = find_made(context, session).await? {
        return record_made(context, session.id, &made).await;
    }
    let mut connection = context.pool.acquire().await?;
    update_next_key(&mut connection, session.id, &session.idempotency_key).await?;
    Err(Setback::Unavailable(error.to_string()))
}
