//! The rows of the ledger and the pure rules on them.

use chrono::{DateTime, TimeDelta, Utc};

use super::keys::KeyUse;
use crate::{
    Cents,
    ids::{
        CheckpointId, CompanyId, FreelanceId, JobPostingId, PaymentSessionId, RefundIntentId, TransferIntentId, UserId,
    },
};

/// How long a new session can be paid. Stripe allows 30 minutes to 24 hours.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::minutes(60);
/// An open session with less time left is replaced instead of being handed out again.
pub const LEAST_TIME_LEFT: TimeDelta = TimeDelta::minutes(5);

/// CREATING → OPEN → PAID | EXPIRED; PAID → REFUND_PENDING → REFUNDED; PAID → DISPUTED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    /// Decided here; Stripe may or may not have made it.
    Creating,
    Open,
    Paid,
    Expired,
    RefundPending,
    Refunded,
    Disputed,
}

impl SessionStatus {
    /// Whether money came in, wherever it is now.
    pub fn was_paid(self) -> bool {
        matches!(self, Self::Paid | Self::RefundPending | Self::Refunded | Self::Disputed)
    }

    /// Whether the money is still there, if only until a dispute is decided.
    pub fn holds_money(self) -> bool {
        matches!(self, Self::Paid | Self::Disputed)
    }

    /// Whether it can still be paid, or soon.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Creating | Self::Open)
    }
}

/// A row of `payment_session`: one Checkout Session for one posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentSession {
    pub id: PaymentSessionId,
    pub job_posting_id: JobPostingId,
    pub company_id: CompanyId,
    pub number: i32,
    pub status: SessionStatus,
    pub amount_subtotal: Cents,
    /// With tax; known once paid.
    pub amount_total: Option<Cents>,
    pub currency: String,
    pub live_mode: bool,
    pub title: String,
    pub customer_email: String,
    pub success_url: String,
    pub cancel_url: String,
    pub expires_at: DateTime<Utc>,
    pub idempotency_key: String,
    pub key_used_at: Option<DateTime<Utc>>,
    pub stripe_session_id: Option<String>,
    pub stripe_payment_intent_id: Option<String>,
    pub stripe_charge_id: Option<String>,
    pub url: Option<String>,
    pub failure_code: Option<String>,
    pub quarantine: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl PaymentSession {
    /// Whether the payment page may be handed out (again).
    pub fn is_payable(&self, amount: Cents, now: DateTime<Utc>) -> bool {
        self.status == SessionStatus::Open
            && self.quarantine.is_none()
            && self.url.is_some()
            && self.amount_subtotal == amount
            && self.expires_at - now > LEAST_TIME_LEFT
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransferStatus {
    Pending,
    Succeeded,
    /// Stripe refused for good.
    Failed,
    /// Sent, and taken back by an operator.
    Reversed,
}

/// A row of `transfer_intent`: the one payment of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferIntent {
    pub id: TransferIntentId,
    pub checkpoint_id: CheckpointId,
    pub job_posting_id: JobPostingId,
    pub payment_session_id: PaymentSessionId,
    pub freelance_id: FreelanceId,
    /// The account when the company approved; later changes do not matter.
    pub destination: String,
    /// The charge the money comes from.
    pub source_transaction: String,
    pub gross: Cents,
    pub fee: Cents,
    pub net: Cents,
    pub status: TransferStatus,
    pub key_number: i32,
    pub key_used_at: Option<DateTime<Utc>>,
    pub key_sent_at: Option<DateTime<Utc>>,
    pub key_spent: bool,
    pub stripe_transfer_id: Option<String>,
    pub failure_code: Option<String>,
    pub approved_by: UserId,
}

impl TransferIntent {
    pub fn idempotency_key(&self) -> String {
        numbered_key(&format!("transfer:{}", self.checkpoint_id), self.key_number)
    }

    pub fn key_use(&self) -> KeyUse {
        KeyUse { used_at: self.key_used_at, sent_at: self.key_sent_at, is_spent: self.key_spent }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    Pending,
    Succeeded,
    /// Made; the bank has not confirmed it yet.
    PendingAtStripe,
    Failed,
}

impl RefundStatus {
    /// Whether Stripe has made it, confirmed or not.
    pub fn is_made(self) -> bool {
        matches!(self, Self::Succeeded | Self::PendingAtStripe)
    }
}

/// `failure_code` of a refund by hand that failed, and whose payment went on: as good as none.
pub const CAME_BACK: &str = "came_back";

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RefundReason {
    Canceled,
    /// Paid after the posting was canceled.
    LatePayment,
    /// A second session of a posting that is paid already.
    DoublePayment,
    ProjectCanceled,
    /// Made by hand at Stripe.
    Dashboard,
}

impl RefundReason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::LatePayment => "late_payment",
            Self::DoublePayment => "double_payment",
            Self::ProjectCanceled => "project_canceled",
            Self::Dashboard => "dashboard",
        }
    }
}

/// A row of `refund_intent`: the one refund of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundIntent {
    pub id: RefundIntentId,
    pub payment_session_id: PaymentSessionId,
    pub job_posting_id: JobPostingId,
    pub stripe_payment_intent_id: String,
    pub amount: Cents,
    pub reason: RefundReason,
    pub status: RefundStatus,
    pub key_number: i32,
    pub key_used_at: Option<DateTime<Utc>>,
    pub key_sent_at: Option<DateTime<Utc>>,
    pub key_spent: bool,
    pub stripe_refund_id: Option<String>,
    pub failure_code: Option<String>,
}

impl RefundIntent {
    /// Whether it stands for a refund by hand that came to nothing, and asks for none.
    pub fn is_void(&self) -> bool {
        self.status == RefundStatus::Failed && self.failure_code.as_deref() == Some(CAME_BACK)
    }

    pub fn idempotency_key(&self) -> String {
        numbered_key(&format!("refund:{}", self.stripe_payment_intent_id), self.key_number)
    }

    pub fn key_use(&self) -> KeyUse {
        KeyUse { used_at: self.key_used_at, sent_at: self.key_sent_at, is_spent: self.key_spent }
    }
}

/// The first key is plain; a further one, used after a look-up found nothing, carries its number.
pub fn numbered_key(key: &str, number: i32) -> String {
    if number <= 1 { key.to_owned() } else { format!("{key}:{number}") }
}

/// What the provider says of a Checkout Session, in this crate's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderPayment {
    pub session_id: String,
    pub is_paid: bool,
    /// The provider's word, for the log.
    pub payment_status: String,
    pub amount_subtotal: Option<Cents>,
    pub amount_total: Option<Cents>,
    pub currency: Option<String>,
    pub live_mode: bool,
    pub payment_intent: Option<String>,
    pub charge: Option<String>,
    /// `jobPostingId` of the metadata, when there is one.
    pub named_posting: Option<String>,
    /// Our own id of the session, as put into the metadata.
    pub named_session: Option<PaymentSessionId>,
}

impl ProviderPayment {
    /// Why this is not the payment that `session` asked for, if so (I1).
    pub fn contradiction(&self, session: &PaymentSession) -> Option<&'static str> {
        if self.named_posting.as_ref().is_some_and(|posting| *posting != session.job_posting_id.to_string()) {
            return Some("the metadata names another posting");
        }
        if self.named_session.is_some_and(|named| named != session.id) {
            return Some("the metadata names another session");
        }
        if self.live_mode != session.live_mode {
            return Some("the mode differs");
        }
        if self.currency.as_deref() != Some(session.currency.as_str()) {
            return Some("the currency differs");
        }
        if self.amount_subtotal != Some(session.amount_subtotal) {
            return Some("the amount differs");
        }
        if self.amount_total.is_none_or(|total| total < session.amount_subtotal) {
            return Some("the total is less than the price");
        }
        None
    }
}

/// What the provider says of one refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRefund {
    pub id: String,
    pub amount: Cents,
    pub state: ProviderRefundState,
    /// Our own id of the intent, as put into the metadata; absent for refunds made by hand.
    pub intent: Option<RefundIntentId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderRefundState {
    Succeeded,
    Pending,
    Failed,
}

impl ProviderRefundState {
    /// Reads the provider's word; an unknown one is as good as pending.
    pub fn parse(word: &str) -> Self {
        match word {
            "succeeded" => Self::Succeeded,
            "failed" | "canceled" => Self::Failed,
            _ => Self::Pending,
        }
    }

    pub fn intent_status(self) -> RefundStatus {
        match self {
            Self::Succeeded => RefundStatus::Succeeded,
            Self::Pending => RefundStatus::PendingAtStripe,
            Self::Failed => RefundStatus::Failed,
        }
    }
}

/// A dispute, as Stripe or, for want of its word, an operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeFacts {
    pub id: String,
    pub charge: String,
    pub status: String,
    pub amount: Cents,
    pub is_closed: bool,
    /// The operator who said how it ended; `None` when Stripe did.
    pub closed_by: Option<String>,
    /// The database's time before Stripe was asked; `None` for what an event or an operator says.
    pub looked_at: Option<DateTime<Utc>>,
}

impl DisputeFacts {
    /// Whether it ended without the money being taken; a closed inquiry counts as won.
    pub fn is_won(&self) -> bool {
        self.is_closed && self.status != LOST
    }

    pub fn is_lost(&self) -> bool {
        self.is_closed && self.status == LOST
    }

    /// Whether the bank only asks, and holds no money so far.
    pub fn is_inquiry(&self) -> bool {
        self.status.starts_with("warning")
    }

    /// What the bank keeps, for now or for good.
    pub fn taken(&self) -> Cents {
        if self.is_won() || self.is_inquiry() { Cents(0) } else { self.amount }
    }

    /// What the bank keeps for good.
    pub fn lost(&self) -> Cents {
        if self.is_lost() { self.amount } else { Cents(0) }
    }

    /// What is believed once this was told too. Of Stripe's answers the one that was asked for later counts, though it
    /// opens or turns what was closed. An event, which may come in any order, says less: once Stripe was asked, only how
    /// it ended, and that only against an operator's word. An operator's word holds while nothing else is known of the end.
    pub fn after(self, told: Self) -> Self {
        let corrects_operator = self.closed_by.is_some() && told.is_closed;
        let is_believed = match (told.looked_at, self.looked_at) {
            _ if told.closed_by.is_some() => !self.is_closed,
            (Some(told), Some(known)) => told >= known,
            (Some(_), None) => true,
            (None, Some(_)) => corrects_operator,
            (None, None) => !self.is_closed || corrects_operator,
        };
        if is_believed { told } else { self }
    }
}

/// Stripe's word for a dispute that took the money.
pub const LOST: &str = "lost";

/// Whether it is one of Stripe's words for the end of a dispute.
pub fn is_end_of_dispute(status: &str) -> bool {
    matches!(status, "won" | LOST | "warning_closed" | "prevented")
}

#[cfg(test)]
mod tests;
