//! What the provider tells: stored first, acknowledged, then processed by a job.

use sqlx::PgPool;

pub use super::queries::events::NewEvent;
use super::queries::events::{find_event, insert_event};
use crate::{
    ids::JobId,
    jobs::{Job, enqueue},
};

/// Stores an event and enqueues its processing, in one transaction. `None` for one that was processed before.
pub async fn store(pool: &PgPool, event: &NewEvent<'_>) -> Result<Option<JobId>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if !insert_event(&mut transaction, event).await? {
        let stored = find_event(&mut transaction, event.id).await?;
        if stored.is_some_and(|stored| stored.is_processed) {
            return Ok(None);
        }
    }
    let job = enqueue(&mut transaction, &Job::ProcessStripeEvent { event_id: event.id.to_owned() }).await?;
    transaction.commit().await?;
    Ok(Some(job))
}
