//! Transfers to connected accounts, paid by a charge or by the available balance, and their reversals.

use serde_json::{Value, json};

use super::{
    api::Call,
    books::{Metadata, Reversal, Transfer},
    error::StripeError,
    form::{Form, missing},
    lists::{LIST_PARAMETERS, page},
    state::{State, new_id},
};

type Result<T> = std::result::Result<T, StripeError>;

const CREATE_PARAMETERS: [&str; 9] = [
    "amount",
    "currency",
    "destination",
    "description",
    "metadata[*]",
    "source_transaction",
    "source_type",
    "transfer_group",
    "expand[]",
];

impl State {
    pub(super) fn create_transfer(&mut self, call: &Call) -> Result<Value> {
        let form = &call.form;
        form.allow(&CREATE_PARAMETERS)?;
        let amount = form.cents("amount", 1)?.ok_or_else(|| missing("amount"))?;
        let source = form.text("source_transaction")?.map(str::to_owned);
        let mut transfer = Transfer {
            id: new_id("tr_1", 23),
            amount,
            currency: form.currency("currency")?,
            destination: form.required("destination")?.to_owned(),
            transfer_group: form.text("transfer_group")?.map(str::to_owned),
            description: form.text("description")?.map(str::to_owned),
            metadata: form.metadata("metadata")?,
            source_transaction: source,
            reversals: Vec::new(),
            created: self.now(),
            idempotency_key: call.key.clone(),
        };
        form.one_of("source_type", &["bank_account", "card", "fpx"])?;
        self.check_destination(&transfer.destination)?;
        match transfer.source_transaction.clone() {
            Some(charge) => {
                self.check_source(&charge, amount)?;
                // As Stripe does, unless the transfer names its own group.
                let group = self.charges.get(&charge).and_then(|charge| charge.transfer_group.clone());
                transfer.transfer_group = transfer.transfer_group.or(group);
            }
            None if self.balances().0 < amount => {
                let message = "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance by creating Charges using the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance";
                return Err(StripeError::refused(Some("balance_insufficient"), message));
            }
            None => {}
        }
        let answer = self.transfer_json(&transfer);
        self.transfers.insert(transfer);
        self.emit("transfer.created", answer.clone());
        Ok(answer)
    }

    fn check_destination(&self, id: &str) -> Result<()> {
        match self.accounts.get(id) {
            None => Err(StripeError::no_such("destination", id, "destination")),
            Some(account) if account.deleted => {
                let message = format!("The account '{id}' was deleted or no longer grants access to the platform.");
                Err(StripeError::refused(Some("account_invalid"), message).on("destination"))
            }
            Some(account) if !account.transfers_active() => {
                let message = "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments";
                Err(StripeError::refused(Some("insufficient_capabilities_for_transfer"), message))
            }
            Some(_) => Ok(()),
        }
    }

    /// All transfers paid by one charge stay within its amount.
    fn check_source(&self, charge_id: &str, amount: i64) -> Result<()> {
        let Some(charge) = self.charges.get(charge_id) else {
            return Err(StripeError::no_such("charge", charge_id, "source_transaction"));
        };
        let taken = self.transferred_from(charge_id);
        if taken.saturating_add(amount) > charge.amount {
            let message = format!(
                "Transfers using this transaction as a source must not exceed the source amount of {}. (There are already existing transfers using this source, totaling {}.)",
                euros(charge.amount),
                euros(taken)
            );
            return Err(StripeError::refused(None, message).on("amount"));
        }
        Ok(())
    }

    pub(super) fn reverse_transfer(&mut self, id: &str, call: &Call) -> Result<Value> {
        let form = &call.form;
        form.allow(&["amount", "description", "metadata[*]", "refund_application_fee", "expand[]"])?;
        self.take_back(id, form.cents("amount", 1)?, form.metadata("metadata")?, call.key.clone())
    }

    /// Without an amount, all that is left.
    pub(super) fn take_back(
        &mut self,
        id: &str,
        asked: Option<i64>,
        metadata: Metadata,
        idempotency_key: Option<String>,
    ) -> Result<Value> {
        let created = self.now();
        let transfer = self.transfers.get_mut(id).ok_or_else(|| StripeError::not_found("transfer", id))?;
        let left = transfer.net();
        if left == 0 {
            return Err(StripeError::refused(None, format!("Transfer {id} is already fully reversed.")));
        }
        let amount = asked.unwrap_or(left);
        if amount > left {
            let message = format!("Amount of {} is greater than the {} left to reverse.", euros(amount), euros(left));
            return Err(StripeError::refused(None, message).on("amount"));
        }
        let reversal = Reversal { id: new_id("trr_1", 23), amount, metadata, created, idempotency_key };
        let answer = reversal_json(id, &reversal);
        transfer.reversals.push(reversal);
        let object = self.object(id).unwrap_or_default();
        self.emit("transfer.reversed", object);
        Ok(answer)
    }

    pub(super) fn list_transfers(&self, form: &Form) -> Result<Value> {
        form.allow(&[&["destination", "transfer_group"][..], &LIST_PARAMETERS[..]].concat())?;
        let (destination, group) = (form.text("destination")?, form.text("transfer_group")?);
        let keep = |transfer: &Transfer| {
            destination.is_none_or(|destination| transfer.destination == destination)
                && group.is_none_or(|group| transfer.transfer_group.as_deref() == Some(group))
        };
        page(&self.transfers, form, "/v1/transfers", |row| row.created, keep, |row| self.transfer_json(row))
    }

    pub(super) fn transfer_json(&self, transfer: &Transfer) -> Value {
        let reversals: Vec<Value> =
            transfer.reversals.iter().rev().map(|reversal| reversal_json(&transfer.id, reversal)).collect();
        json!({
            "id": transfer.id,
            "object": "transfer",
            "amount": transfer.amount,
            "amount_reversed": transfer.amount_reversed(),
            "balance_transaction": transfer.id.replacen("tr_", "txn_", 1),
            "created": transfer.created,
            "currency": transfer.currency,
            "description": transfer.description,
            "destination": transfer.destination,
            "destination_payment": transfer.id.replacen("tr_", "py_", 1),
            "livemode": self.run.livemode,
            "metadata": transfer.metadata,
            "reversals": {
                "object": "list",
                "data": reversals,
                "has_more": false,
                "total_count": transfer.reversals.len(),
                "url": format!("/v1/transfers/{}/reversals", transfer.id),
            },
            "reversed": transfer.net() == 0,
            "source_transaction": transfer.source_transaction,
            "source_type": "card",
            "transfer_group": transfer.transfer_group,
        })
    }
}

fn reversal_json(transfer: &str, reversal: &Reversal) -> Value {
    json!({
        "id": reversal.id,
        "object": "transfer_reversal",
        "amount": reversal.amount,
        "balance_transaction": reversal.id.replacen("trr_", "txn_", 1),
        "created": reversal.created,
        "currency": "eur",
        "destination_payment_refund": null,
        "metadata": reversal.metadata,
        "source_refund": null,
        "transfer": transfer,
    })
}

/// Cents as Stripe's messages show them.
pub(super) fn euros(cents: i64) -> String {
    format!("€{}.{:02}", cents / 100, cents % 100)
}
