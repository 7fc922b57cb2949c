//! What each kind of job does, one file each. All of them may be run any number of times.

mod create_checkout;
mod delete_object;
mod enter_refunds;
mod expire_checkout;
mod process_stripe_event;
mod reconcile_checkout;
mod send_refund;
pub(crate) mod send_transfer;

use freehunt_domain::jobs::Job;

use crate::{Jobs, Setback};

impl Jobs {
    pub(crate) async fn run_kind(&self, job: Job) -> Result<(), Setback> {
        let context = self.context();
        match job {
            Job::CreateCheckout { payment_session_id } => create_checkout::run(context, payment_session_id).await,
            Job::ExpireCheckout { payment_session_id } => expire_checkout::run(context, payment_session_id).await,
            Job::ReconcileCheckout { payment_session_id } => reconcile_checkout::run(context, payment_session_id).await,
            Job::SendTransfer { transfer_intent_id } => send_transfer::run(context, transfer_intent_id).await,
            Job::SendRefund { refund_intent_id } => send_refund::run(context, refund_intent_id).await,
            Job::EnterRefunds { payment_intent } => {
                enter_refunds::run(context, &payment_intent).await?;
                Ok(())
            }
            Job::ProcessStripeEvent { event_id } => {
                process_stripe_event::run(context, &event_id).await?;
                // Its processing may have decided further jobs.
                self.wake();
                Ok(())
            }
            Job::DeleteObject { key } => delete_object::run(context, &key).await,
        }
    }
}
