//! Reads Stripe's own list of events: what a webhook should have said and never did, be it that Stripe could not reach
//! us, gave up, or was never told to send events of that type. Stored and processed like those that came by webhook, and
//! like those once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use freehunt_domain::{
    jobs::Job,
    payments::queries::events::{
        EventReading, NewEvent, begin_reading, find_reading_age, finish_reading, insert_event, release_reading,
        update_reading,
    },
};
use freehunt_stripe::EventQuery;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{Jobs, Setback};

/// The types that mean something here; accounts are asked about when they are to be paid.
const TYPES: &[&str] = &[
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.expired",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "transfer.created",
    "transfer.updated",
    "transfer.reversed",
];
/// Seconds between two readings, by whichever replica.
const PERIOD_SECONDS: f64 = 60.0;
/// How often a replica looks whether one is due, or goes on with one that did not fit.
const TICK: Duration = Duration::from_secs(15);
/// Read again each time: Stripe's list may lag behind its clock, and that behind ours.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Pages of a hundred events read at once; what is left is read the next time.
const MOST_PAGES: usize = 10;

pub(crate) async fn run(jobs: Jobs, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let polled = tokio::select! {
            () = stop.cancelled() => return,
            polled = async { ticks.tick().await; jobs.poll_events(PERIOD_SECONDS).await } => polled,
        };
        if let Err(error) = polled {
            tracing::warn!(%error, "Stripe's events could not be read");
        }
    }
}

impl Jobs {
    /// Reads the events since the last reading when that was `period_seconds` ago, on one replica at a time. The number
    /// of those that no webhook had brought.
    pub async fn poll_events(&self, period_seconds: f64) -> Result<usize, Setback> {
        let reading = {
            let mut connection = self.context().pool.acquire().await?;
            let age = find_reading_age(&mut connection).await?;
            metrics::gauge!("freehunt_stripe_events_age_seconds").set(age);
            begin_reading(&mut connection, period_seconds).await?
        };
        let Some(mut reading) = reading else { return Ok(0) };
        let read = self.read_events(&mut reading).await;
        if read.is_err() {
            let mut connection = self.context().pool.acquire().await?;
            release_reading(&mut connection, &reading).await?;
        }
        let found = read?;
        metrics::counter!("freehunt_events_without_webhook_total").increment(found as u64);
        if found > 0 {
            tracing::warn!(events = found, "events that no webhook had brought were read");
            self.wake();
        }
        Ok(found)
    }

    async fn read_events(&self, reading: &mut EventReading) -> Result<usize, Setback> {
        let context = self.context();
        let mut found = 0;
        for _ in 0..MOST_PAGES {
            let query = EventQuery {
                types: TYPES,
                created_from: (reading.read_until - OVERLAP).timestamp(),
                created_until: reading.reading_until.timestamp(),
                after: reading.last_event.as_deref(),
            };
            let page = context.stripe.list_events(query).await?;
            let mut connection = context.pool.acquire().await?;
            for event in &page.events {
                let payload = event.to_payload();
                let job = Job::ProcessStripeEvent { event_id: event.id.clone() };
                let new = NewEvent {
                    id: &event.id,
                    event_type: &event.event_type,
                    created_at: DateTime::from_timestamp(event.created, 0).unwrap_or(reading.reading_until),
                    live_mode: event.livemode == Some(true),
                    payload: &payload,
                };
                found += usize::from(insert_event(&mut connection, &new, &job).await?.is_some());
            }
            match page.events.last().filter(|_| page.has_more) {
                None => {
                    finish_reading(&mut connection, reading.reading_until).await?;
                    return Ok(found);
                }
                Some(last) => match update_reading(&mut connection, reading, &last.id).await? {
                    Some(next) => *reading = next,
                    // This replica was slow, and another one has gone on.
                    None => return Ok(found),
                },
            }
        }
        let mut connection = context.pool.acquire().await?;
        release_reading(&mut connection, reading).await?;
        Ok(found)
    }
}
