//! Answers that many ask for and few change, as they are sent, in this process's memory. They are used only while this
//! process hears of changes, and for a minute at the most, should a notification ever be lost.

use std::{
    hash::Hash,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use moka::future::Cache;
use serde::Serialize;

use crate::{
    error::{ApiError, ApiResult},
    extract::json_response,
    layers,
};

const LONGEST_USE: Duration = Duration::from_secs(60);
/// What an entry takes beside its bytes, about.
const OVERHEAD_BYTES: usize = 256;

/// A JSON answer that is made once and sent often, with its tag.
#[derive(Clone, Debug)]
pub struct ReadyAnswer {
    json: Bytes,
    etag: HeaderValue,
}

impl ReadyAnswer {
    pub fn of(view: &impl Serialize) -> ApiResult<Self> {
        let json = Bytes::from(serde_json::to_vec(view).map_err(ApiError::internal)?);
        let etag = layers::etag_of(&json).map_err(ApiError::internal)?;
        Ok(Self { json, etag })
    }
}

impl IntoResponse for ReadyAnswer {
    fn into_response(self) -> Response {
        let mut response = json_response(Body::from(self.json));
        response.headers_mut().insert(header::ETAG, self.etag);
        response
    }
}

/// Answers by what they are about.
pub struct AnswerCache<K> {
    /// Names it in metrics.
    about: &'static str,
    answers: Cache<K, ReadyAnswer>,
    is_listening: AtomicBool,
    /// Counts what was heard: what was read before the last of it may be old.
    heard: AtomicU64,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> AnswerCache<K> {
    pub fn new(about: &'static str, most_bytes: u64) -> Self {
        let weigh = |_: &K, answer: &ReadyAnswer| u32::try_from(answer.json.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX);
        let answers = Cache::builder().weigher(weigh).max_capacity(most_bytes).time_to_live(LONGEST_USE).build();
        Self { about, answers, is_listening: AtomicBool::new(false), heard: AtomicU64::new(0) }
    }

    /// The answer about `key`, which `load` reads unless it is kept. Refusals and failures are not kept.
    pub async fn get(&self, key: K, load: impl Future<Output = ApiResult<ReadyAnswer>>) -> ApiResult<ReadyAnswer> {
        if !self.is_listening.load(Ordering::SeqCst) {
            self.count("database");
            return load.await;
        }
        if let Some(answer) = self.answers.get(&key).await {
            self.count("memory");
            return Ok(answer);
        }
        self.count("database");
        let heard = self.heard.load(Ordering::SeqCst);
        let answer = load.await?;
        self.answers.insert(key.clone(), answer.clone()).await;
        // Only now: whoever hears of a change from here on finds the entry, and removes it.
        if self.heard.load(Ordering::SeqCst) != heard {
            self.answers.invalidate(&key).await;
        }
        Ok(answer)
    }

    fn count(&self, found: &'static str) {
        metrics::counter!("freehunt_answer_lookups_total", "about" => self.about, "found" => found).increment(1);
    }

    pub(crate) async fn forget(&self, key: &K) {
        self.heard.fetch_add(1, Ordering::SeqCst);
        self.answers.invalidate(key).await;
    }

    pub(crate) async fn forget_all(&self) {
        self.heard.fetch_add(1, Ordering::SeqCst);
        for (key, _) in &self.answers {
            self.answers.invalidate(&*key).await;
        }
    }

    /// Something changed, on whichever replica: what is about `key`, or anything.
    pub(crate) async fn hear(&self, key: Option<K>) {
        match key {
            Some(key) => self.forget(&key).await,
            None => self.forget_all().await,
        }
    }

    /// From now on answers are kept; those of before may be out of date.
    pub(crate) async fn begin_listening(&self) {
        self.forget_all().await;
        self.is_listening.store(true, Ordering::SeqCst);
    }

    /// From now on every request reads the database.
    pub(crate) async fn end_listening(&self) {
        self.is_listening.store(false, Ordering::SeqCst);
        self.forget_all().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> ReadyAnswer {
        ReadyAnswer::of(&text).unwrap()
    }

    async fn look(cache: &AnswerCache<u8>, now: &str) -> Bytes {
        cache.get(1, async { Ok(answer(now)) }).await.unwrap().json
    }

    #[tokio::test]
    async fn nothing_is_kept_while_nothing_is_heard() {
        let cache = AnswerCache::new("test", 1 << 20);
        assert_eq!(look(&cache, "old").await, "\"old\"");
        assert_eq!(look(&cache, "new").await, "\"new\"");
        cache.begin_listening().await;
        assert_eq!(look(&cache, "old").await, "\"old\"");
        assert_eq!(look(&cache, "new").await, "\"old\"");
        cache.end_listening().await;
        assert_eq!(look(&cache, "new").await, "\"new\"");
        cache.begin_listening().await;
        assert_eq!(look(&cache, "newest").await, "\"newest\"");
    }

    #[tokio::test]
    async fn a_change_is_heard_for_one_or_for_all() {
        let cache = AnswerCache::new("test", 1 << 20);
        cache.begin_listening().await;
        look(&cache, "old").await;
        cache.hear(Some(2)).await;
        assert_eq!(look(&cache, "new").await, "\"old\"");
        cache.hear(Some(1)).await;
        assert_eq!(look(&cache, "new").await, "\"new\"");
        cache.hear(None).await;
        assert_eq!(look(&cache, "newest").await, "\"newest\"");
    }

    /// Its row was read before the change, and comes after the news of it.
    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept() {
        let cache = AnswerCache::new("test", 1 << 20);
        cache.begin_listening().await;
        let late = cache.get(1, async {
            cache.hear(Some(1)).await;
            Ok(answer("old"))
        });
        assert_eq!(late.await.unwrap().json, "\"old\"");
        assert_eq!(look(&cache, "new").await, "\"new\"");
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept() {
        let cache = AnswerCache::new("test", 1 << 20);
        cache.begin_listening().await;
        assert!(cache.get(1, async { Err(ApiError::not_found("no")) }).await.is_err());
        assert_eq!(look(&cache, "made").await, "\"made\"");
    }
}
