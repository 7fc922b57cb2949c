//! The database against Stripe: every difference is reported, and nothing is moved.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use freehunt_domain::payments::{
    DisputeFacts, PaymentSession, TransferIntent, TransferStatus,
    dismissed::is_still_gone,
    invariants::{InvariantViolation, check_invariants},
    queries::{
        dismissed::list_dismissed,
        disputes::find_dispute,
        keys::find_now,
        ledger::sum_refunded,
        sessions::{DISMISSED, list_sessions_at_stripe},
        transfers::{list_transfer_postings, list_transfers},
    },
};
use freehunt_stripe::{CheckoutSession, PAYMENT_TYPE, PaymentStatus, Stripe, StripeError, Transfer};
use serde::Serialize;
use sqlx::PgConnection;

use crate::provider::{CLOCK_DIFFERENCE, INTENT_KEY, dispute_of, list_refunds, refund_of};

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

/// How far back Stripe is asked when there is no record to begin with: as long as it keeps events.
const LOOK_BACK: TimeDelta = TimeDelta::days(30);

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

/// Compares every session, payment, refund, transfer and dispute: what is recorded here with what Stripe has, and what Stripe has
/// since the oldest record with what is recorded.
pub async fn reconcile(stripe: &Stripe, connection: &mut PgConnection) -> Result<Report, ReconcileError> {
    let mut report = Report { violations: check_invariants(connection).await?, ..Report::default() };
    let dismissed = compare_dismissed(&mut report, stripe, connection).await?;
    let recorded = list_sessions_at_stripe(connection).await?;
    let since = match recorded.iter().map(|session| session.created_at.timestamp() - CLOCK_DIFFERENCE).min() {
        Some(since) => since,
        // Nothing is on record: of an installation that took no payment yet, or of a database that lost them.
        None => (find_now(connection).await? - LOOK_BACK).timestamp(),
    };
    compare_sessions(&mut report, stripe, connection, &recorded, &dismissed, since).await?;
    compare_transfers(&mut report, stripe, connection, since).await?;
    compare_disputes(&mut report, stripe, connection, &recorded, since).await?;
    Ok(report)
}

/// What an operator put away stays gone. The sessions' ids at Stripe.
async fn compare_dismissed(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
) -> Result<HashSet<String>, ReconcileError> {
    let mut sessions = HashSet::new();
    for payment in list_dismissed(connection).await? {
        let made = list_refunds(stripe, &payment.stripe_payment_intent_id).await?;
        let made: Vec<_> = made.iter().map(refund_of).collect();
        if !is_still_gone(connection, &payment, &made).await? {
            report.differ("payment put away", &payment.stripe_session_id, "gone", "there again");
        }
        sessions.insert(payment.stripe_session_id);
    }
    Ok(sessions)
}

/// Disputes about our charges, and how they stand; an operator's word that Stripe contradicts is a difference.
async fn compare_disputes(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
    recorded: &[PaymentSession],
    since: i64,
) -> Result<(), ReconcileError> {
    let charges: HashSet<&str> = recorded.iter().filter_map(|session| session.stripe_charge_id.as_deref()).collect();
    let looked_at = find_now(connection).await?;
    for dispute in stripe.list_disputes_since(since).await? {
        if !charges.contains(dispute.charge.as_str()) {
            continue;
        }
        let at_stripe = dispute_of(&dispute, looked_at);
        let stands = |dispute: &DisputeFacts| (dispute.is_closed, dispute.is_won(), dispute.is_inquiry());
        match find_dispute(connection, &dispute.id).await? {
            None => report.differ("dispute", &dispute.id, "none", &dispute.status),
            Some(known) if stands(&known) != stands(&at_stripe) => {
                report.differ("dispute", &dispute.id, known.status, &dispute.status);
            }
            Some(known) if known.amount != at_stripe.amount => {
                report.differ("dispute amount", &dispute.id, known.amount.0, dispute.amount_cents);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn compare_sessions(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
    recorded: &[PaymentSession],
    dismissed: &HashSet<String>,
    since: i64,
) -> Result<(), ReconcileError> {
    let listed = stripe.list_checkout_sessions_since(since).await?;
    let mut at_stripe: HashMap<String, CheckoutSession> =
        listed.into_iter().map(|session| (session.id.clone(), session)).collect();
    for session in recorded {
        report.sessions += 1;
        let id = session.stripe_session_id.as_deref().unwrap_or_default();
        let known = match at_stripe.remove(id) {
            Some(known) => Some(known),
            // One that was adopted may be older than everything recorded here.
            None => match stripe.get_checkout_session(id).await {
                Ok(known) => Some(known),
                Err(error) if error.is_missing() => None,
                Err(error) => return Err(error.into()),
            },
        };
        match known {
            Some(known) => compare_session(report, id, session, known),
            None => report.differ("session", id, format!("{:?}", session.status), "none"),
        }
        compare_money(report, stripe, connection, session).await?;
    }
    let is_ours = |session: &&CheckoutSession| session.metadata.get("type").is_some_and(|kind| kind == PAYMENT_TYPE);
    for unknown in at_stripe.values().filter(is_ours).filter(|session| !dismissed.contains(&session.id)) {
        if unknown.payment_status == PaymentStatus::Paid {
            let total = unknown.amount_total.unwrap_or_default();
            report.differ("unrecorded payment", &unknown.id, "none", total);
        }
    }
    Ok(())
}

async fn compare_transfers(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
    since: i64,
) -> Result<(), ReconcileError> {
    let made = stripe.list_transfers_since(since).await?;
    let mut made: HashMap<String, Transfer> =
        made.into_iter().map(|transfer| (transfer.id.clone(), transfer)).collect();
    let postings = list_transfer_postings(connection).await?;
    let groups: HashSet<String> = postings.iter().map(ToString::to_string).collect();
    for posting in postings {
        for intent in list_transfers(connection, posting).await? {
            let at_stripe = intent.stripe_transfer_id.as_ref().and_then(|id| made.remove(id));
            report.transfers += usize::from(at_stripe.is_some());
            compare_transfer(report, &intent, at_stripe);
        }
    }
    let is_ours = |transfer: &&Transfer| {
        transfer.metadata.contains_key(INTENT_KEY)
            || transfer.transfer_group.as_ref().is_some_and(|group| groups.contains(group))
    };
    for unknown in made.values().filter(is_ours) {
        report.transfers += 1;
        report.differ("transfer", &unknown.id, "none", unknown.amount_cents);
    }
    Ok(())
}

fn compare_transfer(report: &mut Report, intent: &TransferIntent, at_stripe: Option<Transfer>) {
    let id = intent.stripe_transfer_id.clone().unwrap_or_default();
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
}

fn compare_session(report: &mut Report, id: &str, session: &PaymentSession, known: CheckoutSession) {
    let is_paid = known.payment_status == PaymentStatus::Paid;
    // What an operator put away was decided elsewhere; also that it was not what had been asked for.
    if session.failure_code.as_deref() == Some(DISMISSED) && session.quarantine.is_none() && !session.status.was_paid()
    {
        return;
    }
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
}

async fn compare_money(
    report: &mut Report,
    stripe: &Stripe,
    connection: &mut PgConnection,
    session: &PaymentSession,
) -> Result<(), ReconcileError> {
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref() else { return Ok(()) };
    let refunds = list_refunds(stripe, payment_intent).await?;
    let at_stripe: i64 = refunds
        .iter()
        .filter(|refund| !matches!(refund.status.as_str(), "failed" | "canceled"))
        .map(|refund| refund.amount_cents)
        .sum();
    let recorded = sum_refunded(connection, session.id).await?;
    if recorded.0 != at_stripe {
        report.differ("refunds", payment_intent, recorded.0, at_stripe);
    }
    Ok(())
}
