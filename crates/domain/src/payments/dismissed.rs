//! Payments that an operator put away because nothing of them was left. They stand in no book of ours, but Stripe goes on
//! telling of them; and when their money is there again, because a refund failed after all, they are decided on anew.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    disputes::sum_lost,
    enter_refunds::given_back,
    model::{ProviderPayment, ProviderRefund, ProviderRefundState},
    queries::{
        dismissed::{DismissedPayment, delete_dismissed, find_dismissed},
        events::update_outcome_of_dismissed,
        sessions::{find_session_of_stripe, lock_session, update_quarantined},
    },
    record_payment::paid_facts,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    job_postings::queries::lock_job_posting,
};

/// Why it waits for another decision.
const BACK_AGAIN: &str = "it was put away, and its money came back";

/// Where the money of a payment is that came in without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// It went back, or the bank took it.
    Gone,
    /// A refund of it may still fail.
    Leaving,
    /// It, or a part of it, is here.
    Here,
}

pub(super) async fn whereabouts(
    connection: &mut PgConnection,
    charge: &str,
    total: Cents,
    refunds: &[ProviderRefund],
) -> Result<Whereabouts, sqlx::Error> {
    let lost = sum_lost(connection, charge).await?;
    let confirmed = refunds.iter().filter(|refund| refund.state == ProviderRefundState::Succeeded);
    let confirmed: Cents = confirmed.map(|refund| refund.amount).sum();
    Ok(if confirmed + lost >= total {
        Whereabouts::Gone
    } else if given_back(refunds) + lost >= total {
        Whereabouts::Leaving
    } else {
        Whereabouts::Here
    })
}

/// Whether nothing of it is here, as far as `refunds` and the disputes that were told say.
pub async fn is_still_gone(
    connection: &mut PgConnection,
    payment: &DismissedPayment,
    refunds: &[ProviderRefund],
) -> Result<bool, sqlx::Error> {
    let found = whereabouts(connection, &payment.stripe_charge_id, payment.amount_total, refunds).await?;
    Ok(found != Whereabouts::Here)
}

/// Whether the payment was put away, and that is how it still is.
pub(super) async fn is_put_away(
    connection: &mut PgConnection,
    payment: &ProviderPayment,
    refunds: &[ProviderRefund],
) -> Result<bool, sqlx::Error> {
    let Some(paid) = paid_facts(payment).filter(|_| payment.is_paid) else { return Ok(false) };
    match find_dismissed(connection, paid.payment_intent).await? {
        Some(dismissed) => is_still_gone(connection, &dismissed, refunds).await,
        None => Ok(false),
    }
}

/// Applies what Stripe says was refunded of a payment that no book knows: one that was put away waits for a decision again
/// when it has money again, and then `true`. `None` when it was not put away.
pub async fn record_refunds_of_dismissed(
    pool: &PgPool,
    payment_intent: &str,
    refunds: &[ProviderRefund],
) -> Result<Option<bool>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(dismissed) = find_dismissed(&mut transaction, payment_intent).await? else { return Ok(None) };
    if is_still_gone(&mut transaction, &dismissed, refunds).await? {
        return Ok(Some(false));
    }
    let recorded = find_session_of_stripe(&mut transaction, &dismissed.stripe_session_id).await?;
    if let Some(session) = &recorded {
        lock_job_posting(&mut transaction, session.job_posting_id).await?;
        lock_session(&mut transaction, session.id).await?;
    }
    if !delete_dismissed(&mut transaction, payment_intent).await? {
        return Ok(None);
    }
    if let Some(session) = &recorded {
        update_quarantined(&mut transaction, session.id, BACK_AGAIN).await?;
    }
    let outcome = format!("quarantined: {BACK_AGAIN}");
    update_outcome_of_dismissed(&mut transaction, &dismissed.stripe_session_id, &outcome).await?;
    let record = AuditRecord {
        actor: AuditActor::Stripe,
        table: "JobPosting",
        action: "quarantine_payment",
        subject_id: Some(match recorded {
            Some(session) => session.job_posting_id.to_string(),
            None => dismissed.stripe_session_id.clone(),
        }),
        client_address: None,
        details: Some(json!({ "session": dismissed.stripe_session_id, "outcome": outcome })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(Some(true))
}
