//! Accounts as their users see them, which every page asks for, in this process's memory.

use std::time::Duration;

use freehunt_domain::{ids::UserId, users::find_account};
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::{
    answer_cache::{AnswerCache, ReadyAnswer},
    error::{ApiError, ApiResult},
    routes::users::{AccountView, NOT_FOUND},
    state::AppState,
};

/// For some thousand accounts.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// How many who have just written are remembered.
const MOST_WRITERS: u64 = 10_000;

/// One for the process.
pub struct AccountCache {
    pub(crate) answers: AnswerCache<UserId>,
    /// Whoever changes something sees it at once, before this process has heard of it: their account is read anew until
    /// their request is over for certain.
    writers: Cache<UserId, ()>,
}

impl AccountCache {
    /// `longest_request` is how long a request may take.
    pub fn new(longest_request: Duration) -> Self {
        Self {
            answers: AnswerCache::new("account", MOST_BYTES),
            writers: Cache::builder()
                .max_capacity(MOST_WRITERS)
                // A new one is never refused for the sake of those that are asked for more often.
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(2 * longest_request)
                .build(),
        }
    }

    /// The account of somebody who is signed in; 404 when it is gone.
    pub async fn get(&self, state: &AppState, user_id: UserId) -> ApiResult<ReadyAnswer> {
        let load = load(state, user_id);
        if self.writers.contains_key(&user_id) {
            self.answers.read(load).await
        } else {
            self.answers.get(user_id, load).await
        }
    }

    /// They are about to change something of it.
    pub fn expect_change(&self, user_id: UserId) {
        self.writers.insert(user_id, ());
        self.answers.hear(Some(&user_id));
    }
}

async fn load(state: &AppState, user_id: UserId) -> ApiResult<ReadyAnswer> {
    let skills = state.skills.get(state).await?;
    let mut connection = state.connection().await?;
    let account = find_account(&mut connection, &skills.catalog, user_id).await?;
    connection.finish();
    ReadyAnswer::of(&AccountView::from(account.ok_or_else(|| ApiError::not_found(NOT_FOUND))?))
}
