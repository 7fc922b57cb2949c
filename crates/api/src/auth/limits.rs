//! How often logins and registrations may be tried, per client address (hard) and per account (soft), and how often an
//! address may cause a call to Authentik or a row without being anybody. Counted in this process; a number of replicas
//! allow that many times as much.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
};

use freehunt_config::LoginLimits;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

/// Keys that are at rest are forgotten once in so many calls, so that a flood of keys costs no more than it brings.
const CALLS_BETWEEN_SWEEPS: usize = 4_096;

/// One for the process.
pub struct LoginLimiter {
    logins_by_address: Limiter<IpAddr>,
    logins_by_account: Limiter<AccountKey>,
    registrations_by_address: Limiter<IpAddr>,
    adoptions_by_address: Limiter<IpAddr>,
    oidc_logins_by_address: Limiter<IpAddr>,
}

struct Limiter<K: Hash + Eq + Clone> {
    budgets: DefaultKeyedRateLimiter<K>,
    calls: AtomicUsize,
}

/// Whose account is tried. A browser that was signed in to it before has a budget of its own, which strangers who try
/// passwords cannot use up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountKey {
    /// The user's id, or a hash of what was filled in when there is no such user.
    pub(super) account: Vec<u8>,
    pub(super) is_known_browser: bool,
}

impl LoginLimiter {
    pub fn new(limits: &LoginLimits) -> Self {
        let per_minute = |rate: u32| Quota::per_minute(at_least_one(rate));
        let per_hour = |rate: u32| Quota::per_hour(at_least_one(rate));
        Self {
            logins_by_address: Limiter::new(per_minute(limits.per_address_per_minute), limits.per_address_burst),
            logins_by_account: Limiter::new(per_minute(limits.per_account_per_minute), limits.per_account_burst),
            registrations_by_address: Limiter::new(per_hour(limits.registration_per_hour), limits.registration_burst),
            adoptions_by_address: Limiter::new(per_minute(limits.adoption_per_minute), limits.adoption_burst),
            oidc_logins_by_address: Limiter::new(per_minute(limits.oidc_per_minute), limits.oidc_burst),
        }
    }

    /// Counts a login; the seconds to wait when it is one too many.
    pub(super) fn log_in_from(&self, address: IpAddr) -> Result<(), u32> {
        self.logins_by_address.count(&network(address))
    }

    /// Counts a login to one account.
    pub(super) fn log_in_to(&self, account: &AccountKey) -> Result<(), u32> {
        self.logins_by_account.count(account)
    }

    pub(super) fn register_from(&self, address: IpAddr) -> Result<(), u32> {
        self.registrations_by_address.count(&network(address))
    }

    /// Counts a question to Authentik whose an unknown cookie is.
    pub(super) fn adopt_from(&self, address: IpAddr) -> Result<(), u32> {
        self.adoptions_by_address.count(&network(address))
    }

    /// Counts an OpenID Connect login that begins.
    pub(super) fn begin_oidc_from(&self, address: IpAddr) -> Result<(), u32> {
        self.oidc_logins_by_address.count(&network(address))
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Whoever has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        },
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Quota, burst: u32) -> Self {
        Self { budgets: RateLimiter::keyed(rate.allow_burst(at_least_one(burst))), calls: AtomicUsize::new(0) }
    }

    /// The seconds to wait when it is one too many.
    fn count(&self, key: &K) -> Result<(), u32> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % CALLS_BETWEEN_SWEEPS == CALLS_BETWEEN_SWEEPS - 1 {
            self.budgets.retain_recent();
            self.budgets.shrink_to_fit();
        }
        self.budgets.check_key(key).map_err(|refused| {
            let seconds = refused.wait_time_from(self.budgets.clock().now()).as_secs_f64().ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most an hour, never negative"
            )]
            let seconds = seconds as u32;
            seconds.max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> LoginLimiter {
        LoginLimiter::new(&LoginLimits {
            per_address_burst: 3,
            per_address_per_minute: 1,
            per_account_burst: 2,
            per_account_per_minute: 10,
            registration_burst: 1,
            registration_per_hour: 1,
            adoption_burst: 2,
            adoption_per_minute: 1,
            oidc_burst: 1,
            oidc_per_minute: 1,
        })
    }

    /// A flood from ever new addresses leaves no more than the keys of the last few thousand calls.
    #[test]
    fn keys_at_rest_are_forgotten() {
        let limiter = Limiter::new(Quota::per_second(NonZeroU32::MAX), 1);
        for number in 0..CALLS_BETWEEN_SWEEPS * 3 {
            assert_eq!(limiter.count(&number), Ok(()));
        }
        assert!(limiter.budgets.len() < CALLS_BETWEEN_SWEEPS, "{}", limiter.budgets.len());
    }

    /// Fault case 18.
    #[test]
    fn addresses_are_counted_apart_and_ipv6_by_network() {
        let limiter = limiter();
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        for host in 1..=3 {
            assert_eq!(limiter.log_in_from(parse(&format!("2001:db8::{host}"))), Ok(()));
        }
        assert!(limiter.log_in_from(parse("2001:db8::4")).is_err_and(|seconds| (50..=60).contains(&seconds)));
        assert_eq!(limiter.log_in_from(parse("2001:db8:0:1::4")), Ok(()));
        assert_eq!(network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
        assert_eq!(limiter.register_from(parse("192.0.2.1")), Ok(()));
        assert!(limiter.register_from(parse("192.0.2.1")).is_err_and(|seconds| seconds > 3000));
    }

    /// Fault case 17.
    #[test]
    fn strangers_do_not_use_up_the_budget_of_a_known_browser() {
        let limiter = limiter();
        let stranger = AccountKey { account: vec![1], is_known_browser: false };
        let known = AccountKey { is_known_browser: true, ..stranger.clone() };
        assert_eq!((limiter.log_in_to(&stranger), limiter.log_in_to(&stranger)), (Ok(()), Ok(())));
        assert!(limiter.log_in_to(&stranger).is_err_and(|seconds| seconds <= 6));
        assert_eq!(limiter.log_in_to(&known), Ok(()));
    }
}
