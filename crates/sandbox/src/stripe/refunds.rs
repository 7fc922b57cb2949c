//! Refunds of a charge, never more than it, through the API or the dashboard.

use serde_json::{Value, json};

use super::{
    api::Call,
    books::{Metadata, Refund},
    error::StripeError,
    form::Form,
    lists::{LIST_PARAMETERS, page},
    state::{State, new_id},
    transfers::euros,
};

type Result<T> = std::result::Result<T, StripeError>;

const CREATE_PARAMETERS: [&str; 9] = [
    "amount",
    "charge",
    "payment_intent",
    "reason",
    "metadata[*]",
    "instructions_email",
    "refund_application_fee",
    "reverse_transfer",
    "expand[]",
];

/// What a refund is made of, wherever it was asked for.
pub(super) struct RefundOrder {
    pub charge: String,
    /// None: all that is left.
    pub amount: Option<i64>,
    pub reason: Option<String>,
    pub metadata: Metadata,
    pub idempotency_key: Option<String>,
    pub from_dashboard: bool,
}

impl State {
    pub(super) fn create_refund(&mut self, call: &Call) -> Result<Value> {
        let form = &call.form;
        form.allow(&CREATE_PARAMETERS)?;
        let order = RefundOrder {
            amount: form.cents("amount", 1)?,
            reason: form.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?.map(str::to_owned),
            metadata: form.metadata("metadata")?,
            charge: self.charge_to_refund(form)?,
            idempotency_key: call.key.clone(),
            from_dashboard: false,
        };
        if form.boolean("reverse_transfer")? {
            let message = "The charge has no associated transfer, so it cannot be reversed.";
            return Err(StripeError::refused(None, message).on("reverse_transfer"));
        }
        let id = self.refund(order)?;
        Ok(self.object(&id).unwrap_or_default())
    }

    fn charge_to_refund(&self, form: &Form) -> Result<String> {
        if let Some(intent_id) = form.text("payment_intent")? {
            let Some(intent) = self.intents.get(intent_id) else {
                return Err(StripeError::no_such("payment_intent", intent_id, "payment_intent"));
            };
            return intent.latest_charge.clone().ok_or_else(|| {
                let message = format!("This PaymentIntent ({intent_id}) does not have a successful charge to refund.");
                StripeError::refused(Some("payment_intent_unexpected_state"), message)
            });
        }
        match form.text("charge")? {
            Some(charge) if self.charges.get(charge).is_none() => Err(StripeError::no_such("charge", charge, "charge")),
            Some(charge) => Ok(charge.to_owned()),
            None => {
                let message =
                    "One of the following params should be provided for this request: payment_intent or charge.";
                Err(StripeError::invalid("parameter_missing", "payment_intent", message))
            }
        }
    }

    /// Books a refund and sends `charge.refunded` and `refund.created`. Returns its id.
    pub(super) fn refund(&mut self, order: RefundOrder) -> Result<String> {
        let charge = self.charges.get(&order.charge).ok_or_else(|| StripeError::not_found("charge", &order.charge))?;
        let unrefunded = charge.amount - charge.amount_refunded;
        if unrefunded == 0 {
            let message = format!("Charge {} has already been refunded.", charge.id);
            return Err(StripeError::refused(Some("charge_already_refunded"), message));
        }
        let dispute = self.dispute_of(&charge.id);
        let taken = dispute.map_or(0, |dispute| dispute.amount);
        // What was not lost may go back; nothing may while the bank decides.
        if dispute.is_some_and(|dispute| dispute.status != "lost") || taken >= unrefunded {
            let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
            return Err(StripeError::refused(Some("charge_disputed"), message));
        }
        let left = unrefunded - taken;
        let amount = order.amount.unwrap_or(left);
        if amount > left {
            let message = format!(
                "Refund amount ({}) is greater than unrefunded amount on charge ({})",
                euros(amount),
                euros(left)
            );
            return Err(StripeError::refused(None, message).on("amount"));
        }
        let (available, pending) = self.balances();
        if available.saturating_add(pending) < amount {
            let message = "Insufficient funds in your Stripe balance to refund this amount.";
            return Err(StripeError::refused(Some("balance_insufficient"), message));
        }
        let refund = Refund {
            id: new_id("re_3", 23),
            amount,
            currency: charge.currency.clone(),
            payment_intent: charge.payment_intent.clone(),
            charge: order.charge.clone(),
            status: if self.run.refunds_stay_pending { "pending" } else { "succeeded" }.to_owned(),
            reason: order.reason,
            metadata: order.metadata,
            created: self.now(),
            idempotency_key: order.idempotency_key,
            from_dashboard: order.from_dashboard,
        };
        let id = refund.id.clone();
        self.refunds.insert(refund);
        self.count_refunds(&order.charge);
        let object = self.object(&order.charge).unwrap_or_default();
        self.emit("charge.refunded", object);
        let object = self.object(&id).unwrap_or_default();
        self.emit("refund.created", object);
        Ok(id)
    }

    /// A pending refund ends, or a made one comes back: `refund.updated`, `refund.failed`.
    pub(super) fn set_refund_status(&mut self, id: &str, status: &str) -> Result<()> {
        let refund = self.refunds.get_mut(id).ok_or_else(|| StripeError::not_found("refund", id))?;
        status.clone_into(&mut refund.status);
        let charge = refund.charge.clone();
        self.count_refunds(&charge);
        let object = self.object(id).unwrap_or_default();
        self.emit(if status == "failed" { "refund.failed" } else { "refund.updated" }, object);
        Ok(())
    }

    fn count_refunds(&mut self, charge: &str) {
        let counted = self.refunds.rows().iter().filter(|refund| refund.charge == charge && refund.counts());
        let total = counted.map(|refund| refund.amount).sum();
        if let Some(charge) = self.charges.get_mut(charge) {
            charge.amount_refunded = total;
        }
    }

    pub(super) fn list_refunds(&self, form: &Form) -> Result<Value> {
        form.allow(&[&["charge", "payment_intent"][..], &LIST_PARAMETERS[..]].concat())?;
        let (charge, intent) = (form.text("charge")?, form.text("payment_intent")?);
        let keep = |refund: &Refund| {
            charge.is_none_or(|charge| refund.charge == charge)
                && intent.is_none_or(|intent| refund.payment_intent == intent)
        };
        page(&self.refunds, form, "/v1/refunds", |row| row.created, keep, |row| self.refund_json(row))
    }

    pub(super) fn refund_json(&self, refund: &Refund) -> Value {
        let failure = if refund.status == "failed" { json!("expired_or_canceled_card") } else { Value::Null };
        json!({
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount,
            "balance_transaction": refund.id.replacen("re_", "txn_", 1),
            "charge": refund.charge,
            "created": refund.created,
            "currency": refund.currency,
            "destination_details": null,
            "failure_reason": failure,
            "metadata": refund.metadata,
            "payment_intent": refund.payment_intent,
            "reason": refund.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": refund.status,
            "transfer_reversal": null,
        })
    }
}
