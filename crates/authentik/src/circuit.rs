//! The circuit breaker: after several failures in a row, Authentik is not asked for a moment.
//!
//! While it is down, a request costs one time limit for the first few callers and nothing afterwards. It knows
//! nothing of HTTP and reads no clock; the caller says what counts as a failure, and when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::error::{Unavailable, UnavailableKind};

/// When to stop asking, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CircuitSettings {
    /// This many failures in a row open the circuit.
    pub failures: u32,
    /// Failures further apart than this do not add up.
    pub window: Duration,
    /// How long nothing is asked. One probe then decides.
    pub pause: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self { failures: 5, window: Duration::from_secs(30), pause: Duration::from_secs(3) }
    }
}

#[derive(Default)]
struct State {
    failures_in_a_row: u32,
    last_failure: Option<Instant>,
    open_until: Option<Instant>,
    probing: bool,
}

pub(crate) struct Circuit {
    settings: CircuitSettings,
    state: Mutex<State>,
}

impl Circuit {
    pub(crate) fn new(settings: CircuitSettings) -> Self {
        Self { settings, state: Mutex::new(State::default()) }
    }

    /// Leave to make one call, or [`UnavailableKind::CircuitOpen`]. Dropping the permit unused decides nothing.
    pub(crate) fn permit(&self, now: Instant) -> Result<Permit<'_>, Unavailable> {
        let mut state = self.lock();
        let probe = match state.open_until {
            None => false,
            Some(until) if now < until || state.probing => {
                return Err(UnavailableKind::CircuitOpen.into());
            }
            Some(_) => {
                state.probing = true;
                true
            }
        };
        Ok(Permit { circuit: self, probe })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Permit<'a> {
    circuit: &'a Circuit,
    probe: bool,
}

impl Permit<'_> {
    pub(crate) fn succeeded(self) {
        let mut state = self.circuit.lock();
        if state.open_until.is_some() {
            tracing::info!("Authentik answers again");
        }
        *state = State::default();
    }

    pub(crate) fn failed(self, now: Instant) {
        let settings = self.circuit.settings;
        let mut state = self.circuit.lock();
        let in_window = state.last_failure.is_some_and(|last| now.duration_since(last) <= settings.window);
        state.failures_in_a_row = if in_window { state.failures_in_a_row.saturating_add(1) } else { 1 };
        state.last_failure = Some(now);
        // Calls that began before the circuit opened do not prolong the pause.
        let first_to_open = state.open_until.is_none() && state.failures_in_a_row >= settings.failures;
        if self.probe || first_to_open {
            state.open_until = Some(now + settings.pause);
        }
        if first_to_open {
            tracing::warn!(
                failures = state.failures_in_a_row,
                "Authentik failed repeatedly and is not asked for a moment"
            );
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.circuit.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A circuit and the time it is asked at.
    struct Clocked {
        circuit: Circuit,
        now: Instant,
    }

    impl Clocked {
        fn new() -> Self {
            Self { circuit: Circuit::new(CircuitSettings::default()), now: Instant::now() }
        }

        fn permit(&self) -> Result<Permit<'_>, Unavailable> {
            self.circuit.permit(self.now)
        }

        fn fail(&self, times: u32) {
            for _ in 0..times {
                self.permit().expect("closed").failed(self.now);
            }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    /// Fault case 14.
    #[test]
    fn opens_after_five_failures_and_one_probe_closes_it() {
        let mut circuit = Clocked::new();
        circuit.fail(4);
        assert!(circuit.permit().is_ok(), "four failures are not enough");
        circuit.fail(1);
        assert!(circuit.permit().is_err());
        circuit.wait(3);
        let probe = circuit.permit().expect("one probe is let through");
        assert!(circuit.permit().is_err(), "only one");
        probe.succeeded();
        assert!(circuit.permit().is_ok());
        circuit.fail(4);
        assert!(circuit.permit().is_ok(), "the count began anew");
    }

    #[test]
    fn a_failed_probe_keeps_it_open_and_a_dropped_one_lets_the_next_try() {
        let mut circuit = Clocked::new();
        circuit.fail(5);
        circuit.wait(3);
        circuit.permit().expect("probe").failed(circuit.now);
        assert!(circuit.permit().is_err());
        circuit.wait(3);
        drop(circuit.permit().expect("probe"));
        circuit.permit().expect("the next probe").succeeded();
        assert!(circuit.permit().is_ok());
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let mut circuit = Clocked::new();
        for _ in 0..20 {
            circuit.fail(1);
            circuit.wait(31);
        }
        assert!(circuit.permit().is_ok());
    }

    #[test]
    fn late_failures_do_not_prolong_the_pause() {
        let circuit = Circuit::new(CircuitSettings::default());
        let start = Instant::now();
        let late = circuit.permit(start).expect("closed");
        for _ in 0..5 {
            circuit.permit(start).expect("closed").failed(start);
        }
        late.failed(start + Duration::from_secs(2));
        assert!(circuit.permit(start + Duration::from_secs(3)).is_ok());
    }
}
