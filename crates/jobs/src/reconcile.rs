//! The database against Stripe: every difference is reported, and nothing is moved.

use std::collections::HashSet;

use freehunt_domain::payments::{
    PaymentSession, SessionStatus, TransferStatus,
    invariants::{InvariantViolation, check_invariants},
    queries::{
        ledger::{sum_left, sum_refunded},
        sessions::list_sessions_at_stripe,
        transfers::{list_transfer_postings, list_transfers},
    },
};
use freehunt_stripe::{PaymentStatus, Stripe, StripeError};
use serde::Serialize;
use sqlx::PgConnection;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// What is compared, e.g. `payment`, `refunds`, `transfer`.
    pub what: &'static str,
    /// The id of the session, payment or transfer.
    pub subject: String,
    pub database: String,
    pub stripe: String,
}

/// What was compared, and what differs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub sessions: usize,
    pub transfers: usize,
    pub mismatches: Vec<Mismatch>,
    /// Rules that the database breaks by itself.
    pub violations: Vec<InvariantViolation>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.mismatches.is_empty() && self.violations.is_empty()
    }

    fn differ(&mut self, what: &'static str, subject: &str, database: impl ToString, stripe: impl ToString) {
        let (database, stripe) = (database.to_string(), stripe.to_string());
        self.mismatches.push(Mismatch { what, subject: subject.to_owned(), database, stripe });
    }
}

/// Why the comparison could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Stripe(#[from] StripeError),
}

/// Compares every session, payment, refund and transfer.
pub async fn reconcile(stripe: &Stripe, connection: &mut PgConnection) -> Result<Report, ReconcileError> {
    let mut report = Report { violations: check_invariants(connection).await?, ..Report::default() };
    for session in list_sessions_at_stripe(connection).await? {
        report.sessions += 1;
        compare_session(&mut report, stripe, &session).await?;
        compare_money(&mut report, stripe, connection, &session).await?;
    }
    for posting in list_transfer_postings(connection).await? {
        let recorded = list_transfers(connection, posting).await?;
        let made = stripe.list_transfers(&posting.to_string()).await?;
        report.transfers += made.len();
        let mut known = HashSet::new();
        for intent in recorded {
            let id = intent.stripe_transfer_id.clone().unwrap_or_default();
            let at_stripe = made.iter().find(|transfer| transfer.id == id);
            let has_gone_out = matches!(intent.status, TransferStatus::Succeeded | TransferStatus::Reversed);
            match at_stripe {
                None if has_gone_out => report.differ("transfer", &id, intent.net.0, "none"),
                Some(transfer) if transfer.amount_cents != intent.net.0 => {
                    report.differ("transfer amount", &id, intent.net.0, transfer.amount_cents);
                }
                Some(transfer) if transfer.destination != intent.destination => {
                    report.differ("transfer destination", &id, &intent.destination, &transfer.destination);
                }
                Some(transfer) if transfer.reversed != (intent.status == TransferStatus::Reversed) => {
                    report.differ("transfer reversal", &id, format!("{:?}", intent.status), transfer.reversed);
                }
                _ => {}
            }
            known.insert(id);
        }
        for transfer in made.iter().filter(|transfer| !known.contains(&transfer.id)) {
            report.differ("transfer", &transfer.id, "none", transfer.amount_cents);
        }
    }
    Ok(report)
}

async fn compare_session(report: &mut Report, stripe: &Stripe, session: &PaymentSession) -> Result<(), StripeError> {
    let id = session.stripe_session_id.as_deref().unwrap_or_default();
    let known = match stripe.get_checkout_session(id).await {
        Ok(known) => known,
        Err(error) if error.is_missing() => {
            report.differ("session", id, format!("{:?}", session.status), "none");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let is_paid = known.payment_status == PaymentStatus::Paid;
    if is_paid != session.status.was_paid() {
        report.differ("payment", id, format!("{:?}", session.status), known.payment_status);
    }
    if known.amount_subtotal != Some(session.amount_subtotal.0) {
        report.differ("price", id, session.amount_subtotal.0, known.amount_subtotal.unwrap_or_default());
    }
    if is_paid && session.status.was_paid() {
        if known.amount_total != session.amount_total.map(|total| total.0) {
            let total = session.amount_total.unwrap_or_default();
            report.differ("total", id, total.0, known.amount_total.unwrap_or_default());
        }
        if known.payment_intent != session.stripe_payment_intent_id {
            let recorded = session.stripe_payment_intent_id.clone().unwrap_or_default();
            report.differ("payment intent", id, recorded, known.payment_intent.unwrap_or_default());
        }
    }
    if let Some(reason) = &session.quarantine {
        report.differ("set aside", id, reason, known.payment_status);
    }
    Ok(())
}

async fn compare_money(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
    session: &PaymentSession,
) -> Result<(), ReconcileError> {
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref() else { return Ok(()) };
    let refunds = stripe.list_refunds(payment_intent).await?;
    let at_stripe: i64 = refunds
        .iter()
        .filter(|refund| !matches!(refund.status.as_str(), "failed" | "canceled"))
        .map(|refund| refund.amount_cents)
        .sum();
    let recorded = sum_refunded(connection, session.id).await?;
    if recorded.0 != at_stripe {
        report.differ("refunds", payment_intent, recorded.0, at_stripe);
    }
    if session.status == SessionStatus::Refunded && sum_left(connection, session.id).await?.0 != 0 {
        report.differ("refunded", payment_intent, "money is left", at_stripe);
    }
    Ok(())
}
