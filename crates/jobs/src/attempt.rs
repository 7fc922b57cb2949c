//! Running one job: at once for somebody who waits for the answer, or when the worker claimed it.

use std::{ops::ControlFlow, time::Duration};

use freehunt_domain::{ids::JobId, jobs::Job};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Jobs, Setback,
    queue::{self, ClaimedJob, JobState},
};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The job ran to its end; what it decided is in its rows.
    Done,
    /// Not known yet: it goes on without whoever waited.
    Pending,
    /// It was given up; an operator can retry it.
    Dead,
}

/// Setbacks of this kind after which a job that moves no money is given up.
const MOST_ATTEMPTS: i32 = 20;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A third of the lease, so that two renewals may fail.
const RENEWAL: Duration = Duration::from_secs(8);
/// The longest pause between two looks at a job that somebody else runs.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

impl Jobs {
    /// Runs a committed job as soon as it is due, or waits for whoever is running it, for at most `limit`. What has begun
    /// goes on when the caller stops waiting.
    pub async fn attempt(&self, id: JobId, limit: Duration) -> AttemptOutcome {
        let deadline = Instant::now() + limit;
        let mut look = Duration::from_millis(20);
        loop {
            let pause = match self.attempt_once(id, deadline).await {
                Ok(ControlFlow::Break(outcome)) => return outcome,
                Ok(ControlFlow::Continue(due_in)) => due_in.max(look),
                Err(error) => {
                    tracing::warn!(job = %id, error = %error, "a job could not be claimed");
                    return AttemptOutcome::Pending;
                }
            };
            if Instant::now() + pause >= deadline {
                return AttemptOutcome::Pending;
            }
            sleep(pause).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }

    /// Goes on while somebody else runs the job, or for as long as it is not due.
    async fn attempt_once(
        &self,
        id: JobId,
        deadline: Instant,
    ) -> Result<ControlFlow<AttemptOutcome, Duration>, sqlx::Error> {
        let claimed = {
            let mut connection = self.context().pool.acquire().await?;
            match queue::claim(&mut connection, id).await? {
                Some(job) => job,
                None => {
                    return Ok(match queue::find_state(&mut connection, id).await? {
                        JobState::Done => ControlFlow::Break(AttemptOutcome::Done),
                        JobState::Dead => ControlFlow::Break(AttemptOutcome::Dead),
                        JobState::Ready { is_leased: true, .. } => ControlFlow::Continue(Duration::ZERO),
                        JobState::Ready { due_in, .. } => ControlFlow::Continue(due_in),
                    });
                }
            }
        };
        // A task of its own: a client that hangs up must not stop a payment half way.
        let jobs = self.clone();
        let running = tokio::spawn(async move { jobs.run_claimed(claimed).await });
        let outcome = timeout_at(deadline, running).await;
        Ok(ControlFlow::Break(outcome.ok().and_then(Result::ok).unwrap_or(AttemptOutcome::Pending)))
    }

    /// Runs a claimed job and writes down how it ended.
    pub(crate) async fn run_claimed(&self, job: ClaimedJob) -> AttemptOutcome {
        let result = self.run_renewing(&job).await;
        let outcome = self.conclude(&job, result).await;
        outcome.unwrap_or_else(|error| {
            // The lease ends by itself, and the job is idempotent.
            tracing::warn!(job = %job.id, kind = job.kind, %error, "a job's end could not be written down");
            AttemptOutcome::Pending
        })
    }

    async fn run_renewing(&self, job: &ClaimedJob) -> Result<(), Setback> {
        let work: Job = serde_json::from_value(job.payload.clone()).map_err(|error| Setback::Broken(error.into()))?;
        let jobs = self.clone();
        // A panic in a job must not take its worker along.
        let mut running = tokio::spawn(async move { jobs.run_kind(work).await });
        loop {
            tokio::select! {
                ended = &mut running => {
                    return ended.unwrap_or_else(|panic| Err(Setback::Broken(anyhow::anyhow!("the job panicked: {panic}"))));
                }
                () = sleep(RENEWAL) => self.renew(job).await,
            }
        }
    }

    async fn renew(&self, job: &ClaimedJob) {
        let renewed = async {
            let mut connection = self.context().pool.acquire().await?;
            queue::renew(&mut connection, job).await
        };
        if let Err(error) = renewed.await {
            tracing::warn!(job = %job.id, %error, "a job's lease could not be renewed");
        }
    }

    async fn conclude(&self, job: &ClaimedJob, result: Result<(), Setback>) -> Result<AttemptOutcome, sqlx::Error> {
        let mut connection = self.context().pool.acquire().await?;
        let Err(setback) = result else {
            queue::finish(&mut connection, job).await?;
            return Ok(AttemptOutcome::Done);
        };
        let text: String = setback.to_string().chars().take(1000).collect();
        let delay = match &setback {
            Setback::NotYet { after, .. } => *after,
            Setback::Unavailable(_) => pause_after(job.attempts),
            Setback::Broken(_) => {
                tracing::error!(job = %job.id, kind = job.kind, attempts = job.attempts, error = text, "a job failed");
                if job.attempts >= MOST_ATTEMPTS && !moves_money(&job.kind) {
                    queue::kill(&mut connection, job, &text).await?;
                    return Ok(AttemptOutcome::Dead);
                }
                pause_after(job.attempts)
            }
        };
        tracing::info!(job = %job.id, kind = job.kind, attempts = job.attempts, reason = text, "a job is tried again later");
        queue::postpone(&mut connection, job, delay, &text).await?;
        Ok(AttemptOutcome::Pending)
    }
}

/// Doubles from one second.
fn pause_after(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 16)).unwrap_or(1) - 1;
    Duration::from_secs(1 << doublings).min(LONGEST_PAUSE)
}

/// Jobs that are never given up.
fn moves_money(kind: &str) -> bool {
    matches!(kind, "create_checkout" | "expire_checkout" | "send_transfer" | "send_refund")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 9, 10, 1000].map(|attempts| pause_after(attempts).as_secs()).to_vec();
        assert_eq!(seconds, [1, 1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn what_moves_money_is_never_given_up() {
        let id = uuid::Uuid::nil();
        assert!(moves_money(Job::SendTransfer { transfer_intent_id: id.into() }.kind()));
        assert!(moves_money(Job::SendRefund { refund_intent_id: id.into() }.kind()));
        assert!(moves_money(Job::CreateCheckout { payment_session_id: id.into() }.kind()));
        assert!(moves_money(Job::ExpireCheckout { payment_session_id: id.into() }.kind()));
        assert!(!moves_money(Job::DeleteObject { key: String::new() }.kind()));
    }
}
