//! How fast a body has to arrive. It holds memory that others wait for, so it is not enough that something comes now and
//! then: it has to be on its way to its end, with room for slow lines and pauses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::Request};
use http_body_util::BodyExt;
use tokio::time::Instant;

/// How long the whole body may take; 5 MB in this time are 2 Mbit/s.
pub const RECEIVE_LIMIT: Duration = Duration::from_secs(20);
/// How long nothing may arrive.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// After so long a body has to be on its way.
const START_LIMIT: Duration = Duration::from_secs(5);
/// By how much a body may be behind the steady pace that ends at [`RECEIVE_LIMIT`]: a quarter of it is enough.
const LEEWAY: u32 = 4;

/// What has arrived of a body, and since when it is waited for.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    /// In bytes.
    length: u32,
    received: Arc<AtomicU32>,
}

impl Pace {
    /// Counts what arrives of the request's body from now on; `length` bytes of it are expected.
    pub fn of(request: Request, length: usize) -> (Request, Self) {
        let pace = Self::begin(length);
        let received = Arc::clone(&pace.received);
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let bytes = frame.data_ref().map_or(0, |data| u32::try_from(data.len()).unwrap_or(u32::MAX));
                received.fetch_add(bytes, Ordering::Relaxed);
                frame
            }))
        });
        (request, pace)
    }

    fn begin(length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX).max(1);
        Self { start: Instant::now(), length, received: Arc::default() }
    }

    /// When the next bytes have to be there at the latest. What has arrived pays for the time up to the moment when a
    /// quarter of the steady pace would have brought as much.
    pub fn next_due(&self) -> Instant {
        let paid = RECEIVE_LIMIT * LEEWAY * self.received.load(Ordering::Relaxed) / self.length;
        let on_course = self.start + paid.clamp(START_LIMIT, RECEIVE_LIMIT);
        on_course.min(Instant::now() + IDLE_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: u32 = 5 * 1024 * 1024;

    /// How long after its start a body is waited for that has brought `received` bytes, pauses aside.
    fn patience(received: u32) -> Duration {
        let mut pace = Pace::begin(FILE as usize);
        // Long ago, so that the pause after the last bytes is not what ends the waiting.
        pace.start = Instant::now().checked_sub(RECEIVE_LIMIT).expect("the machine is up for a minute");
        pace.received.store(received, Ordering::Relaxed);
        pace.next_due() - pace.start
    }

    #[test]
    fn a_quarter_of_the_steady_pace_is_asked_for() {
        assert_eq!(patience(0), START_LIMIT);
        assert_eq!(patience(FILE / 16), START_LIMIT);
        assert_eq!(patience(FILE / 8), Duration::from_secs(10));
        assert_eq!(patience(FILE / 4), RECEIVE_LIMIT);
        assert_eq!(patience(FILE), RECEIVE_LIMIT);
    }

    #[test]
    fn a_pause_ends_the_waiting_as_well() {
        let pace = Pace::begin(FILE as usize);
        pace.received.store(FILE / 2, Ordering::Relaxed);
        assert!(pace.next_due() <= Instant::now() + IDLE_LIMIT);
    }
}
