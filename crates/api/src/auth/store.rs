//! The sessions this process has checked lately. An entry is used only while this process hears of revocations, so
//! that a revoked session ends everywhere at once.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehunt_domain::ids::SessionId;
use moka::{Expiry, future::Cache};
use tokio::sync::Semaphore;

use super::{
    check::{self, Checked},
    credentials::{Credential, INVALID_SESSION},
    failure::Failure,
};
use crate::{
    error::{ApiError, ApiResult},
    extract::Session,
    state::AppState,
};

/// A cookie that Authentik does not know is not asked about again for so long.
const REFUSAL_MEMORY: Duration = Duration::from_secs(5);
/// Questions about unknown cookies that are under way at once: whoever makes them up must not keep Authentik from
/// answering those who log in.
const ADOPTIONS_AT_ONCE: usize = 16;

/// One for the process.
pub struct SessionStore {
    sessions: Cache<Vec<u8>, Checked>,
    /// Hashes of Authentik's own cookies that it does not know.
    refused: Cache<Vec<u8>, ()>,
    is_listening: AtomicBool,
    /// Counts what was heard: a check that began before the last of it may have seen an old row.
    heard: AtomicU64,
    /// Hashes of bearer tokens that the provider has confirmed lately.
    confirmed_tokens: Cache<Vec<u8>, ()>,
    /// Hashes of bearer tokens that it has refused lately.
    refused_tokens: Cache<Vec<u8>, ()>,
    pub(super) adoptions: Semaphore,
}

struct LifeOfEntry;

impl Expiry<Vec<u8>, Checked> for LifeOfEntry {
    fn expire_after_create(&self, _key: &Vec<u8>, entry: &Checked, _now: Instant) -> Option<Duration> {
        Some(entry.usable_for)
    }
}

impl SessionStore {
    /// `confirmed_for` is how long the provider's word on a bearer token counts, for it or against it.
    pub fn new(capacity: u64, confirmed_for: Duration) -> Self {
        Self {
            sessions: Cache::builder().max_capacity(capacity).expire_after(LifeOfEntry).build(),
            refused: Cache::builder().max_capacity(capacity).time_to_live(REFUSAL_MEMORY).build(),
            is_listening: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            confirmed_tokens: Cache::builder().max_capacity(capacity).time_to_live(confirmed_for).build(),
            refused_tokens: Cache::builder().max_capacity(capacity).time_to_live(confirmed_for).build(),
            adoptions: Semaphore::new(ADOPTIONS_AT_ONCE),
        }
    }

    /// The live session of a cookie. Requests that come together share one check.
    pub(super) async fn find(&self, state: &AppState, credential: Credential, address: IpAddr) -> ApiResult<Session> {
        state.listening.ensure(state);
        let key = credential.hash();
        if self.refused.contains_key(&key) {
            return Err(ApiError::unauthorized(INVALID_SESSION));
        }
        if !self.is_listening.load(Ordering::Acquire) {
            count_lookup("checked");
            return Ok(check::check(state, &credential, &key, address).await?.session.as_ref().clone());
        }
        let heard = self.heard();
        let entry = self.sessions.entry_by_ref(&key);
        let entry = entry.or_try_insert_with(check::check(state, &credential, &key, address)).await;
        count_lookup(if entry.as_ref().is_ok_and(|entry| !entry.is_fresh()) { "memory" } else { "checked" });
        if self.heard() != heard {
            self.sessions.invalidate(&key).await;
        }
        Ok(entry?.into_value().session.as_ref().clone())
    }

    /// Sessions held now; entries that have just ended may be among them.
    pub fn count(&self) -> u64 {
        self.sessions.entry_count()
    }

    /// How often something was heard of; when it differs from before, what was read in between may be old.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// Whether the provider stands by this bearer token, as `ask` tells when it was not asked lately.
    pub(super) async fn confirm_token(
        &self,
        hash: &[u8],
        ask: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Arc<Failure>> {
        if self.refused_tokens.contains_key(hash) {
            return Err(Arc::new(Failure::Refused));
        }
        let answer = self.confirmed_tokens.try_get_with_by_ref(hash, ask).await;
        if matches!(answer.as_ref().map_err(AsRef::as_ref), Err(Failure::Refused)) {
            self.refused_tokens.insert(hash.to_vec(), ()).await;
        }
        answer
    }

    /// Authentik does not know this cookie.
    pub(super) async fn remember_refusal(&self, key: &[u8]) {
        self.refused.insert(key.to_vec(), ()).await;
    }

    /// Forgets sessions that this process itself has just ended, without waiting to hear of it.
    pub(super) async fn forget(&self, ids: &[SessionId]) {
        self.forget_those(|id| ids.contains(&id)).await;
    }

    async fn forget_those(&self, matches: impl Fn(SessionId) -> bool) {
        self.heard.fetch_add(1, Ordering::AcqRel);
        let keys: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, checked)| checked.session.id.is_some_and(&matches))
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            self.sessions.invalidate(&*key).await;
        }
    }

    /// A session ended or changed, on whichever replica.
    pub(crate) async fn hear(&self, id: Option<SessionId>) {
        match id {
            Some(id) => self.forget_those(|known| known == id).await,
            None => self.forget_those(|_| true).await,
        }
    }

    /// From now on entries are used; those of before may be out of date.
    pub(crate) async fn begin_listening(&self) {
        self.forget_those(|_| true).await;
        self.is_listening.store(true, Ordering::Release);
    }

    /// From now on every request looks at the database.
    pub(crate) async fn end_listening(&self) {
        self.is_listening.store(false, Ordering::Release);
        self.forget_those(|_| true).await;
    }
}

fn count_lookup(found: &'static str) {
    metrics::counter!("freehunt_session_lookups_total", "found" => found).increment(1);
}
