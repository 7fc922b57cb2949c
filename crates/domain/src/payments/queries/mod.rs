//! Statements on the ledger, one table a file. Callers lock in the order posting → candidate → project →
//! checkpoint → intent.

pub mod accounts;
pub mod dismissed;
pub mod disputes;
pub mod events;
pub mod keys;
pub mod ledger;
pub mod projects;
pub mod refunds;
pub mod sessions;
pub mod transfers;
