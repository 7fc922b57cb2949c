//! What no job remembers: intents without a live job, sessions nobody has spoken of, events left unprocessed. And the
//! numbers an operator watches.

use std::time::Duration;

use chrono::TimeDelta;
use freehunt_domain::{
    chat_events,
    jobs::{Job, enqueue},
    messages,
    payments::accounts::offer_old_forms_again,
    payments::queries::{
        events::list_stranded_events, refunds::list_stranded_refunds, sessions::list_silent_open_sessions,
        sessions::list_stranded_creations, transfers::list_stranded_transfers,
    },
    sessions::sweep_expired,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{Jobs, Setback, collect_orphans, queue};

const PERIOD: Duration = Duration::from_secs(15);
/// An open session is asked about at Stripe when nothing was heard of it for so long, in seconds.
const SILENCE_SECONDS: f64 = 60.0;
/// Rows taken up at once, of each sort.
const BATCH: i64 = 200;
/// Sweeps between two tidyings: an hour.
const TIDYING: u32 = 240;

pub(crate) async fn run(jobs: Jobs, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = jobs.sweep().await {
            tracing::warn!(%error, "the sweep for stranded work failed");
        }
        if count.is_multiple_of(TIDYING)
            && let Err(error) = jobs.tidy().await
        {
            tracing::warn!(%error, "tidying failed");
        }
        count = count.wrapping_add(1);
    }
}

impl Jobs {
    /// Enqueues what should have a job and has none; the number of rows taken up.
    pub async fn sweep(&self) -> Result<usize, sqlx::Error> {
        let mut connection = self.context().pool.acquire().await?;
        let mut found = Vec::new();
        for id in list_stranded_transfers(&mut connection, BATCH).await? {
            found.push(Job::SendTransfer { transfer_intent_id: id });
        }
        for id in list_stranded_refunds(&mut connection, BATCH).await? {
            found.push(Job::SendRefund { refund_intent_id: id });
        }
        for id in list_stranded_creations(&mut connection, BATCH).await? {
            found.push(Job::CreateCheckout { payment_session_id: id });
        }
        for id in list_silent_open_sessions(&mut connection, SILENCE_SECONDS, BATCH).await? {
            found.push(Job::ReconcileCheckout { payment_session_id: id });
        }
        for id in list_stranded_events(&mut connection, BATCH).await? {
            found.push(Job::ProcessStripeEvent { event_id: id });
        }
        for job in &found {
            enqueue(&mut connection, job).await?;
        }
        let backlog = queue::count_backlog(&mut connection).await?;
        gauge("freehunt_jobs_ready", backlog.ready);
        gauge("freehunt_jobs_dead", backlog.dead);
        gauge("freehunt_intents_stuck", backlog.stuck_intents);
        if backlog.stuck_intents > 0 {
            tracing::error!(intents = backlog.stuck_intents, "payments have been pending for more than 15 minutes");
        }
        self.wake();
        Ok(found.len())
    }

    /// Forgets what nobody needs any more.
    async fn tidy(&self) -> Result<(), Setback> {
        let now = self.context().clock.now();
        {
            let mut connection = self.context().pool.acquire().await?;
            queue::delete_old_jobs(&mut connection).await?;
            sweep_expired(&mut connection).await?;
            offer_old_forms_again(&mut connection).await?;
            // Far longer than any socket is replayed to, or any client repeats a request.
            chat_events::delete_events_until(&mut connection, now - TimeDelta::days(1)).await?;
            messages::queries::delete_requests_until(&mut connection, now - TimeDelta::days(2)).await?;
        }
        collect_orphans(self.context(), now).await?;
        Ok(())
    }
}

fn gauge(name: &'static str, value: i64) {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
    metrics::gauge!(name).set(value as f64);
}
