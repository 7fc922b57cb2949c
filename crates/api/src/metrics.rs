//! The numbers of the API beside those of its requests, and the ones that are looked up when they are asked for.

use freehunt_domain::database::Counts;
use freehunt_serving::metrics::set_connections;
use metrics::{counter, describe_counter, describe_gauge};

use crate::{routes::stripe_webhook, state::AppState};

/// Takes the numbers that nobody counts as they change.
pub fn sample(state: &AppState) {
    set_connections(&[Counts::of(&state.pool), state.connections.count()]);
    #[expect(clippy::cast_precision_loss, reason = "the cache holds far fewer than 2^53 sessions")]
    metrics::gauge!("freehunt_sessions_cached").set(state.sessions.count() as f64);
}

/// Also makes those that an alert asks for begin at 0: an increase from nothing is none.
pub fn describe() {
    for name in [
        "freehunt_log_ins_refused_total",
        "freehunt_payments_quarantined_total",
        "freehunt_panics_total",
        "freehunt_events_without_webhook_total",
        "freehunt_fanout_failures_total",
        "freehunt_fanout_dropped_total",
    ] {
        counter!(name).increment(0);
    }
    for reason in stripe_webhook::REASONS {
        counter!("freehunt_webhooks_rejected_total", "reason" => reason).increment(0);
    }
    describe_gauge!("freehunt_sessions_cached", "Checked sessions held in memory");
    describe_counter!("freehunt_session_lookups_total", "Requests with a cookie, by where its session was found");
    describe_counter!("freehunt_answer_lookups_total", "Answers that may be kept in memory, by where they were found");
    describe_counter!("freehunt_sessions_begun_total", "Logins, by how");
    describe_counter!("freehunt_log_ins_refused_total", "Refused logins");
    describe_counter!("freehunt_webhooks_rejected_total", "Webhooks that were not accepted, by reason");
    describe_counter!("freehunt_payments_quarantined_total", "Payments that need an operator");
    describe_counter!(
        "freehunt_events_without_webhook_total",
        "Stripe's events that its list told before a webhook did"
    );
    describe_counter!("freehunt_fanout_failures_total", "Times that PostgreSQL had to carry events instead of Redis");
    describe_counter!("freehunt_fanout_dropped_total", "Chat events that the relays had to find by themselves");
    describe_counter!("freehunt_panics_total", "Handlers that panicked");
    describe_gauge!("freehunt_jobs_ready", "Durable jobs that wait");
    describe_gauge!("freehunt_jobs_dead", "Durable jobs that gave up");
    describe_gauge!("freehunt_stripe_events_age_seconds", "Time since Stripe's own list of events was read");
    describe_gauge!("freehunt_intents_stuck", "Payments pending for more than 15 minutes");
}
