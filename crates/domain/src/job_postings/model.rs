//! A posting's types and the pure rules over them: what may be changed or deleted in which state.

use serde::{Deserialize, Serialize};

use crate::{
    Cents, Timestamp,
    ids::{CompanyId, JobPostingId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"JobPostingStatus\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobPostingStatus {
    PendingPayment,
    /// Only in rows that the original made.
    Paid,
    Published,
    Draft,
    Expired,
    Rejected,
    Canceled,
}

impl JobPostingStatus {
    /// The status of that name as the wire has it, e.g. `PUBLISHED`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "PENDING_PAYMENT" => Self::PendingPayment,
            "PAID" => Self::Paid,
            "PUBLISHED" => Self::Published,
            "DRAFT" => Self::Draft,
            "EXPIRED" => Self::Expired,
            "REJECTED" => Self::Rejected,
            "CANCELED" => Self::Canceled,
            _ => return None,
        })
    }

    /// Not paid yet and not given up.
    pub fn awaits_payment(self) -> bool {
        matches!(self, Self::PendingPayment | Self::Draft)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"JobPostingLocation\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobPostingLocation {
    Hybrid,
    Onsite,
    Remote,
}

impl JobPostingLocation {
    pub const NAMES: &[&str] = &["HYBRID", "ONSITE", "REMOTE"];
}

/// A row of "JobPosting".
#[derive(Clone, Debug, PartialEq)]
pub struct JobPosting {
    pub id: JobPostingId,
    pub company_id: CompanyId,
    pub title: String,
    pub description: String,
    pub location: JobPostingLocation,
    pub is_promoted: bool,
    /// In euros, as the column has it.
    pub average_daily_rate: f64,
    /// In years.
    pub seniority: i32,
    /// In euros, as the column has it; see [`JobPosting::total`].
    pub total_amount: Option<f64>,
    pub status: JobPostingStatus,
    pub stripe_session_id: Option<String>,
    pub stripe_refund_id: Option<String>,
    pub canceled_at: Option<Timestamp>,
    pub cancel_reason: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl JobPosting {
    /// The amount to be paid, when the company gave one.
    pub fn total(&self) -> Option<Cents> {
        self.total_amount.map(Cents::from_column)
    }
}

/// What the payments recorded for a posting say about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaymentState {
    /// A payment session exists, in whatever state.
    pub has_session: bool,
    /// A payment session exists that did not simply expire.
    pub has_live_session: bool,
    /// Money came in at some time, even if it was set aside or refunded since.
    pub was_paid: bool,
}

/// Whether amounts may still change: only before anybody could have paid them.
pub fn is_money_frozen(posting: &JobPosting, payment: PaymentState) -> bool {
    !posting.status.awaits_payment() || payment.has_session || posting.stripe_session_id.is_some()
}

/// Whether texts may still change: until a candidate was accepted or the posting was given up.
pub fn is_text_frozen(status: JobPostingStatus, has_accepted_candidate: bool) -> bool {
    let is_over = matches!(status, JobPostingStatus::Canceled | JobPostingStatus::Expired | JobPostingStatus::Rejected);
    is_over || has_accepted_candidate
}

/// Whether money was ever received for the posting; then it can be canceled but not deleted.
pub fn was_ever_paid(posting: &JobPosting, payment: PaymentState) -> bool {
    payment.was_paid
        || posting.stripe_session_id.is_some()
        || matches!(posting.status, JobPostingStatus::Paid | JobPostingStatus::Published)
}

/// Whether checkpoints may be added or removed: before payment, and not while a payment may be under way.
pub fn are_checkpoints_open(posting: &JobPosting, payment: PaymentState) -> bool {
    posting.status == JobPostingStatus::PendingPayment
        && !payment.has_live_session
        && posting.stripe_session_id.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(status: JobPostingStatus) -> JobPosting {
        let time = Timestamp(chrono::DateTime::UNIX_EPOCH.naive_utc());
        JobPosting {
            id: JobPostingId(uuid::Uuid::nil()),
            company_id: CompanyId(uuid::Uuid::nil()),
            title: String::new(),
            description: String::new(),
            location: JobPostingLocation::Remote,
            is_promoted: false,
            average_daily_rate: 0.0,
            seniority: 0,
            total_amount: Some(450.5),
            status,
            stripe_session_id: None,
            stripe_refund_id: None,
            canceled_at: None,
            cancel_reason: None,
            created_at: time,
            updated_at: time,
        }
    }

    const ALL: [JobPostingStatus; 7] = [
        JobPostingStatus::PendingPayment,
        JobPostingStatus::Paid,
        JobPostingStatus::Published,
        JobPostingStatus::Draft,
        JobPostingStatus::Expired,
        JobPostingStatus::Rejected,
        JobPostingStatus::Canceled,
    ];

    #[test]
    fn names_are_those_of_the_wire() {
        for status in ALL {
            let name = serde_json::to_value(status).unwrap();
            assert_eq!(JobPostingStatus::from_name(name.as_str().unwrap()), Some(status));
        }
        assert_eq!(JobPostingStatus::from_name("published"), None);
    }

    #[test]
    fn amounts_freeze_with_the_first_payment_session() {
        let fresh = PaymentState::default();
        let opened = PaymentState { has_session: true, has_live_session: true, was_paid: false };
        let open: Vec<_> = ALL.into_iter().filter(|&status| !is_money_frozen(&posting(status), fresh)).collect();
        assert_eq!(open, [JobPostingStatus::PendingPayment, JobPostingStatus::Draft]);
        assert!(is_money_frozen(&posting(JobPostingStatus::PendingPayment), opened));
        let original = JobPosting {
            stripe_session_id: Some("cs_original".to_owned()),
            ..posting(JobPostingStatus::PendingPayment)
        };
        assert!(is_money_frozen(&original, fresh));
    }

    #[test]
    fn texts_freeze_with_acceptance_and_with_the_end() {
        let open: Vec<_> = ALL.into_iter().filter(|&status| !is_text_frozen(status, false)).collect();
        let expected = [
            JobPostingStatus::PendingPayment,
            JobPostingStatus::Paid,
            JobPostingStatus::Published,
            JobPostingStatus::Draft,
        ];
        assert_eq!(open, expected);
        assert!(ALL.into_iter().all(|status| is_text_frozen(status, true)));
    }

    #[test]
    fn a_refunded_posting_still_counts_as_paid() {
        let refunded = PaymentState { has_session: true, has_live_session: true, was_paid: true };
        assert!(was_ever_paid(&posting(JobPostingStatus::Canceled), refunded));
        assert!(!was_ever_paid(&posting(JobPostingStatus::Canceled), PaymentState::default()));
        assert!(was_ever_paid(&posting(JobPostingStatus::Published), PaymentState::default()));
    }

    #[test]
    fn checkpoints_wait_for_an_expired_session_only() {
        let expired = PaymentState { has_session: true, has_live_session: false, was_paid: false };
        let opened = PaymentState { has_live_session: true, ..expired };
        assert!(are_checkpoints_open(&posting(JobPostingStatus::PendingPayment), expired));
        assert!(!are_checkpoints_open(&posting(JobPostingStatus::PendingPayment), opened));
        assert!(!are_checkpoints_open(&posting(JobPostingStatus::Published), PaymentState::default()));
    }

    #[test]
    fn totals_are_cents() {
        assert_eq!(posting(JobPostingStatus::Draft).total(), Some(Cents(45_050)));
    }
}
