//! Transfers: the share of a posting's payment that goes to a freelance for one checkpoint.
//!
//! How much that is and whether it may be sent is decided elsewhere; this module only asks Stripe.

use std::collections::HashMap;

use stripe::StripeRequest;
use stripe_connect::transfer::{CreateTransfer, ListTransfer, RetrieveTransfer};
use stripe_types::{Currency, RangeQueryTs};

use crate::{
    client::{PAGE_SIZE, Stripe, check_amount, check_id, keyed},
    error::StripeError,
};

/// Money to be sent to a freelance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// Euro cents, fees already taken off; positive.
    pub amount_cents: i64,
    /// The freelance's account, `acct_…`.
    pub destination: String,
    /// The charge the money comes from, `ch_…`: Stripe then sends it when the charge settles, and
    /// never more than was charged. Without it the platform's available balance is used.
    pub source_transaction: Option<String>,
    /// The posting.
    pub transfer_group: String,
    /// The checkpoint paid for.
    pub checkpoint_id: String,
    /// The recorded intention this transfer fulfils.
    pub intent_id: String,
    /// Text in Stripe's dashboards.
    pub description: String,
}

/// A transfer that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// `tr_…`
    pub id: String,
    /// Euro cents sent.
    pub amount_cents: i64,
    /// Euro cents taken back.
    pub amount_reversed_cents: i64,
    /// The account it went to; empty when Stripe no longer tells.
    pub destination: String,
    /// Whether all of it was taken back.
    pub reversed: bool,
    /// The group it was made in; a posting, for ours.
    pub transfer_group: Option<String>,
    /// The charge it was made from.
    pub source_transaction: Option<String>,
    /// `checkpointId` and `intentId`.
    pub metadata: HashMap<String, String>,
}

impl Stripe {
    /// Sends money to a freelance.
    ///
    /// # Errors
    /// See [`StripeError`]; [`StripeError::is_insufficient_balance`] is worth another try later,
    /// with another key.
    pub async fn create_transfer(&self, request: &TransferRequest, key: &str) -> Result<Transfer, StripeError> {
        check_amount(request.amount_cents)?;
        check_id("the destination", &request.destination)?;
        let strategy = keyed(key)?;
        let mut body = CreateTransfer::new(Currency::EUR, request.destination.clone())
            .amount(request.amount_cents)
            .transfer_group(request.transfer_group.clone())
            .description(request.description.clone())
            .metadata(HashMap::from([
                ("checkpointId".to_owned(), request.checkpoint_id.clone()),
                ("intentId".to_owned(), request.intent_id.clone()),
            ]));
        if let Some(charge) = &request.source_transaction {
            body = body.source_transaction(charge.clone());
        }
        let transfer = self
            .call("create transfer", || body.customize().request_strategy(strategy.clone()).send(self.client()))
            .await?;
        Ok(transfer.into())
    }

    /// Reads a transfer.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_transfer(&self, id: &str) -> Result<Transfer, StripeError> {
        check_id("the transfer", id)?;
        let request = RetrieveTransfer::new(id);
        let transfer = self.call("get transfer", || request.send(self.client())).await?;
        Ok(transfer.into())
    }

    /// All transfers made for a posting, newest first.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_transfers(&self, transfer_group: &str) -> Result<Vec<Transfer>, StripeError> {
        self.list_all(|| ListTransfer::new().transfer_group(transfer_group)).await
    }

    /// All transfers made at `created_from` (Unix seconds) or later, for whatever reason, newest first.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_transfers_since(&self, created_from: i64) -> Result<Vec<Transfer>, StripeError> {
        self.list_all(|| ListTransfer::new().created(RangeQueryTs::gte(created_from))).await
    }

    async fn list_all(&self, query: impl Fn() -> ListTransfer) -> Result<Vec<Transfer>, StripeError> {
        let mut transfers: Vec<Transfer> = Vec::new();
        loop {
            let mut request = query().limit(PAGE_SIZE);
            if let Some(last) = transfers.last() {
                request = request.starting_after(last.id.clone());
            }
            let page = self.call("list transfers", || request.send(self.client())).await?;
            let is_last = !page.has_more || page.data.is_empty();
            transfers.extend(page.data.into_iter().map(Transfer::from));
            if is_last {
                return Ok(transfers);
            }
        }
    }
}

impl From<stripe_shared::Transfer> for Transfer {
    fn from(transfer: stripe_shared::Transfer) -> Self {
        Self {
            id: transfer.id.to_string(),
            amount_cents: transfer.amount,
            amount_reversed_cents: transfer.amount_reversed,
            destination: transfer.destination.map(|account| account.id().to_string()).unwrap_or_default(),
            reversed: transfer.reversed,
            transfer_group: transfer.transfer_group,
            source_transaction: transfer.source_transaction.map(|charge| charge.id().to_string()),
            metadata: transfer.metadata,
        }
    }
}
