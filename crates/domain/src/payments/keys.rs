//! Which idempotency key of an intent may go out. A second key for the same money is as good as a second payment while
//! a request with the first one can still be running: it follows only when the first has rested, and Stripe was then
//! seen to have made nothing of it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Stripe keeps keys for 24 hours; this leaves time for the call itself.
pub const KEY_LIFETIME: TimeDelta = TimeDelta::hours(23);

/// How long after its last sending a request may still be carried out, at the most.
pub const QUARANTINE: TimeDelta = TimeDelta::minutes(2);

/// What an intent's row says of its key; times are the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// When it went out first; `None` before.
    pub used_at: Option<DateTime<Utc>>,
    /// When it went out last.
    pub sent_at: Option<DateTime<Utc>>,
    /// It answers a failure, or belongs to another amount: it never goes out again.
    pub is_spent: bool,
}

/// What may be done, once Stripe was seen to have made nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It goes out (again).
    Usable,
    /// Another one is needed, and what went out may still be carried out for so long.
    Resting(Duration),
    /// Another one takes its place.
    Replaceable,
}

impl KeyUse {
    /// `looked_at`: a moment before Stripe was asked what it has made.
    pub fn state(self, looked_at: DateTime<Utc>) -> KeyState {
        let is_old = self.used_at.is_some_and(|used| looked_at - used > KEY_LIFETIME);
        if !self.is_spent && !is_old {
            return KeyState::Usable;
        }
        self.rest(looked_at).map_or(KeyState::Replaceable, KeyState::Resting)
    }

    /// For how long what went out may still be carried out without a look at `looked_at` having seen it.
    pub fn rest(self, looked_at: DateTime<Utc>) -> Option<Duration> {
        // A version that does not know the last sending notes the first.
        let rested_at = self.sent_at.or(self.used_at)? + QUARANTINE;
        // A second more, so that the next look comes after the end.
        (looked_at <= rested_at).then(|| (rested_at - looked_at).to_std().unwrap_or_default() + Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn key(used: Option<i64>, sent: Option<i64>, is_spent: bool) -> KeyUse {
        let at = |minute: i64| Utc.timestamp_opt(minute * 60, 0).unwrap();
        KeyUse { used_at: used.map(at), sent_at: sent.map(at), is_spent }
    }

    fn state(key: KeyUse, minute: i64) -> KeyState {
        key.state(Utc.timestamp_opt(minute * 60, 0).unwrap())
    }

    #[test]
    fn a_key_goes_out_again_while_stripe_keeps_it() {
        assert_eq!(state(key(None, None, false), 0), KeyState::Usable);
        assert_eq!(state(key(Some(0), Some(0), false), 0), KeyState::Usable);
        assert_eq!(state(key(Some(0), Some(1), false), 23 * 60), KeyState::Usable);
        assert_eq!(state(key(Some(0), Some(1), false), 23 * 60 + 1), KeyState::Replaceable);
        // It went out a moment ago, a day after the first time.
        let resting = state(key(Some(0), Some(23 * 60), false), 23 * 60 + 1);
        assert_eq!(resting, KeyState::Resting(Duration::from_secs(61)));
    }

    #[test]
    fn a_spent_key_rests_before_another_follows() {
        assert_eq!(state(key(Some(0), Some(10), true), 11), KeyState::Resting(Duration::from_secs(61)));
        assert_eq!(state(key(Some(0), Some(10), true), 12), KeyState::Resting(Duration::from_secs(1)));
        assert_eq!(state(key(Some(0), Some(10), true), 13), KeyState::Replaceable);
        assert_eq!(state(key(None, None, true), 0), KeyState::Replaceable);
    }
}
