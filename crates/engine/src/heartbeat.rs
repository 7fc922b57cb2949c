//! Whether a client is still there: it is asked at intervals, and has a time to answer.

use std::{sync::Arc, time::Duration};

use crate::socket::{DisconnectReason, Socket};

/// Never ends by itself before the session has no client any more.
pub(crate) async fn watch<D: Default + Send + Sync + 'static>(
    socket: Arc<Socket<D>>,
    interval: Duration,
    timeout: Duration,
) {
    // An answer is only looked for when its time is over: a client that answers wakes nobody.
    let pause = interval.saturating_sub(timeout);
    let mut until_ping = interval;
    loop {
        tokio::time::sleep(until_ping).await;
        until_ping = pause;
        let is_reached = socket.ping();
        tokio::time::sleep(timeout).await;
        // Whoever answers what was not sent has not heard it.
        if !is_reached || !socket.has_answered() {
            return socket.close(DisconnectReason::HeartbeatTimeout);
        }
    }
}
