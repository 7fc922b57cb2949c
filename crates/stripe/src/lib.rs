//! The calls FreeHunt makes to Stripe, and the verification of what Stripe sends back.
//!
//! Everything the rest of the platform sees is a plain struct of this crate: amounts are integer
//! cents, identifiers are strings, and an error says only whether Stripe's answer is final
//! ([`StripeError::Refused`]) or not known ([`StripeError::Unknown`]). This crate knows nothing of
//! postings' states, of fees or of the database; it keeps no state besides its settings.

mod checkout;
mod checkout_session;
mod client;
mod connect;
mod dispute;
mod error;
mod event;
mod event_object;
mod refund;
mod transfer;
pub mod webhook;

pub use checkout::{CheckoutRequest, PAYMENT_TYPE, PaymentIntent};
pub use checkout_session::{CheckoutSession, PaymentStatus, SessionStatus};
pub use client::{Balance, BuildError, Stripe, StripeSettings};
pub use connect::{Account, AccountLink, NewAccount};
pub use dispute::Dispute;
pub use error::{StripeError, UnknownReason};
pub use event::{EventPage, EventQuery};
pub use refund::{Refund, RefundRequest};
pub use transfer::{Transfer, TransferRequest};
