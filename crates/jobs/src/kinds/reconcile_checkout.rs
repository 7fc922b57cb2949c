//! Asks Stripe about a session that no webhook has spoken of.

use freehunt_domain::{
    ids::PaymentSessionId,
    payments::{
        SessionStatus,
        queries::sessions::{find_session, update_looked_at},
        sessions::record_checkout_ended,
    },
};
use freehunt_stripe::SessionStatus as StripeStatus;

use super::create_checkout;
use crate::{JobContext, Setback, provider::record_session};

pub async fn run(context: &JobContext, id: PaymentSessionId) -> Result<(), Setback> {
    let session = {
        let mut connection = context.pool.acquire().await?;
        find_session(&mut connection, id).await?
    };
    let Some(session) = session else { return Ok(()) };
    if session.status == SessionStatus::Creating {
        return create_checkout::run(context, id).await;
    }
    let Some(stripe_id) = session.stripe_session_id.filter(|_| session.status == SessionStatus::Open) else {
        return Ok(());
    };
    let known = context.stripe.get_checkout_session(&stripe_id).await?;
    match known.status {
        StripeStatus::Complete => {
            record_session(context, &known).await?;
        }
        StripeStatus::Expired => {
            record_checkout_ended(&context.pool, id, None).await?;
        }
        StripeStatus::Open | StripeStatus::Unknown => {}
    }
    let mut connection = context.pool.acquire().await?;
    update_looked_at(&mut connection, id).await?;
    Ok(())
}
