//! The objects that the stand-in keeps, as plain values in integer cents, and tables that find them by id.
//!
//! Tests read them as [`Books`]. Nothing here answers HTTP or enforces a rule.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// Metadata of an object.
pub type Metadata = BTreeMap<String, String>;

/// State of a Checkout Session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    Open,
    Complete,
    Expired,
}

impl SessionStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// One line of a Checkout Session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LineItem {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub unit_amount: i64,
    pub quantity: i64,
    pub amount_tax: i64,
    /// Without tax.
    pub amount_subtotal: i64,
    pub amount_total: i64,
}

/// A Checkout Session (`cs_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    pub status: SessionStatus,
    pub paid: bool,
    pub amount_subtotal: i64,
    pub amount_tax: i64,
    pub amount_total: i64,
    pub currency: String,
    pub line_items: Vec<LineItem>,
    pub metadata: Metadata,
    pub client_reference_id: Option<String>,
    pub customer_email: Option<String>,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub payment_method_types: Vec<String>,
    pub automatic_tax: bool,
    pub invoice_creation: bool,
    pub locale: Option<String>,
    /// What the payment intent is given when the customer pays.
    pub intent_metadata: Metadata,
    pub intent_description: Option<String>,
    pub transfer_group: Option<String>,
    /// Set once paid.
    pub payment_intent: Option<String>,
    pub invoice: Option<String>,
    pub created: i64,
    pub expires_at: i64,
    /// The key with which it was created.
    pub idempotency_key: Option<String>,
}

/// A payment intent (`pi_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    pub session: String,
    pub amount: i64,
    pub currency: String,
    pub succeeded: bool,
    pub declined: bool,
    pub latest_charge: Option<String>,
    pub metadata: Metadata,
    pub description: Option<String>,
    pub transfer_group: Option<String>,
    pub created: i64,
}

/// A charge (`ch_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    pub id: String,
    pub payment_intent: String,
    pub amount: i64,
    /// Sum of the refunds that have not failed.
    pub amount_refunded: i64,
    pub currency: String,
    pub email: Option<String>,
    pub metadata: Metadata,
    pub description: Option<String>,
    pub transfer_group: Option<String>,
    pub created: i64,
}

/// A dispute (`dp_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub charge: String,
    pub payment_intent: String,
    pub amount: i64,
    /// `needs_response`, `under_review`, `won` or `lost`; of an inquiry `warning_needs_response` or `warning_closed`.
    pub status: String,
    pub created: i64,
}

impl Dispute {
    /// Whether the bank has the money, for now or for good.
    pub fn takes_money(&self) -> bool {
        self.status != "won" && !self.status.starts_with("warning")
    }
}

/// Part of a transfer taken back (`trr_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reversal {
    pub id: String,
    pub amount: i64,
    pub metadata: Metadata,
    pub created: i64,
    pub idempotency_key: Option<String>,
}

/// A transfer (`tr_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transfer {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    pub destination: String,
    /// The charge that pays for it.
    pub source_transaction: Option<String>,
    pub transfer_group: Option<String>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub reversals: Vec<Reversal>,
    pub created: i64,
    pub idempotency_key: Option<String>,
}

impl Transfer {
    pub fn amount_reversed(&self) -> i64 {
        self.reversals.iter().map(|reversal| reversal.amount).sum()
    }

    /// Cents that the destination keeps.
    pub fn net(&self) -> i64 {
        self.amount - self.amount_reversed()
    }
}

/// A refund (`re_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    pub charge: String,
    pub payment_intent: String,
    /// `succeeded`, `pending`, `failed` or `canceled`.
    pub status: String,
    pub reason: Option<String>,
    pub metadata: Metadata,
    pub created: i64,
    /// None for those made without a key, and for those made in the dashboard.
    pub idempotency_key: Option<String>,
    pub from_dashboard: bool,
}

impl Refund {
    /// Whether its money left, or is about to leave, the platform.
    pub fn counts(&self) -> bool {
        matches!(self.status.as_str(), "succeeded" | "pending")
    }
}

/// A Connect account (`acct_`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    pub id: String,
    pub kind: String,
    pub country: String,
    pub email: Option<String>,
    pub business_type: Option<String>,
    pub metadata: Metadata,
    /// `inactive`, `pending` or `active`, by the name of the capability.
    pub capabilities: BTreeMap<String, String>,
    pub details_submitted: bool,
    pub restricted: bool,
    pub deleted: bool,
    pub created: i64,
    pub idempotency_key: Option<String>,
}

impl Account {
    pub fn transfers_active(&self) -> bool {
        !self.deleted && self.capabilities.get("transfers").is_some_and(|status| status == "active")
    }

    pub fn payouts_enabled(&self) -> bool {
        self.details_submitted && !self.restricted && !self.deleted
    }
}

/// A link to the onboarding page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountLink {
    pub token: String,
    pub account: String,
    pub return_url: String,
    pub refresh_url: String,
    pub created: i64,
    pub expires_at: i64,
    pub used: bool,
}

/// Everything the stand-in has booked, oldest first.
#[derive(Clone, Debug)]
pub struct Books {
    pub sessions: Vec<CheckoutSession>,
    pub payment_intents: Vec<PaymentIntent>,
    pub charges: Vec<Charge>,
    pub transfers: Vec<Transfer>,
    pub refunds: Vec<Refund>,
    pub accounts: Vec<Account>,
    pub disputes: Vec<Dispute>,
}

impl Books {
    /// The transfers whose metadata names this checkpoint.
    pub fn transfers_of_checkpoint(&self, checkpoint: &str) -> Vec<&Transfer> {
        self.transfers.iter().filter(|transfer| names(&transfer.metadata, "checkpointId", checkpoint)).collect()
    }

    /// The refunds of this payment intent that have not failed.
    pub fn refunds_of(&self, payment_intent: &str) -> Vec<&Refund> {
        self.refunds.iter().filter(|refund| refund.payment_intent == payment_intent && refund.counts()).collect()
    }

    /// The sessions made for this posting, in whatever state.
    pub fn sessions_of_posting(&self, posting: &str) -> Vec<&CheckoutSession> {
        self.sessions.iter().filter(|session| names(&session.metadata, "jobPostingId", posting)).collect()
    }

    pub fn paid_sessions_of_posting(&self, posting: &str) -> Vec<&CheckoutSession> {
        self.sessions_of_posting(posting).into_iter().filter(|session| session.paid).collect()
    }

    pub fn charge_of(&self, payment_intent: &str) -> Option<&Charge> {
        self.charges.iter().find(|charge| charge.payment_intent == payment_intent)
    }

    /// Net cents transferred out of this charge.
    pub fn transferred_from(&self, charge: &str) -> i64 {
        let linked = self.transfers.iter().filter(|transfer| transfer.source_transaction.as_deref() == Some(charge));
        linked.map(Transfer::net).sum()
    }

    /// The charges from which more was transferred and refunded than was charged.
    pub fn overdrawn_charges(&self) -> Vec<&Charge> {
        let overdrawn = |charge: &&Charge| self.transferred_from(&charge.id) + charge.amount_refunded > charge.amount;
        self.charges.iter().filter(overdrawn).collect()
    }
}

fn names(metadata: &Metadata, key: &str, value: &str) -> bool {
    metadata.get(key).is_some_and(|found| found == value)
}

/// An object with an id.
pub(super) trait Row: Clone {
    fn id(&self) -> &str;
}

macro_rules! rows {
    ($($row:ty => $id:ident),* $(,)?) => {
        $(impl Row for $row {
            fn id(&self) -> &str {
                &self.$id
            }
        })*
    };
}

rows!(
    CheckoutSession => id, PaymentIntent => id, Charge => id, Dispute => id, Transfer => id, Refund => id,
    Account => id, AccountLink => token,
);

/// Rows in the order of their creation, found by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    from = "Vec<T>",
    into = "Vec<T>",
    bound(deserialize = "T: Row + Deserialize<'de>", serialize = "T: Row + Serialize")
)]
pub(super) struct Table<T: Row> {
    rows: Vec<T>,
    positions: HashMap<String, usize>,
}

impl<T: Row> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), positions: HashMap::new() }
    }
}

impl<T: Row> From<Vec<T>> for Table<T> {
    fn from(rows: Vec<T>) -> Self {
        let positions = rows.iter().enumerate().map(|(position, row)| (row.id().to_owned(), position)).collect();
        Self { rows, positions }
    }
}

impl<T: Row> From<Table<T>> for Vec<T> {
    fn from(table: Table<T>) -> Self {
        table.rows
    }
}

impl<T: Row> Table<T> {
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.positions.get(id).and_then(|position| self.rows.get(*position))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.positions.get(id).and_then(|position| self.rows.get_mut(*position))
    }

    pub(super) fn insert(&mut self, row: T) {
        self.positions.insert(row.id().to_owned(), self.rows.len());
        self.rows.push(row);
    }

    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }
}
