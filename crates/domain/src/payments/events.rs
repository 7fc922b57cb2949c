//! What the provider tells: stored first, acknowledged, then processed by a job.

use sqlx::PgPool;

pub use super::queries::events::NewEvent;
use super::queries::events::insert_event;
use crate::{ids::JobId, jobs::Job};

/// Stores an event together with the job that processes it. `None` for one that is here already: its job is enqueued
/// or done, and the sweep looks after the rest.
pub async fn store(pool: &PgPool, event: &NewEvent<'_>) -> Result<Option<JobId>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    insert_event(&mut connection, event, &Job::ProcessStripeEvent { event_id: event.id.to_owned() }).await
}
