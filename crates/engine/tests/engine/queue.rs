use std::collections::VecDeque;

use bytes::Bytes;
use engineioxide::{config::EngineIoConfig, socket::Waiting};
use tokio::sync::mpsc::error::TrySendError;

use crate::server::Server;

#[tokio::test]
async fn as_many_packets_wait_as_may() {
    let server = Server::with(EngineIoConfig::builder().max_buffer_size(2));
    let sid = server.open().await;
    let socket = server.socket();
    let place = socket.reserve().unwrap();
    socket.emit("first").unwrap();
    assert!(matches!(socket.emit("second"), Err(TrySendError::Full(message)) if &*message == "second"));
    // A place that is not used is free again.
    drop(place);
    let place = socket.reserve().unwrap();
    assert!(socket.reserve().is_err());
    place.emit("second".into());
    let waiting: Waiting = socket.req_parts.extensions.get().cloned().unwrap();
    assert_eq!(waiting.packets(), 2);
    assert_eq!(server.poll(&sid).await, "4first\u{1e}4second");
    assert_eq!(waiting.packets(), 0);
    socket.emit_binary(vec![0]).unwrap();
}

#[tokio::test]
async fn a_message_stays_with_its_attachments() {
    let server = Server::with(EngineIoConfig::builder().max_buffer_size(2));
    let sid = server.open().await;
    let socket = server.socket();
    let place = socket.reserve().unwrap();
    socket.emit("before").unwrap();
    place.emit_many("with".into(), VecDeque::from([Bytes::from_static(&[1]), Bytes::from_static(&[2])]));
    assert_eq!(server.poll(&sid).await, "4before\u{1e}4with\u{1e}bAQ==\u{1e}bAg==");
}

#[tokio::test]
async fn of_volatile_messages_the_last_is_sent_after_all_others() {
    let server = Server::start();
    let (mut client, _) = server.connect().await;
    let socket = server.socket();
    // Nothing is taken from the queue before this task waits.
    assert!(socket.emit_volatile("outdated"));
    assert!(socket.emit_volatile("latest"));
    socket.emit("important").unwrap();
    assert_eq!(client.next().await.as_deref(), Some("4important"));
    assert_eq!(client.next().await.as_deref(), Some("4latest"));
    socket.emit("next").unwrap();
    assert_eq!(client.next().await.as_deref(), Some("4next"));
}

#[tokio::test]
async fn a_session_that_is_over_leaves_nothing_behind() {
    let server = Server::start();
    let sid = server.open().await;
    server.post(&sid, "1").await;
    assert!(!server.has_last().await, "after polls");
    let (client, _) = server.connect().await;
    client.close().await;
    assert!(!server.has_last().await, "after a WebSocket");
    let sid = server.open().await;
    let mut client = server.upgrade(&sid).await.expect("a connection");
    client.go_over().await;
    client.send("4hello").await;
    assert_eq!(server.told(6).await.last().unwrap(), "text hello");
    server.socket().close(engineioxide::DisconnectReason::ClosingServer);
    assert_eq!(client.next().await.as_deref(), Some("1"));
    assert_eq!(client.next().await, None);
    assert!(!server.has_last().await, "after both");
}
