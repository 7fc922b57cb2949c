//! What the stand-in knows at one moment, its clock, and the lock around it.
//!
//! Each object's rules are in the file named after it. Nothing here answers HTTP.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    RetryPolicy,
    api::{Hold, Prepared500},
    books::{Account, AccountLink, Books, Charge, CheckoutSession, Dispute, PaymentIntent, Refund, Table, Transfer},
    idempotency::Keys,
    persist, webhooks,
    webhooks::Event,
};

/// Everything that a second start finds again, and the settings of this run.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub sessions: Table<CheckoutSession>,
    pub intents: Table<PaymentIntent>,
    pub charges: Table<Charge>,
    pub disputes: Table<Dispute>,
    pub transfers: Table<Transfer>,
    pub refunds: Table<Refund>,
    pub accounts: Table<Account>,
    pub links: Table<AccountLink>,
    pub keys: Keys,
    pub events: Table<Event>,
    /// Cents added to the available balance by hand.
    pub topped_up: i64,
    #[serde(skip)]
    pub run: Run,
}

/// Settings that a test may change while the stand-in runs.
#[derive(Default)]
pub(super) struct Run {
    /// Without a trailing slash.
    pub public_url: String,
    pub livemode: bool,
    pub tax_basis_points: u32,
    pub settlement_seconds: i64,
    pub refunds_stay_pending: bool,
    pub clock_offset: i64,
    pub webhook_targets: Vec<String>,
    pub webhooks_enabled: bool,
    pub prepared: Vec<Prepared500>,
    pub holds: Vec<Hold>,
    /// Deliveries to start once the lock is released: event and number of the delivery.
    pub outgoing: Vec<(String, usize)>,
}

impl State {
    /// Seconds since the epoch, by the stand-in's clock.
    pub(super) fn now(&self) -> i64 {
        chrono::Utc::now().timestamp() + self.run.clock_offset
    }

    pub(super) fn books(&self) -> Books {
        Books {
            sessions: self.sessions.rows().to_vec(),
            payment_intents: self.intents.rows().to_vec(),
            charges: self.charges.rows().to_vec(),
            transfers: self.transfers.rows().to_vec(),
            refunds: self.refunds.rows().to_vec(),
            accounts: self.accounts.rows().to_vec(),
            disputes: self.disputes.rows().to_vec(),
        }
    }

    /// The object with this id as the API shows it, whatever its type.
    pub(super) fn object(&self, id: &str) -> Option<Value> {
        let (prefix, _) = id.split_once('_')?;
        match prefix {
            "cs" => self.sessions.get(id).map(|session| self.session_json(session)),
            "pi" => self.intents.get(id).map(|intent| self.intent_json(intent)),
            "ch" => self.charges.get(id).map(|charge| self.charge_json(charge)),
            "dp" => self.disputes.get(id).map(|dispute| self.dispute_json(dispute)),
            "tr" => self.transfers.get(id).map(|transfer| self.transfer_json(transfer)),
            "re" => self.refunds.get(id).map(|refund| self.refund_json(refund)),
            "acct" => self.accounts.get(id).map(|account| self.account_json(account)),
            _ => None,
        }
    }
}

/// A new id: the prefix and `length` random letters and digits.
pub(super) fn new_id(prefix: &str, length: usize) -> String {
    let random = rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from);
    prefix.chars().chain(random).collect()
}

/// The state behind its lock, and what all its users share.
pub(super) struct Shared {
    state: Mutex<State>,
    pub api_key: String,
    pub webhook_secret: String,
    pub retry: RetryPolicy,
    pub persist: Option<PathBuf>,
    pub client: reqwest::Client,
    /// Deliveries that have not ended.
    pub pending: watch::Sender<usize>,
    pub stop: CancellationToken,
    pub runtime: Handle,
}

/// The parts of [`Shared`] that are fixed at the start.
pub(super) struct Fixed {
    pub api_key: String,
    pub webhook_secret: String,
    pub retry: RetryPolicy,
    pub persist: Option<PathBuf>,
    pub client: reqwest::Client,
}

impl Shared {
    pub(super) fn new(state: State, fixed: Fixed) -> Self {
        let Fixed { api_key, webhook_secret, retry, persist, client } = fixed;
        let (pending, _) = watch::channel(0);
        let (stop, runtime) = (CancellationToken::new(), Handle::current());
        Self { state: Mutex::new(state), api_key, webhook_secret, retry, persist, client, pending, stop, runtime }
    }

    /// Runs `work` alone on the state, then saves it and starts the deliveries it asked for.
    pub(super) fn change<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.expire_due_sessions();
        let result = work(&mut state);
        self.after_change(&mut state);
        result
    }

    /// Runs `work` on the state. Sessions that are due expire first, which may save.
    pub(super) fn read<T>(self: &Arc<Self>, work: impl FnOnce(&State) -> T) -> T {
        let mut state = self.lock();
        if state.expire_due_sessions() {
            self.after_change(&mut state);
        }
        work(&state)
    }

    fn after_change(self: &Arc<Self>, state: &mut State) {
        if let Some(file) = &self.persist
            && let Err(error) = persist::save(file, state)
        {
            tracing::error!(file = %file.display(), %error, "the Stripe stand-in could not save its objects");
        }
        for (event, delivery) in std::mem::take(&mut state.run.outgoing) {
            // Counted under the lock, so that whoever caused the event sees it as pending.
            self.pending.send_modify(|pending| *pending += 1);
            self.runtime.spawn(webhooks::deliver(Arc::clone(self), event, delivery));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
