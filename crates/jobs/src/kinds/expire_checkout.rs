//! Ends a Checkout Session that nobody wants any more, or learns that it was paid before.

use freehunt_domain::{
    ids::PaymentSessionId,
    payments::{SessionStatus, queries::sessions::find_session, sessions::record_checkout_ended},
};

use crate::{JobContext, Setback, provider::record_session};

pub async fn run(context: &JobContext, id: PaymentSessionId) -> Result<(), Setback> {
    let session = {
        let mut connection = context.pool.acquire().await?;
        find_session(&mut connection, id).await?
    };
    // One that is still being made is looked after by its making.
    let Some(session) = session.filter(|session| session.status == SessionStatus::Open) else { return Ok(()) };
    let Some(stripe_id) = session.stripe_session_id else { return Ok(()) };
    match context.stripe.expire_checkout_session(&stripe_id).await {
        Ok(_) => {
            record_checkout_ended(&context.pool, id, None).await?;
            Ok(())
        }
        Err(error) if error.is_session_complete() => {
            let complete = context.stripe.get_checkout_session(&stripe_id).await?;
            let outcome = record_session(context, &complete).await?;
            tracing::info!(posting = %session.job_posting_id, %outcome, "a session was paid before it could be ended");
            Ok(())
        }
        Err(error) if error.is_missing() => {
            tracing::error!(posting = %session.job_posting_id, "Stripe does not know a session that is to be ended");
            record_checkout_ended(&context.pool, id, Some("missing")).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
