//! A Checkout Session as the rest of the platform sees it, read from an answer or from an event.
//!
//! An event's object may be partial or of another version. Nothing absent or unknown is ever read
//! as paid.

use std::{collections::HashMap, fmt};

use serde_json::Value;
use stripe_shared::{CheckoutSessionPaymentStatus, CheckoutSessionStatus};

use crate::event_object;

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionStatus {
    /// Can be paid.
    Open,
    /// Went through; whether it is paid is told by [`PaymentStatus`].
    Complete,
    /// Can no longer be paid.
    Expired,
    /// Absent from a partial object, or a value of a later version.
    Unknown,
}

/// State of a session's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// The money is there.
    Paid,
    /// The money is not (yet) there.
    Unpaid,
    /// Nothing was to be paid; does not happen to sessions made here.
    NoPaymentRequired,
    /// Absent from a partial object, or a value of a later version. Never means paid.
    Unknown,
}

/// A Checkout Session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// Stripe's payment page; absent when the session is not open.
    pub url: Option<String>,
    /// State of the session.
    pub status: SessionStatus,
    /// State of its payment.
    pub payment_status: PaymentStatus,
    /// Price without tax, in cents.
    pub amount_subtotal: Option<i64>,
    /// Price with tax, in cents: what is charged and what a full refund gives back.
    pub amount_total: Option<i64>,
    /// Lower-case ISO code.
    pub currency: Option<String>,
    /// Whether real money is meant.
    pub livemode: bool,
    /// `pi_…`, once the payer has started to pay.
    pub payment_intent: Option<String>,
    /// The posting, as given when the session was made.
    pub client_reference_id: Option<String>,
    /// Metadata, as given when the session was made.
    pub metadata: HashMap<String, String>,
    /// End of the session in Unix seconds; 0 when a partial object does not tell.
    pub expires_at: i64,
}

impl CheckoutSession {
    /// Reads a session out of an event's object, which may be partial; `None` without an identifier.
    /// What is absent is never read as paid.
    #[must_use]
    pub fn from_event_object(object: &Value) -> Option<Self> {
        Some(Self {
            id: event_object::text(object, "id")?,
            url: event_object::text(object, "url"),
            status: event_object::text(object, "status")
                .as_deref()
                .map_or(SessionStatus::Unknown, SessionStatus::parse),
            payment_status: event_object::text(object, "payment_status")
                .as_deref()
                .map_or(PaymentStatus::Unknown, PaymentStatus::parse),
            amount_subtotal: event_object::integer(object, "amount_subtotal"),
            amount_total: event_object::integer(object, "amount_total"),
            currency: event_object::text(object, "currency"),
            livemode: event_object::flag(object, "livemode"),
            payment_intent: event_object::reference(object, "payment_intent"),
            client_reference_id: event_object::text(object, "client_reference_id"),
            metadata: event_object::metadata(object),
            expires_at: event_object::integer(object, "expires_at").unwrap_or_default(),
        })
    }
}

impl From<stripe_shared::CheckoutSession> for CheckoutSession {
    fn from(session: stripe_shared::CheckoutSession) -> Self {
        Self {
            id: session.id.to_string(),
            url: session.url,
            status: session
                .status
                .as_ref()
                .map(CheckoutSessionStatus::as_str)
                .map_or(SessionStatus::Unknown, SessionStatus::parse),
            payment_status: PaymentStatus::parse(CheckoutSessionPaymentStatus::as_str(&session.payment_status)),
            amount_subtotal: session.amount_subtotal,
            amount_total: session.amount_total,
            currency: session.currency.map(|currency| currency.to_string()),
            livemode: session.livemode,
            payment_intent: session.payment_intent.map(|payment| payment.id().to_string()),
            client_reference_id: session.client_reference_id,
            metadata: session.metadata.unwrap_or_default(),
            expires_at: session.expires_at,
        }
    }
}

impl SessionStatus {
    /// Stripe's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "complete" => Self::Complete,
            "expired" => Self::Expired,
            _ => Self::Unknown,
        }
    }
}

impl PaymentStatus {
    /// Stripe's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Unpaid => "unpaid",
            Self::NoPaymentRequired => "no_payment_required",
            Self::Unknown => "unknown",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "paid" => Self::Paid,
            "unpaid" => Self::Unpaid,
            "no_payment_required" => Self::NoPaymentRequired,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_event_object_is_read() {
        let object = json!({
            "id": "cs_1", "object": "checkout.session", "url": null, "status": "complete", "payment_status": "paid",
            "amount_subtotal": 1999, "amount_total": 2399, "currency": "eur", "livemode": true,
            "payment_intent": {"id": "pi_1", "object": "payment_intent"}, "client_reference_id": "p",
            "metadata": {"jobPostingId": "p", "odd": 3}, "expires_at": 1_700_003_600, "added_later": [1, 2],
        });
        let session = CheckoutSession::from_event_object(&object).unwrap();
        assert_eq!((session.status, session.payment_status), (SessionStatus::Complete, PaymentStatus::Paid));
        assert_eq!((session.amount_subtotal, session.amount_total), (Some(1999), Some(2399)));
        assert_eq!(session.payment_intent.as_deref(), Some("pi_1"));
        assert_eq!(session.metadata, HashMap::from([("jobPostingId".to_owned(), "p".to_owned())]));
        assert!(session.livemode);
    }

    #[test]
    fn a_partial_event_object_is_read_but_never_as_paid() {
        let session = CheckoutSession::from_event_object(&json!({"id": "cs_2", "payment_status": 7})).unwrap();
        assert_eq!((session.status, session.payment_status), (SessionStatus::Unknown, PaymentStatus::Unknown));
        assert_eq!((session.amount_subtotal, session.currency, session.livemode), (None, None, false));
        assert_eq!(CheckoutSession::from_event_object(&json!({"object": "checkout.session"})), None);
        assert_eq!(CheckoutSession::from_event_object(&Value::Null), None);
    }
}
