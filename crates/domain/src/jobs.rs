//! Durable effects: what must happen outside the database is a row written in the transaction that decided it.
//!
//! This module only knows what a job says and how it is enqueued; `freehunt-jobs` runs them.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::ids::{JobId, PaymentSessionId, RefundIntentId, TransferIntentId};

/// What a job does. Serialised as `{"kind": …, …}`; renaming a variant orphans rows of the previous version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Make the Checkout Session of a recorded payment session.
    CreateCheckout {
        payment_session_id: PaymentSessionId,
    },
    /// Expire the Checkout Session of a canceled posting, or learn that it was paid.
    ExpireCheckout {
        payment_session_id: PaymentSessionId,
    },
    /// Ask Stripe for the state of an open session that no webhook has spoken of.
    ReconcileCheckout {
        payment_session_id: PaymentSessionId,
    },
    SendTransfer {
        transfer_intent_id: TransferIntentId,
    },
    SendRefund {
        refund_intent_id: RefundIntentId,
    },
    /// Look at what was refunded of a payment, or came back, while it was being recorded: what told of it then told nobody.
    EnterRefunds {
        payment_intent: String,
    },
    ProcessStripeEvent {
        event_id: String,
    },
    /// Remove an object that no row refers to any more.
    DeleteObject {
        key: String,
    },
}

impl Job {
    /// The name in the column `kind`, and in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateCheckout { .. } => "create_checkout",
            Self::ExpireCheckout { .. } => "expire_checkout",
            Self::ReconcileCheckout { .. } => "reconcile_checkout",
            Self::SendTransfer { .. } => "send_transfer",
            Self::SendRefund { .. } => "send_refund",
            Self::EnterRefunds { .. } => "enter_refunds",
            Self::ProcessStripeEvent { .. } => "process_stripe_event",
            Self::DeleteObject { .. } => "delete_object",
        }
    }

    /// At most one live job has this key.
    pub fn unique_key(&self) -> String {
        let subject = match self {
            Self::CreateCheckout { payment_session_id }
            | Self::ExpireCheckout { payment_session_id }
            | Self::ReconcileCheckout { payment_session_id } => payment_session_id.to_string(),
            Self::SendTransfer { transfer_intent_id } => transfer_intent_id.to_string(),
            Self::SendRefund { refund_intent_id } => refund_intent_id.to_string(),
            Self::EnterRefunds { payment_intent } => payment_intent.clone(),
            Self::ProcessStripeEvent { event_id } => event_id.clone(),
            Self::DeleteObject { key } => key.clone(),
        };
        format!("{}:{subject}", self.kind())
    }
}

/// Writes the job in the caller's transaction; returns the live job that has the same key when there is one.
///
/// Nothing runs before the transaction commits. Use `freehunt_jobs::Jobs::attempt` with the id to run it at once. A job that
/// waits for its next attempt becomes due, but not within a second of its last one: whoever asks again and again does
/// not make the provider be asked as often.
pub async fn enqueue(connection: &mut PgConnection, job: &Job) -> Result<JobId, sqlx::Error> {
    let payload = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(error.into()))?;
    // The no-op update makes RETURNING answer for the row that was there already.
    sqlx::query_scalar!(
        r#"INSERT INTO job (kind, payload, unique_key) VALUES ($1, $2, $3)
           ON CONFLICT (unique_key) WHERE state = 'READY' AND unique_key IS NOT NULL
           DO UPDATE SET run_at = least(job.run_at, greatest(now(), job.attempted_at + interval '1 second'))
           RETURNING id AS "id: JobId""#,
        job.kind(),
        payload,
        job.unique_key(),
    )
    .fetch_one(connection)
    .await
}
