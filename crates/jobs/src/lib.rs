//! Runs durable jobs: rows that a transaction wrote because something has to happen outside the database.
//!
//! Claim (short transaction, lease) → call outside any transaction → apply (short transaction, state checked again).
//! The rules are the domain's; this crate carries its words to Stripe and S3 and the answers back.

mod attempt;
pub mod disputes;
mod kinds;
pub mod operator;
mod orphans;
mod poll;
mod projects;
mod provider;
mod queue;
pub mod reconcile;
pub mod set_aside;
mod setback;
mod sweep;
mod worker;

use std::sync::Arc;

use freehunt_domain::time::Clock;
use freehunt_storage::Storage;
use freehunt_stripe::Stripe;
use sqlx::PgPool;
use tokio::sync::Notify;

pub use crate::{
    attempt::AttemptOutcome,
    orphans::{Collected, collect_orphans},
    projects::EndProjectError,
    provider::{account_state, dispute_of, payment_of},
    queue::{Backlog, count_backlog},
    setback::Setback,
};

/// What jobs work with.
#[derive(Clone)]
pub struct JobContext {
    pub pool: PgPool,
    pub stripe: Stripe,
    pub storage: Storage,
    pub clock: Clock,
}

/// The handle on the jobs; cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    context: JobContext,
    /// Wakes the worker of this process before its next look at the table.
    wake: Notify,
}

impl Jobs {
    pub fn new(context: JobContext) -> Self {
        Self(Arc::new(Inner { context, wake: Notify::new() }))
    }

    /// There may be new jobs: the worker of this process looks now.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub(crate) fn context(&self) -> &JobContext {
        &self.0.context
    }
}
