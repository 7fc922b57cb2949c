//! How much one socket or user may do: token buckets, and what counts as abuse.

use std::time::Instant;

/// Refills at a steady rate up to its capacity.
#[derive(Debug)]
pub struct Bucket {
    tokens: f32,
    capacity: f32,
    per_second: f32,
    at: Instant,
}

impl Bucket {
    pub fn new(capacity: f32, per_second: f32, now: Instant) -> Self {
        Self { tokens: capacity, capacity, per_second, at: now }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f32();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.capacity);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    /// Whether nothing was taken for so long that a new bucket would be the same.
    pub fn is_full(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f32();
        self.tokens + elapsed * self.per_second >= self.capacity
    }
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Handle,
    /// Over the limit: not handled.
    Drop,
    /// Over the limit for so long that the socket is ended.
    Disconnect,
}

/// Events of one socket: a second's worth at once, then the configured rate. Whoever exceeds it by another second's
/// worth without a pause is disconnected.
#[derive(Debug)]
pub struct EventLimit {
    bucket: Bucket,
    allowance: u32,
    dropped: u32,
}

impl EventLimit {
    pub fn new(per_second: u32, now: Instant) -> Self {
        // A float holds every rate the configuration allows.
        let rate = per_second as f32;
        Self { bucket: Bucket::new(rate, rate, now), allowance: per_second, dropped: 0 }
    }

    pub fn judge(&mut self, now: Instant) -> Verdict {
        let rested = now.saturating_duration_since(self.bucket.at).as_secs() >= 1;
        if rested {
            self.dropped = 0;
        }
        if self.bucket.take(now) {
            return Verdict::Handle;
        }
        self.dropped += 1;
        if self.dropped > self.allowance { Verdict::Disconnect } else { Verdict::Drop }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_refills_up_to_its_capacity() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2.0, 2.0, start);
        assert_eq!([bucket.take(start), bucket.take(start), bucket.take(start)], [true, true, false]);
        let later = start + Duration::from_millis(500);
        assert_eq!([bucket.take(later), bucket.take(later)], [true, false]);
        let much_later = start + Duration::from_secs(60);
        let taken = (0..10).filter(|_| bucket.take(much_later)).count();
        assert_eq!(taken, 2);
    }

    /// Fault case 133: 100 events a second.
    #[test]
    fn whoever_floods_is_dropped_and_then_disconnected() {
        let start = Instant::now();
        let mut limit = EventLimit::new(20, start);
        let verdicts: Vec<Verdict> =
            (0..100_u64).map(|number| limit.judge(start + Duration::from_millis(number * 10))).collect();
        assert!(verdicts[..20].iter().all(|verdict| *verdict == Verdict::Handle));
        assert!(verdicts.contains(&Verdict::Drop));
        assert!(verdicts.contains(&Verdict::Disconnect));
    }

    #[test]
    fn a_steady_client_at_the_rate_is_never_dropped() {
        let start = Instant::now();
        let mut limit = EventLimit::new(20, start);
        for number in 0..1000 {
            assert_eq!(limit.judge(start + Duration::from_millis(number * 51)), Verdict::Handle);
        }
    }
}
