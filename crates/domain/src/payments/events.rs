//! What the provider tells: stored first, acknowledged, then processed by a job.

use sqlx::PgConnection;

pub use super::queries::events::NewEvent;
use super::queries::events::{insert_event, revive_job};
use crate::{ids::JobId, jobs::Job};

/// Stores an event together with the job that processes it. `None` for one that is here already: its job is enqueued
/// or done, or, when it had been given up, due once more now; the sweep looks after the rest.
pub async fn store(connection: &mut PgConnection, event: &NewEvent<'_>) -> Result<Option<JobId>, sqlx::Error> {
    let job = Job::ProcessStripeEvent { event_id: event.id.to_owned() };
    let stored = insert_event(&mut *connection, event, &job).await?;
    if stored.is_none() && revive_job(connection, event.id, &job).await? {
        tracing::warn!(event = event.id, "an event that had been given up was told again");
    }
    Ok(stored)
}
