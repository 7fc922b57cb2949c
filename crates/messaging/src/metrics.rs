//! What the numbers of this server mean.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// Also gives those a number that have none before something happens: an alert needs one to look at.
pub fn describe() {
    metrics::gauge!("freehunt_sockets").set(0.0);
    counter!("freehunt_fanout_failures_total").increment(0);
    describe_gauge!("freehunt_sockets", "Connected sockets");
    describe_counter!("freehunt_fanout_failures_total", "Times that PostgreSQL had to carry events instead of Redis");
    describe_counter!("freehunt_session_confirmations_total", "Sessions that Authentik was asked about, by its answer");
    describe_counter!("freehunt_socket_events_total", "Events of clients, by what became of them");
    describe_counter!("freehunt_socket_refusals_total", "Refused handshakes and polls, by status");
    describe_counter!("freehunt_deliveries_total", "Events sent to sockets");
    describe_counter!("freehunt_replayed_messages_total", "Messages sent again to sockets that connected");
    describe_counter!("freehunt_events_found_by_scan_total", "Events that no notification told of");
    describe_counter!("freehunt_sockets_cut_total", "Sockets that were closed by the server, by how");
    describe_histogram!("freehunt_delivery_delay_seconds", Unit::Seconds, "From a change's transaction to its sockets");
    describe_histogram!("freehunt_event_load_seconds", Unit::Seconds, "Loading a batch of events");
}
