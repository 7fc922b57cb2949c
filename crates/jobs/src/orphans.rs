//! Collects objects that nobody shows: uploads that were never attached, and what a crash left in the bucket.
//!
//! What the database does not know is not removed at first sight: it may be the wrong database, or an older one that was
//! restored, and the objects of the right one cannot be had back.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use freehunt_domain::documents::orphans::{
    MIN_AGE, count_sightings, forget_loose_objects, forget_sightings, note_unknown_objects,
};
use freehunt_storage::{ObjectKey, StoredObject};

use crate::{JobContext, Setback};

/// What one collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Uploads that were never shown; jobs remove their objects.
    pub loose: usize,
    /// Objects that no row had known for a week, removed.
    pub unknown: usize,
}

/// Collects what is older than a day at `now`, and what has been unknown for a week. To be called from time to time, by
/// one replica or several. Objects of the former server lie outside the prefix that is searched, and stay.
pub async fn collect_orphans(context: &JobContext, now: DateTime<Utc>) -> Result<Collected, Setback> {
    let loose = forget_loose_objects(&context.pool, now).await?;
    let before = SystemTime::from(now - MIN_AGE);
    let mut unknown = 0;
    let mut next: Option<String> = None;
    loop {
        let page = context.storage.list(ObjectKey::AVATAR_PREFIX, next.as_deref()).await?;
        let old = page.objects.into_iter().filter(|object| object.last_modified < before);
        unknown += remove_unknown(context, old, now).await?;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    forget_sightings(&context.pool, now).await?;
    let waiting = count_sightings(&context.pool, now).await?;
    if waiting > 0 {
        tracing::warn!(waiting, "the database does not know these avatars in the bucket; each is removed after a week");
    }
    if loose + unknown > 0 {
        tracing::info!(loose, unknown, "collected objects that nobody shows");
    }
    Ok(Collected { loose, unknown })
}

async fn remove_unknown(
    context: &JobContext,
    objects: impl Iterator<Item = StoredObject>,
    now: DateTime<Utc>,
) -> Result<usize, Setback> {
    // Only keys of the form this server makes: anything else in the bucket is somebody else's business.
    let ours: Vec<ObjectKey> = objects.map(|object| object.key).filter(|key| key.owner().is_some()).collect();
    if ours.is_empty() {
        return Ok(0);
    }
    let keys: Vec<String> = ours.iter().map(ObjectKey::to_string).collect();
    let urls: Vec<String> = ours.iter().map(|key| context.storage.public_url(key)).collect();
    let unknown = {
        let mut connection = context.pool.acquire().await?;
        note_unknown_objects(&mut connection, &keys, &urls, now).await?
    };
    for key in ours.iter().filter(|key| unknown.iter().any(|name| name == key.as_str())) {
        context.storage.delete(key).await?;
    }
    Ok(unknown.len())
}
