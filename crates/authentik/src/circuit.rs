//! The circuit breaker: after several failures in a row, Authentik is not asked for a moment.
//!
//! While it is down, a request costs one time limit for the first few callers and nothing afterwards. It knows
//! nothing of HTTP; the caller says what counts as a failure.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

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
    pub(crate) fn permit(&self) -> Result<Permit<'_>, Unavailable> {
        let mut state = self.lock();
        let probe = match state.open_until {
            None => false,
            Some(until) if Instant::now() < until || state.probing => {
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

    pub(crate) fn failed(self) {
        let settings = self.circuit.settings;
        let now = Instant::now();
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

    fn circuit() -> Circuit {
        Circuit::new(CircuitSettings::default())
    }

    fn fail(circuit: &Circuit, times: u32) {
        for _ in 0..times {
            circuit.permit().expect("closed").failed();
        }
    }

    /// Fault case 14.
    #[tokio::test(start_paused = true)]
    async fn opens_after_five_failures_and_one_probe_closes_it() {
        let circuit = circuit();
        fail(&circuit, 4);
        assert!(circuit.permit().is_ok(), "four failures are not enough");
        fail(&circuit, 1);
        assert!(circuit.permit().is_err());
        tokio::time::advance(Duration::from_secs(3)).await;
        let probe = circuit.permit().expect("one probe is let through");
        assert!(circuit.permit().is_err(), "only one");
        probe.succeeded();
        assert!(circuit.permit().is_ok());
        fail(&circuit, 4);
        assert!(circuit.permit().is_ok(), "the count began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_keeps_it_open_and_a_dropped_one_lets_the_next_try() {
        let circuit = circuit();
        fail(&circuit, 5);
        tokio::time::advance(Duration::from_secs(3)).await;
        circuit.permit().expect("probe").failed();
        assert!(circuit.permit().is_err());
        tokio::time::advance(Duration::from_secs(3)).await;
        drop(circuit.permit().expect("probe"));
        circuit.permit().expect("the next probe").succeeded();
        assert!(circuit.permit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_do_not_add_up() {
        let circuit = circuit();
        for _ in 0..20 {
            fail(&circuit, 1);
            tokio::time::advance(Duration::from_secs(31)).await;
        }
        assert!(circuit.permit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn late_failures_do_not_prolong_the_pause() {
        let circuit = circuit();
        let late = circuit.permit().expect("closed");
        fail(&circuit, 5);
        tokio::time::advance(Duration::from_secs(2)).await;
        late.failed();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(circuit.permit().is_ok());
    }
}
