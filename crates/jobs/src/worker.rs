//! The loops of one replica: claim what is due, run it, look again.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{Jobs, poll, queue, sweep};

/// Jobs run at once by one replica.
const WORKERS: usize = 4;
/// How often an idle worker looks at the table; a wake-up comes earlier.
const IDLE: Duration = Duration::from_secs(1);
/// Pause after the table could not be read.
const AWAY: Duration = Duration::from_secs(2);

impl Jobs {
    /// Works until `stop` is cancelled; what is under way then is finished.
    pub async fn run(self, stop: CancellationToken) {
        let mut loops = JoinSet::new();
        for _ in 0..WORKERS {
            loops.spawn(self.clone().work(stop.clone()));
        }
        loops.spawn(poll::run(self.clone(), stop.clone()));
        loops.spawn(sweep::run(self, stop));
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a loop of the jobs ended by a panic");
            }
        }
    }

    async fn work(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.claim_next().await {
                Ok(Some(job)) => {
                    // There may be more: another worker looks while this one runs.
                    self.wake();
                    self.run_claimed(job).await;
                    continue;
                }
                Ok(None) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "the jobs could not be read");
                    AWAY
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.wake.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn claim_next(&self) -> Result<Option<queue::ClaimedJob>, sqlx::Error> {
        let mut connection = self.context().pool.acquire().await?;
        queue::claim_next(&mut connection).await
    }
}
