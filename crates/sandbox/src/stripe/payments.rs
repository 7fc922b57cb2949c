//! What a customer's payment books: payment intent, charge, disputes, and the platform's balance.
//!
//! Charges carry no fee here, and settle (become available) after the configured time.

use serde_json::{Value, json};

use super::{
    books::{Charge, Dispute, PaymentIntent, SessionStatus, Transfer},
    error::StripeError,
    form::Form,
    lists::{LIST_PARAMETERS, page, with_nulls},
    state::{State, new_id},
};

type Result<T> = std::result::Result<T, StripeError>;

/// What a payment came to.
#[derive(Clone, Debug)]
pub struct Paid {
    pub session: String,
    pub payment_intent: String,
    pub charge: String,
    /// Where the customer is sent, the session's id filled in.
    pub success_url: String,
}

impl State {
    /// The customer pays: books intent and charge and sends `checkout.session.completed`.
    pub(super) fn pay(&mut self, id: &str) -> Result<Paid> {
        let session = self.sessions.get(id).ok_or_else(|| StripeError::not_found("checkout.session", id))?.clone();
        if session.status != SessionStatus::Open {
            let message = format!("This Checkout Session is {}.", session.status.as_str());
            return Err(StripeError::refused(None, message));
        }
        let intent_id = self.intent_of(id);
        let charge = Charge {
            id: new_id("ch_3", 23),
            payment_intent: intent_id.clone(),
            amount: session.amount_total,
            amount_refunded: 0,
            currency: session.currency.clone(),
            email: session.customer_email.clone(),
            metadata: session.intent_metadata.clone(),
            description: session.intent_description.clone(),
            transfer_group: session.transfer_group.clone(),
            created: self.now(),
        };
        if let Some(intent) = self.intents.get_mut(&intent_id) {
            (intent.succeeded, intent.declined) = (true, false);
            intent.latest_charge = Some(charge.id.clone());
        }
        let paid = Paid {
            session: id.to_owned(),
            payment_intent: intent_id.clone(),
            charge: charge.id.clone(),
            success_url: session.success_url.replace("{CHECKOUT_SESSION_ID}", id),
        };
        self.charges.insert(charge);
        if let Some(session) = self.sessions.get_mut(id) {
            (session.status, session.paid) = (SessionStatus::Complete, true);
            session.payment_intent = Some(intent_id);
            session.invoice = session.invoice_creation.then(|| new_id("in_1", 23));
        }
        let object = self.object(id).unwrap_or_default();
        self.emit("checkout.session.completed", object);
        Ok(paid)
    }

    /// The customer's card is declined; the session stays open.
    pub(super) fn decline(&mut self, id: &str) -> Result<String> {
        let session = self.sessions.get(id).ok_or_else(|| StripeError::not_found("checkout.session", id))?;
        if session.status != SessionStatus::Open {
            let message = format!("This Checkout Session is {}.", session.status.as_str());
            return Err(StripeError::refused(None, message));
        }
        let intent_id = self.intent_of(id);
        if let Some(intent) = self.intents.get_mut(&intent_id) {
            intent.declined = true;
        }
        let object = self.object(&intent_id).unwrap_or_default();
        self.emit("payment_intent.payment_failed", object);
        Ok(intent_id)
    }

    /// The session's payment intent, made at the first attempt to pay.
    fn intent_of(&mut self, session_id: &str) -> String {
        let existing = self.intents.rows().iter().rev().find(|intent| intent.session == session_id && intent.declined);
        if let Some(intent) = existing {
            return intent.id.clone();
        }
        let id = new_id("pi_3", 23);
        if let Some(session) = self.sessions.get(session_id) {
            let intent = PaymentIntent {
                id: id.clone(),
                session: session_id.to_owned(),
                amount: session.amount_total,
                currency: session.currency.clone(),
                succeeded: false,
                declined: false,
                latest_charge: None,
                metadata: session.intent_metadata.clone(),
                description: session.intent_description.clone(),
                transfer_group: session.transfer_group.clone(),
                created: self.now(),
            };
            self.intents.insert(intent);
        }
        id
    }

    /// The customer's bank takes the money back, for now; without an amount, all that is left. An inquiry takes nothing
    /// until it becomes a dispute.
    pub(super) fn open_dispute(&mut self, charge_id: &str, amount: Option<i64>, is_inquiry: bool) -> Result<String> {
        let charge = self.charges.get(charge_id).ok_or_else(|| StripeError::not_found("charge", charge_id))?;
        if self.dispute_of(charge_id).is_some() {
            return Err(StripeError::refused(None, format!("Charge {charge_id} is already disputed.")));
        }
        let dispute = Dispute {
            id: new_id("dp_1", 23),
            charge: charge_id.to_owned(),
            payment_intent: charge.payment_intent.clone(),
            amount: amount.unwrap_or(charge.amount - charge.amount_refunded),
            status: if is_inquiry { "warning_needs_response" } else { "needs_response" }.to_owned(),
            created: self.now(),
        };
        let (id, object) = (dispute.id.clone(), self.dispute_json(&dispute));
        self.disputes.insert(dispute);
        self.emit("charge.dispute.created", object);
        Ok(id)
    }

    pub(super) fn close_dispute(&mut self, id: &str, won: bool) -> Result<()> {
        let dispute = self.disputes.get_mut(id).ok_or_else(|| StripeError::not_found("dispute", id))?;
        let status = match (dispute.status.as_str(), won) {
            ("warning_needs_response", true) => "warning_closed",
            ("needs_response", true) => "won",
            ("needs_response", false) => "lost",
            _ => return Err(StripeError::refused(None, format!("Dispute {id} cannot be closed so."))),
        };
        self.set_dispute_status(id, status)
    }

    /// The bank decides, takes up an inquiry, or changes its mind: `charge.dispute.closed` for an end, else
    /// `charge.dispute.updated`, and where the money goes.
    pub(super) fn set_dispute_status(&mut self, id: &str, status: &str) -> Result<()> {
        let dispute = self.disputes.get_mut(id).ok_or_else(|| StripeError::not_found("dispute", id))?;
        let takes_before = dispute.takes_money();
        status.clone_into(&mut dispute.status);
        let takes_now = dispute.takes_money();
        let object = self.object(id).unwrap_or_default();
        let is_end = matches!(status, "won" | "lost" | "warning_closed");
        self.emit(if is_end { "charge.dispute.closed" } else { "charge.dispute.updated" }, object.clone());
        if takes_now && !takes_before {
            self.emit("charge.dispute.funds_withdrawn", object);
        } else if takes_before && !takes_now {
            self.emit("charge.dispute.funds_reinstated", object);
        }
        Ok(())
    }

    /// The dispute that keeps the charge's money away, or a part of it, if there is one.
    pub(super) fn dispute_of(&self, charge: &str) -> Option<&Dispute> {
        self.disputes.rows().iter().find(|dispute| dispute.charge == charge && dispute.takes_money())
    }

    /// Net cents that transfers have taken from this charge.
    pub(super) fn transferred_from(&self, charge: &str) -> i64 {
        let all = self.transfers.rows().iter();
        all.filter(|transfer| transfer.source_transaction.as_deref() == Some(charge)).map(Transfer::net).sum()
    }

    /// Available and pending cents of the platform.
    pub(super) fn balances(&self) -> (i64, i64) {
        let now = self.now();
        let unlinked = self.transfers.rows().iter().filter(|transfer| transfer.source_transaction.is_none());
        let mut available = self.topped_up - unlinked.map(Transfer::net).sum::<i64>();
        let mut pending = 0;
        for charge in self.charges.rows() {
            let disputed = self.dispute_of(&charge.id).map_or(0, |dispute| dispute.amount);
            let net = charge.amount - charge.amount_refunded - self.transferred_from(&charge.id) - disputed;
            let settled = now >= charge.created + self.run.settlement_seconds;
            *(if settled { &mut available } else { &mut pending }) += net;
        }
        (available, pending)
    }

    pub(super) fn balance(&self, form: &Form) -> Result<Value> {
        form.allow(&["expand[]"])?;
        let (available, pending) = self.balances();
        let amount = |cents: i64| json!([{"amount": cents, "currency": "eur", "source_types": {"card": cents}}]);
        Ok(json!({
            "object": "balance",
            "available": amount(available),
            "connect_reserved": amount(0),
            "livemode": self.run.livemode,
            "pending": amount(pending),
        }))
    }

    pub(super) fn list_disputes(&self, form: &Form) -> Result<Value> {
        form.allow(&[&["charge", "payment_intent"][..], &LIST_PARAMETERS[..]].concat())?;
        let (charge, intent) = (form.text("charge")?, form.text("payment_intent")?);
        let keep = |dispute: &Dispute| {
            charge.is_none_or(|charge| dispute.charge == charge)
                && intent.is_none_or(|intent| dispute.payment_intent == intent)
        };
        page(&self.disputes, form, "/v1/disputes", |row| row.created, keep, |row| self.dispute_json(row))
    }

    pub(super) fn list_intents(&self, form: &Form) -> Result<Value> {
        form.allow(&[&["customer"][..], &LIST_PARAMETERS[..]].concat())?;
        page(&self.intents, form, "/v1/payment_intents", |row| row.created, |_| true, |row| self.intent_json(row))
    }

    pub(super) fn list_charges(&self, form: &Form) -> Result<Value> {
        form.allow(&[&["customer", "payment_intent", "transfer_group"][..], &LIST_PARAMETERS[..]].concat())?;
        let (intent, group) = (form.text("payment_intent")?, form.text("transfer_group")?);
        let keep = |charge: &Charge| {
            intent.is_none_or(|intent| charge.payment_intent == intent)
                && group.is_none_or(|group| charge.transfer_group.as_deref() == Some(group))
        };
        page(&self.charges, form, "/v1/charges", |row| row.created, keep, |row| self.charge_json(row))
    }

    pub(super) fn intent_json(&self, intent: &PaymentIntent) -> Value {
        let status = if intent.succeeded { "succeeded" } else { "requires_payment_method" };
        let error = json!({
            "type": "card_error", "code": "card_declined", "decline_code": "generic_decline",
            "message": "Your card was declined.",
        });
        with_nulls(
            json!({
                "id": intent.id,
                "object": "payment_intent",
                "amount": intent.amount,
                "amount_capturable": 0,
                "amount_received": if intent.succeeded { intent.amount } else { 0 },
                "capture_method": "automatic_async",
                "client_secret": format!("{}_secret_stand_in", intent.id),
                "confirmation_method": "automatic",
                "created": intent.created,
                "currency": intent.currency,
                "description": intent.description,
                "last_payment_error": if intent.declined { error } else { Value::Null },
                "latest_charge": intent.latest_charge,
                "livemode": self.run.livemode,
                "metadata": intent.metadata,
                "payment_method_options": {},
                "payment_method_types": ["card"],
                "status": status,
                "transfer_group": intent.transfer_group,
            }),
            &[
                "application",
                "application_fee_amount",
                "canceled_at",
                "cancellation_reason",
                "customer",
                "next_action",
                "on_behalf_of",
                "payment_method",
                "processing",
                "receipt_email",
                "review",
                "setup_future_usage",
                "shipping",
                "source",
                "statement_descriptor",
                "statement_descriptor_suffix",
                "transfer_data",
            ],
        )
    }

    pub(super) fn charge_json(&self, charge: &Charge) -> Value {
        with_nulls(
            json!({
                "id": charge.id,
                "object": "charge",
                "amount": charge.amount,
                "amount_captured": charge.amount,
                "amount_refunded": charge.amount_refunded,
                "balance_transaction": charge.id.replacen("ch_", "txn_", 1),
                "billing_details": {"address": null, "email": charge.email, "name": null, "phone": null, "tax_id": null},
                "captured": true,
                "created": charge.created,
                "currency": charge.currency,
                "description": charge.description,
                "disputed": self.disputes.rows().iter().any(|dispute| dispute.charge == charge.id),
                "fraud_details": {},
                "livemode": self.run.livemode,
                "metadata": charge.metadata,
                "paid": true,
                "payment_intent": charge.payment_intent,
                "refunded": charge.amount_refunded == charge.amount,
                "status": "succeeded",
                "transfer_group": charge.transfer_group,
            }),
            &[
                "application",
                "application_fee",
                "application_fee_amount",
                "customer",
                "failure_code",
                "failure_message",
                "on_behalf_of",
                "outcome",
                "payment_method",
                "payment_method_details",
                "receipt_email",
                "receipt_number",
                "receipt_url",
                "review",
                "shipping",
                "source",
                "source_transfer",
                "statement_descriptor",
                "transfer_data",
            ],
        )
    }

    pub(super) fn dispute_json(&self, dispute: &Dispute) -> Value {
        json!({
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "balance_transactions": [],
            "charge": dispute.charge,
            "created": dispute.created,
            "currency": "eur",
            "enhanced_eligibility_types": [],
            "evidence": {"enhanced_evidence": {}},
            "evidence_details": {
                "due_by": null, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false, "submission_count": 0,
            },
            "is_charge_refundable": false,
            "livemode": self.run.livemode,
            "metadata": {},
            "payment_intent": dispute.payment_intent,
            "reason": "fraudulent",
            "status": dispute.status,
        })
    }
}
