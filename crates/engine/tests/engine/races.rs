//! What comes in every order when the server's threads run at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use engineioxide::{DisconnectReason, Socket};
use tokio::sync::mpsc::error::TrySendError;

use crate::server::{Client, Server};

/// The most messages of a session.
const MOST: usize = 40;

/// A session goes over to its WebSocket while it is sent to, and is ended at any moment of it: what arrives is without a
/// gap and in order, and everything that was sent before the end if the end came late enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_goes_over_while_it_is_sent_to_and_ended() {
    for last in (1..=MOST).cycle().take(8 * MOST) {
        let server = Server::start();
        let sid = server.open().await;
        let client = server.upgrade(&sid).await.expect("a connection");
        let sending = tokio::spawn(send_and_end(server.socket(), last));
        let (received, has_gone_over) = go_over_and_read(&server, &sid, client).await;
        sending.await.unwrap();
        let expected: Vec<usize> = (1..=received.len()).collect();
        assert_eq!(received, expected, "ended after {last}");
        assert!(received.len() == last || !has_gone_over, "{} of {last}", received.len());
        server.socket().closed().await;
        assert_eq!(server.told(2).await, ["connected", "ClosingServer"]);
        assert!(!server.has_last().await);
    }
}

async fn send_and_end(socket: Arc<Socket<()>>, last: usize) {
    for number in 1..=last {
        while let Err(error) = socket.emit(number.to_string()) {
            assert!(matches!(error, TrySendError::Full(_)), "{error}");
            tokio::task::yield_now().await;
        }
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    socket.close(DisconnectReason::ClosingServer);
}

/// As a client of JavaScript does it. The numbers that it was sent, and whether it got to the WebSocket.
async fn go_over_and_read(server: &Server, sid: &str, mut client: Client) -> (Vec<usize>, bool) {
    let mut received = Vec::new();
    let is_probed = AtomicBool::new(false);
    let polling = async {
        let query = format!("EIO=4&transport=polling&sid={sid}");
        while !is_probed.load(Ordering::Relaxed) {
            let (status, payload) = server.get(&query).await;
            if status != 200 {
                return false;
            }
            received.extend(payload.split('\u{1e}').filter_map(number_in));
        }
        true
    };
    let probing = async {
        client.send_if_open("2probe").await;
        let answer = client.ends_or_says().await;
        is_probed.store(true, Ordering::Relaxed);
        answer.as_deref() == Some("3probe")
    };
    let (still_there, is_upgradable) = tokio::join!(polling, probing);
    if !still_there || !is_upgradable {
        return (received, false);
    }
    client.send_if_open("5").await;
    let mut has_gone_over = false;
    while let Some(packet) = client.ends_or_says().await {
        has_gone_over = true;
        received.extend(number_in(&packet));
    }
    (received, has_gone_over)
}

fn number_in(packet: &str) -> Option<usize> {
    packet.strip_prefix('4')?.parse().ok()
}
