//! Answers that many ask for and few change, as they are sent, in this process's memory. They are used only while this
//! process hears of changes, and for a minute at the most (two for the skills in them), should a notification ever be lost.

use std::{
    array,
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use moka::sync::Cache;
use serde::Serialize;

use crate::{
    error::{ApiError, ApiResult},
    extract::json_response,
    layers,
};

const LONGEST_USE: Duration = Duration::from_secs(60);
/// What an entry takes beside its bytes, about.
const OVERHEAD_BYTES: usize = 256;
/// Longer answers are not kept: one would stand in the place of many.
const LONGEST_BYTES: usize = 64 * 1024;

/// A JSON answer that is made once and sent often, with its tag.
#[derive(Clone, Debug)]
pub struct ReadyAnswer {
    json: Bytes,
    etag: HeaderValue,
}

impl ReadyAnswer {
    pub fn of(view: &impl Serialize) -> ApiResult<Self> {
        // Boxed, so that no spare room is kept with it.
        let json = serde_json::to_vec(view).map_err(ApiError::internal)?.into_boxed_slice();
        let etag = layers::etag_of(&json).map_err(ApiError::internal)?;
        Ok(Self { json: Bytes::from(json), etag })
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
    answers: Cache<K, Kept>,
    is_listening: AtomicBool,
    changes: Changes,
}

/// An answer, and what had been heard when it began to be read: once more was heard, it may be old.
#[derive(Clone)]
struct Kept {
    answer: ReadyAnswer,
    as_of: Moment,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> AnswerCache<K> {
    /// `most_bytes` is for the answers, with about 256 bytes each beside them.
    pub fn new(about: &'static str, most_bytes: u64) -> Self {
        let weigh = |_: &K, kept: &Kept| u32::try_from(kept.answer.json.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX);
        Self {
            about,
            answers: Cache::builder().weigher(weigh).max_capacity(most_bytes).time_to_live(LONGEST_USE).build(),
            is_listening: AtomicBool::new(false),
            changes: Changes::default(),
        }
    }

    /// The answer about `key`, which `load` reads unless it is kept. Refusals and failures are not kept.
    pub async fn get(&self, key: K, load: impl Future<Output = ApiResult<ReadyAnswer>>) -> ApiResult<ReadyAnswer> {
        let as_of = self.changes.heard_about(&key);
        let is_listening = self.is_listening.load(Ordering::SeqCst);
        if is_listening
            && let Some(kept) = self.answers.get(&key)
            && kept.as_of == as_of
        {
            self.count("memory");
            return Ok(kept.answer);
        }
        let answer = self.read(load).await?;
        if is_listening && answer.json.len() <= LONGEST_BYTES {
            self.answers.insert(key, Kept { answer: answer.clone(), as_of });
        }
        Ok(answer)
    }

    /// The answer as it is now, which is not kept.
    pub async fn read(&self, load: impl Future<Output = ApiResult<ReadyAnswer>>) -> ApiResult<ReadyAnswer> {
        self.count("database");
        load.await
    }

    fn count(&self, found: &'static str) {
        metrics::counter!("freehunt_answer_lookups_total", "about" => self.about, "found" => found).increment(1);
    }

    /// Something about `key` changed, on whichever replica; without a key, anything.
    pub(crate) fn hear(&self, key: Option<&K>) {
        match key {
            Some(key) => self.changes.hear_about(key),
            None => self.changes.hear_about_all(),
        }
    }

    /// From now on answers are kept; those of before may be out of date.
    pub(crate) fn begin_listening(&self) {
        self.hear(None);
        self.is_listening.store(true, Ordering::SeqCst);
    }

    /// From now on every request reads the database.
    pub(crate) fn end_listening(&self) {
        self.is_listening.store(false, Ordering::SeqCst);
        self.hear(None);
    }
}

/// Counts what was heard. Several keys share a place: what is heard about one makes the others be read anew, no more.
struct Changes {
    places: [AtomicU64; 1024],
    all: AtomicU64,
    hasher: RandomState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    of_place: u64,
    all: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self { places: array::from_fn(|_| AtomicU64::new(0)), all: AtomicU64::new(0), hasher: RandomState::new() }
    }
}

impl Changes {
    fn place(&self, key: &impl Hash) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits are as random as any")]
        let hash = self.hasher.hash_one(key) as usize;
        &self.places[hash % self.places.len()]
    }

    fn heard_about(&self, key: &impl Hash) -> Moment {
        Moment { of_place: self.place(key).load(Ordering::SeqCst), all: self.all.load(Ordering::SeqCst) }
    }

    fn hear_about(&self, key: &impl Hash) {
        self.place(key).fetch_add(1, Ordering::SeqCst);
    }

    fn hear_about_all(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
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
        cache.begin_listening();
        assert_eq!(look(&cache, "old").await, "\"old\"");
        assert_eq!(look(&cache, "new").await, "\"old\"");
        cache.end_listening();
        assert_eq!(look(&cache, "new").await, "\"new\"");
        cache.begin_listening();
        assert_eq!(look(&cache, "newest").await, "\"newest\"");
    }

    #[tokio::test]
    async fn a_change_is_heard_for_one_or_for_all() {
        let cache = AnswerCache::new("test", 1 << 20);
        let elsewhere = (2..=u8::MAX).find(|key| !std::ptr::eq(cache.changes.place(key), cache.changes.place(&1_u8)));
        cache.begin_listening();
        look(&cache, "old").await;
        cache.hear(elsewhere.as_ref());
        assert_eq!(look(&cache, "new").await, "\"old\"");
        cache.hear(Some(&1));
        assert_eq!(look(&cache, "new").await, "\"new\"");
        cache.hear(None);
        assert_eq!(look(&cache, "newest").await, "\"newest\"");
    }

    /// Its row was read before the change, and comes after the news of it.
    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_used_again() {
        let cache = AnswerCache::new("test", 1 << 20);
        cache.begin_listening();
        let late = cache.get(1, async {
            cache.hear(Some(&1));
            Ok(answer("old"))
        });
        assert_eq!(late.await.unwrap().json, "\"old\"");
        assert_eq!(look(&cache, "new").await, "\"new\"");
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept_nor_what_is_long() {
        let cache = AnswerCache::new("test", 1 << 20);
        cache.begin_listening();
        assert!(cache.get(1, async { Err(ApiError::not_found("no")) }).await.is_err());
        let long = "x".repeat(LONGEST_BYTES);
        assert_eq!(look(&cache, &long).await.len(), LONGEST_BYTES + 2);
        assert_eq!(look(&cache, "made").await, "\"made\"");
    }
}
