//! Money: the ledger, and every transition that moves it. Decisions and bookings only; who talks to the provider is
//! `freehunt-jobs`. Each use case locks, checks the state again, writes and books in one transaction.

pub mod accounts;
mod approve;
mod begin_checkout;
mod cancel;
pub mod cancel_project;
pub mod dismissed;
mod disputes;
mod edit_checkpoint;
mod enter_refunds;
pub mod events;
pub mod invariants;
pub mod keys;
mod legacy;
pub mod model;
mod publish;
pub mod quarantine;
pub mod queries;
mod record_payment;
mod refunds;
mod refunds_by_hand;
pub mod sessions;
mod submit;
mod transfers;

pub use approve::{Approval, ApproveError, approve_checkpoint};
pub use begin_checkout::{BeginCheckoutError, Checkout, CheckoutTerms, begin_checkout};
pub use cancel::{CancelError, Cancellation, cancel, is_cancelable};
pub use disputes::{RecordedDispute, close_dispute, record_dispute};
pub use edit_checkpoint::{CheckpointChanges, EditCheckpointError, edit_checkpoint};
pub use enter_refunds::{RecordedRefunds, record_refunds};
pub use legacy::{acceptance_allowed, allow_acceptance, is_paid};
pub use model::{
    DisputeFacts, PaymentSession, ProviderPayment, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason,
    RefundStatus, SessionStatus, TransferIntent, TransferStatus,
};
pub use publish::{PublishError, publish};
pub use record_payment::{PaymentOutcome, record_payment};
pub use refunds::{
    RefundCall, RefundStep, begin_refund_call, next_refund_step, record_refund_failed, record_refund_held, retry_refund,
};
pub use submit::{SubmitError, submit_checkpoint};
pub use transfers::{
    TransferCall, TransferStep, begin_transfer_call, next_transfer_step, record_transfer_failed,
    record_transfer_reversed, record_transfer_succeeded,
};
