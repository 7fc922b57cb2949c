//! Notices when a connection that listens has gone deaf: the replica tells itself something now and then, which also
//! measures how long that takes.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

/// How often this replica tells itself something.
const INTERVAL: Duration = Duration::from_secs(5);
/// What takes longer never comes.
pub const LONGEST: Duration = Duration::from_secs(10);
/// Begins the payload of a beat; signals are a JSON array.
const PREFIX: &str = "beat ";

/// The last beat did not come back.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nothing is heard any more")]
pub struct Deaf;

/// Why a connection no longer listens to PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Deaf(#[from] Deaf),
}

/// A connection that listens. One that falls silent before it has said so is given up: only later does a heart beat on it.
pub async fn listen_to(pool: &PgPool, channels: impl IntoIterator<Item = &str>) -> Result<PgListener, Lost> {
    let begun = async {
        let mut listener = PgListener::connect_with(pool).await?;
        // A lost connection is noticed at once; by itself sqlx would first look for another while nothing is heard.
        listener.eager_reconnect(false);
        listener.listen_all(channels).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    Ok(timeout(LONGEST, begun).await.map_err(|_| Deaf)??)
}

/// The beats of one connection.
pub struct Heart {
    /// Names the connection in metrics.
    via: &'static str,
    /// What was sent and has not come back.
    awaited: Option<(String, Instant)>,
}

impl Heart {
    /// A heart, and when it is to beat.
    pub fn new(via: &'static str) -> (Self, Interval) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        (Self { via, awaited: None }, ticks)
    }

    /// What to send now; nothing while the last beat may still come.
    pub fn beat(&mut self) -> Result<Option<String>, Deaf> {
        if let Some((_, sent)) = &self.awaited {
            return if sent.elapsed() > LONGEST { Err(Deaf) } else { Ok(None) };
        }
        let payload = format!("{PREFIX}{}", Uuid::new_v4());
        self.awaited = Some((payload.clone(), Instant::now()));
        Ok(Some(payload))
    }

    /// Whether the payload is a beat, this replica's or another's.
    pub fn is_beat(&mut self, payload: &str) -> bool {
        if let Some((_, sent)) = self.awaited.take_if(|(awaited, _)| awaited == payload) {
            let lag = sent.elapsed().as_secs_f64();
            metrics::gauge!("freehunt_listener_lag_seconds", "via" => self.via).set(lag);
        }
        payload.starts_with(PREFIX)
    }
}

/// Says whether a connection listens, for as long as it lives.
pub struct Connected(&'static str);

impl Connected {
    /// Not yet: an alert needs a number to look at.
    pub fn not_yet(via: &'static str) {
        metrics::gauge!("freehunt_listener_connected", "via" => via).set(0.0);
    }

    pub fn new(via: &'static str) -> Self {
        metrics::gauge!("freehunt_listener_connected", "via" => via).set(1.0);
        Self(via)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        metrics::gauge!("freehunt_listener_connected", "via" => self.0).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_does_not_come_back_is_deafness() {
        let mut heart = Heart { via: "test", awaited: None };
        let beat = heart.beat().unwrap().expect("the first beat");
        assert!(heart.beat().unwrap().is_none());
        assert!(heart.is_beat(&beat) && heart.is_beat("beat of another") && !heart.is_beat("[]"));
        let next = heart.beat().unwrap().expect("the next beat");
        heart.awaited = Instant::now().checked_sub(LONGEST + Duration::from_secs(1)).map(|sent| (next, sent));
        assert!(heart.beat().is_err());
    }
}
