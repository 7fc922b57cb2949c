use std::time::{Duration, Instant};

use engineioxide::config::{EngineIoConfig, EngineIoConfigBuilder};

use crate::server::Server;

const INTERVAL: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_millis(350);

fn impatient() -> EngineIoConfigBuilder {
    EngineIoConfig::builder().ping_interval(INTERVAL).ping_timeout(TIMEOUT)
}

#[tokio::test]
async fn a_client_that_answers_stays_and_one_that_does_not_is_dropped() {
    let server = Server::with(impatient());
    let (mut client, _) = server.connect().await;
    let mut pings = Vec::new();
    for _ in 0..3 {
        assert_eq!(client.next().await.as_deref(), Some("2"));
        pings.push(Instant::now());
        client.send("3").await;
    }
    // A client gives up when a ping comes later than the interval and the timeout together.
    let two_intervals = pings[2] - pings[0];
    assert!(two_intervals > 2 * INTERVAL - TIMEOUT && two_intervals < 2 * INTERVAL + TIMEOUT, "{two_intervals:?}");
    assert_eq!(server.told(1).await, ["connected"]);
    assert_eq!(client.next().await.as_deref(), Some("2"));
    assert_eq!(client.next().await.as_deref(), Some("1"));
    assert_eq!(client.next().await, None);
    assert_eq!(server.told(2).await, ["connected", "HeartbeatTimeout"]);
}

#[tokio::test]
async fn a_client_is_asked_whichever_transport_it_has() {
    let server = Server::with(impatient());
    let sid = server.open().await;
    for _ in 0..2 {
        assert_eq!(server.poll(&sid).await, "2");
        server.post(&sid, "3").await;
    }
    let mut client = server.upgrade(&sid).await.expect("a connection");
    client.go_over().await;
    for _ in 0..2 {
        assert_eq!(client.next().await.as_deref(), Some("2"));
        client.send("3").await;
    }
    assert_eq!(server.told(1).await, ["connected"]);
}

/// Also one whose queue is full, which a busy client's may be.
#[tokio::test]
async fn a_client_that_neither_reads_nor_polls_is_dropped() {
    let server = Server::with(impatient().max_buffer_size(1));
    let sid = server.open().await;
    server.socket().emit("unread").unwrap();
    assert_eq!(server.told(2).await, ["connected", "HeartbeatTimeout"]);
    server.socket().closed().await;
    assert_eq!(server.get(&format!("EIO=4&transport=polling&sid={sid}")).await.0, 400);
}

/// Answers to what it has not even fetched do not count.
#[tokio::test]
async fn a_client_that_posts_and_never_polls_is_dropped() {
    let server = Server::with(impatient());
    let sid = server.open().await;
    while server.post(&sid, "3").await == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.told(2).await, ["connected", "HeartbeatTimeout"]);
}

#[tokio::test]
async fn a_full_queue_takes_a_ping() {
    let server = Server::with(impatient().max_buffer_size(1));
    let sid = server.open().await;
    server.socket().emit("unread").unwrap();
    tokio::time::timeout(INTERVAL + TIMEOUT / 2, std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(server.poll(&sid).await, "4unread\u{1e}2");
    server.post(&sid, "3").await;
    assert_eq!(server.poll(&sid).await, "2");
}
