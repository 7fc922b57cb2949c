//! What a test (or the sandbox) does to the stand-in besides calling its API: acts as the customer, the dashboard or
//! the bank, turns the clock, and reads the books.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    StripeStandIn,
    api::{Gate, Prepared500},
    books::{Books, Metadata},
    error::StripeError,
    payments::Paid,
    refunds::RefundOrder,
    webhooks::{CustomEvent, Event},
};

type Result<T> = std::result::Result<T, StripeError>;

/// The customer, the account's holder, the dashboard and the bank.
impl StripeStandIn {
    /// Pays the session as its page does.
    pub fn pay(&self, session: &str) -> Result<Paid> {
        self.shared.change(|state| state.pay(session))
    }

    /// The customer's card is declined; the session stays open. Returns the payment intent.
    pub fn decline(&self, session: &str) -> Result<String> {
        self.shared.change(|state| state.decline(session))
    }

    /// Expires the session at once.
    pub fn expire(&self, session: &str) -> Result<()> {
        self.shared.change(|state| state.expire_session(session, &super::form::Form::default())).map(drop)
    }

    /// Opens a dispute on the charge. Returns the dispute.
    pub fn dispute(&self, charge: &str) -> Result<String> {
        self.shared.change(|state| state.open_dispute(charge, None, false))
    }

    /// Opens a dispute on so many cents of the charge. Returns the dispute.
    pub fn dispute_part(&self, charge: &str, amount: i64) -> Result<String> {
        self.shared.change(|state| state.open_dispute(charge, Some(amount), false))
    }

    /// The bank asks about so many cents of the charge, and takes nothing yet. Returns the dispute.
    pub fn inquire(&self, charge: &str, amount: i64) -> Result<String> {
        self.shared.change(|state| state.open_dispute(charge, Some(amount), true))
    }

    pub fn close_dispute(&self, dispute: &str, won: bool) -> Result<()> {
        self.shared.change(|state| state.close_dispute(dispute, won))
    }

    /// The bank takes up an inquiry or changes its mind about a dispute, whatever was said of it before.
    pub fn set_dispute_status(&self, dispute: &str, status: &str) -> Result<()> {
        self.shared.change(|state| state.set_dispute_status(dispute, status))
    }

    /// Refunds by hand; without an amount, all that is left. Returns the refund.
    pub fn refund_from_dashboard(&self, payment_intent: &str, amount: Option<i64>) -> Result<String> {
        self.shared.change(|state| {
            let charge = state.intents.get(payment_intent).and_then(|intent| intent.latest_charge.clone());
            let charge = charge.ok_or_else(|| StripeError::not_found("payment_intent", payment_intent))?;
            state.refund(RefundOrder {
                charge,
                amount,
                reason: None,
                metadata: Metadata::new(),
                idempotency_key: None,
                from_dashboard: true,
            })
        })
    }

    /// Takes a transfer back by hand; without an amount, all that is left of it.
    pub fn reverse_transfer(&self, transfer: &str, amount: Option<i64>) -> Result<()> {
        self.shared.change(|state| state.take_back(transfer, amount, Metadata::new(), None)).map(drop)
    }

    /// Sets a refund to `succeeded`, `failed`, `pending` or `canceled` and says so in an event.
    pub fn set_refund_status(&self, refund: &str, status: &str) -> Result<()> {
        self.shared.change(|state| state.set_refund_status(refund, status))
    }

    /// Whether refunds made from now on stay `pending`.
    pub fn keep_refunds_pending(&self, pending: bool) {
        self.shared.change(|state| state.run.refunds_stay_pending = pending);
    }

    /// Finishes the onboarding as its page does.
    pub fn finish_onboarding(&self, account: &str) -> Result<()> {
        self.shared.change(|state| state.finish_onboarding(account))
    }

    /// Suspends the account's capabilities and payouts.
    pub fn restrict(&self, account: &str) -> Result<()> {
        self.shared.change(|state| state.restrict(account))
    }

    /// The account is gone: reading it and paying it are refused.
    pub fn delete_account(&self, account: &str) -> Result<()> {
        self.shared.change(|state| state.remove_account(account)).map(drop)
    }

    /// Adds cents to what is available for transfers without a source.
    pub fn add_available_balance(&self, cents: i64) {
        self.shared.change(|state| state.topped_up += cents);
    }
}

/// Clock, idempotency keys and settings.
impl StripeStandIn {
    /// Turns the clock forward: sessions and keys expire, charges settle. New sessions are then checked against this
    /// clock; where the program under test keeps its own, use [`StripeStandIn::expire_idempotency_keys`].
    pub fn advance_clock(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        self.shared.change(|state| state.run.clock_offset = state.run.clock_offset.saturating_add(seconds));
        // The change expires what was due before it; this, what is due now.
        self.shared.read(|_| ());
    }

    /// Forgets every answered key, as after 24 hours.
    pub fn expire_idempotency_keys(&self) {
        self.shared.change(|state| state.keys.expire_all());
    }

    /// The next POST or DELETE whose path starts so does nothing and answers 500, which its key then replays.
    pub fn store_500_for_next(&self, path_prefix: &str) {
        self.prepare_500(path_prefix, false);
    }

    /// As [`StripeStandIn::store_500_for_next`], but the work is done: only a look-up shows it.
    pub fn store_500_after_work_for_next(&self, path_prefix: &str) {
        self.prepare_500(path_prefix, true);
    }

    fn prepare_500(&self, path_prefix: &str, performs: bool) {
        let prepared = Prepared500 { path_prefix: path_prefix.to_owned(), performs };
        self.shared.change(|state| state.run.prepared.push(prepared));
    }

    /// Requests that write and whose path starts so wait, with their keys in use, until the gate is released or dropped.
    pub fn hold(&self, path_prefix: &str) -> Gate {
        let (gate, hold) = Gate::new(path_prefix);
        self.shared.change(|state| state.run.holds.push(hold));
        gate
    }

    /// `livemode` of every object and event from now on.
    pub fn set_livemode(&self, livemode: bool) {
        self.shared.change(|state| state.run.livemode = livemode);
    }

    /// Tax on sessions with automatic tax, in hundredths of a percent (2000 = 20 %).
    pub fn set_tax_basis_points(&self, basis_points: u32) {
        self.shared.change(|state| state.run.tax_basis_points = basis_points);
    }
}

/// Books and events.
impl StripeStandIn {
    pub fn books(&self) -> Books {
        self.shared.read(|state| state.books())
    }

    /// Available and pending cents of the platform.
    pub fn balances(&self) -> (i64, i64) {
        self.shared.read(|state| state.balances())
    }

    /// Any object as the API shows it.
    pub fn object(&self, id: &str) -> Option<Value> {
        self.shared.read(|state| state.object(id))
    }

    pub fn set_webhook_targets(&self, targets: Vec<String>) {
        self.shared.change(|state| state.run.webhook_targets = targets);
    }

    /// While false, events are recorded and never sent, and running retries end.
    pub fn webhooks_enabled(&self, enabled: bool) {
        self.shared.change(|state| state.run.webhooks_enabled = enabled);
    }

    /// Sends an event of any type about any object. Returns its id.
    pub fn send_event(&self, kind: &str, object: Value) -> String {
        self.send_custom_event(CustomEvent::new(kind, object))
    }

    pub fn send_custom_event(&self, event: CustomEvent) -> String {
        self.shared.change(|state| state.emit_custom(event))
    }

    /// Sends a recorded event again, also while webhooks are off. False when there is none with this id.
    pub fn resend(&self, event: &str) -> bool {
        self.shared.change(|state| state.resend(event))
    }

    /// Every recorded event with its deliveries, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.shared.read(|state| state.events.rows().to_vec())
    }

    /// The recorded events of one type.
    pub fn events_of(&self, kind: &str) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.kind == kind).collect()
    }

    /// Deliveries that have neither arrived nor been given up.
    pub fn pending_deliveries(&self) -> usize {
        *self.shared.pending.borrow()
    }

    /// Returns once no delivery is pending.
    pub async fn wait_until_delivered(&self) {
        let mut pending = Arc::clone(&self.shared).pending.subscribe();
        // It only fails when the sender is gone, and this value keeps it.
        let _gone = pending.wait_for(|pending| *pending == 0).await;
    }
}
