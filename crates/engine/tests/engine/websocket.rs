use std::time::Duration;

use engineioxide::{DisconnectReason, TransportType, config::EngineIoConfig};
use tokio::sync::mpsc::error::TrySendError;

use crate::server::Server;

#[tokio::test]
async fn packets_come_and_go_in_order() {
    let server = Server::start();
    let (mut client, sid) = server.connect().await;
    client.send("4first").await;
    client.send_bytes(&[1, 2]).await;
    client.send("4second").await;
    assert_eq!(server.told(4).await, ["connected", "text first", r#"bytes b"\x01\x02""#, "text second"]);
    for number in 1..=3 {
        server.socket().emit(format!("number {number}")).unwrap();
    }
    server.socket().emit_binary(vec![3]).unwrap();
    for expected in ["4number 1", "4number 2", "4number 3", r#"b"\x03""#] {
        assert_eq!(client.next().await.as_deref(), Some(expected));
    }
    assert_eq!(server.get(&format!("EIO=4&transport=polling&sid={sid}")).await.0, 400);
    assert!(server.upgrade(&sid).await.is_none());
}

/// However full the queue is, the client goes over and misses nothing.
#[tokio::test]
async fn a_session_goes_over_to_a_websocket() {
    let server = Server::with(EngineIoConfig::builder().max_buffer_size(8));
    let sid = server.open().await;
    let socket = server.socket();
    let mut client = server.upgrade(&sid).await.expect("a connection");
    // Until the client has probed it, it polls as before.
    socket.emit("polled").unwrap();
    assert_eq!(server.poll(&sid).await, "4polled");
    assert!(server.upgrade(&sid).await.is_none(), "one upgrade at a time");
    let (payload, ()) = tokio::join!(server.poll(&sid), client.send("2probe"));
    assert_eq!(payload, "6");
    assert_eq!(client.next().await.as_deref(), Some("3probe"));
    for number in 1..=8 {
        socket.emit(format!("{number}")).unwrap();
    }
    assert!(matches!(socket.emit("9"), Err(TrySendError::Full(_))));
    assert_eq!(server.poll(&sid).await, "6", "the rest is for the WebSocket");
    assert_eq!(server.post(&sid, "4posted").await, 200);
    assert_eq!(socket.transport_type(), TransportType::Polling);
    client.send("5").await;
    for number in 1..=8 {
        assert_eq!(client.next().await, Some(format!("4{number}")));
    }
    assert_eq!(socket.transport_type(), TransportType::Websocket);
    client.send("4hello").await;
    assert_eq!(server.told(3).await, ["connected", "text posted", "text hello"]);
    assert_eq!(server.post(&sid, "4posted").await, 400);
}

/// A client that waits neither for the answer to its probe nor for its poll. The poll may be looked at after the WebSocket.
#[tokio::test]
async fn a_hasty_client_goes_over_too() {
    let server = Server::start();
    let sid = server.open().await;
    let mut client = server.upgrade(&sid).await.expect("a connection");
    let hasty = async {
        client.send("2probe").await;
        client.send("5").await;
        assert_eq!(client.next().await.as_deref(), Some("3probe"));
        for number in 1..=3 {
            server.socket().emit(format!("{number}")).unwrap();
            assert_eq!(client.next().await, Some(format!("4{number}")));
        }
    };
    let (payload, ()) = tokio::join!(server.poll(&sid), hasty);
    assert_eq!(payload, "6");
}

#[tokio::test]
async fn a_session_whose_upgrade_fails_polls_on() {
    let server = Server::with(EngineIoConfig::builder().upgrade_timeout(Duration::from_millis(50)));
    let sid = server.open().await;
    let socket = server.socket();
    for packets in [&["4too early"][..], &["2probe", "4too early"], &["2probe"], &[]] {
        let mut client = server.upgrade(&sid).await.expect("a connection");
        for packet in packets {
            client.send(packet).await;
        }
        // Its end: at once, or when its time is over.
        while client.ends_or_says().await.is_some() {}
        socket.emit("polled").unwrap();
        let mut payload = server.poll(&sid).await;
        while payload == "6" {
            payload = server.poll(&sid).await;
        }
        assert_eq!(payload, "4polled", "{packets:?}");
    }
    drop(server.upgrade(&sid).await.expect("a connection"));
    let mut client = loop {
        // The one before may not have been noticed yet.
        if let Some(client) = server.upgrade(&sid).await {
            break client;
        }
        tokio::task::yield_now().await;
    };
    client.go_over().await;
    socket.emit("at last").unwrap();
    assert_eq!(client.next().await.as_deref(), Some("4at last"));
    assert_eq!(server.told(1).await, ["connected"]);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_upgrade() {
    let server = Server::start();
    let sid = server.open().await;
    let mut client = server.upgrade(&sid).await.expect("a connection");
    client.send("2probe").await;
    assert_eq!(client.next().await.as_deref(), Some("3probe"));
    server.socket().close(DisconnectReason::ClosingServer);
    assert_eq!(client.ends_or_says().await, None);
    server.socket().closed().await;
    assert_eq!(server.told(2).await, ["connected", "ClosingServer"]);
}

#[tokio::test]
async fn a_client_that_leaves_is_let_go() {
    let server = Server::start();
    let (client, _) = server.connect().await;
    assert!(client.close().await, "the end is answered");
    assert_eq!(server.told(2).await, ["connected", "TransportClose"]);
    let (mut client, _) = server.connect().await;
    client.send("1").await;
    assert_eq!(client.next().await, None);
    assert_eq!(server.told(4).await[2..], ["connected", "TransportClose"]);
    let (client, _) = server.connect().await;
    drop(client);
    assert_eq!(server.told(6).await[4..], ["connected", "TransportError"]);
    server.socket().closed().await;
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    for packet in ["", "9", "2probe", "5", "6", "é"] {
        let server = Server::start();
        let (mut client, _) = server.connect().await;
        client.send(packet).await;
        assert_eq!(client.next().await, None, "{packet}");
        assert_eq!(server.told(2).await, ["connected", "PacketParsingError"], "{packet}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_session() {
    let server = Server::with(EngineIoConfig::builder().ws_max_message_size(100).ws_max_frame_size(100));
    let (mut client, _) = server.connect().await;
    client.send(&format!("4{}", "x".repeat(99))).await;
    client.send(&format!("4{}", "x".repeat(100))).await;
    let told = server.told(3).await;
    assert!(told[1].starts_with("text x"), "{told:?}");
    assert_eq!(told[2], "TransportError");
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_sent_what_waits() {
    let server = Server::start();
    let (mut client, _) = server.connect().await;
    let socket = server.socket();
    for number in 1..=20 {
        socket.emit(format!("{number} {}", "x".repeat(1000))).unwrap();
    }
    socket.close(DisconnectReason::ClosingServer);
    assert!(socket.is_closed());
    assert!(matches!(socket.emit("too late"), Err(TrySendError::Closed(_))));
    for number in 1..=20 {
        assert!(client.next().await.unwrap().starts_with(&format!("4{number} ")));
    }
    assert_eq!(client.next().await.as_deref(), Some("1"));
    assert_eq!(client.next().await, None);
    socket.closed().await;
    assert_eq!(server.told(2).await, ["connected", "ClosingServer"]);
}

/// Little more than what the connection takes is taken from the queue, and reading goes on.
#[tokio::test]
async fn a_client_that_does_not_read_fills_its_queue() {
    let server = Server::with(EngineIoConfig::builder().max_buffer_size(8));
    let (mut client, _) = server.connect().await;
    let socket = server.socket();
    let mut sent = 0;
    // A connection takes 4 kB, as much is collected before it is written, and one packet is on its way.
    while socket.emit(format!("{sent} {}", "x".repeat(4000))).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
        assert!(sent < 8 + 4, "the queue takes no end");
    }
    client.send("4still there").await;
    assert_eq!(server.told(2).await, ["connected", "text still there"]);
    for number in 0..sent {
        assert!(client.next().await.unwrap().starts_with(&format!("4{number} ")));
    }
    socket.emit("room again").unwrap();
    assert_eq!(client.next().await.as_deref(), Some("4room again"));
}

/// Its end is not waited for longer than any other answer.
#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let server = Server::with(EngineIoConfig::builder().max_buffer_size(8).ping_timeout(Duration::from_millis(50)));
    let (client, _) = server.connect().await;
    let socket = server.socket();
    while socket.emit("x".repeat(4000)).is_ok() {
        tokio::task::yield_now().await;
    }
    socket.close(DisconnectReason::ClosingServer);
    tokio::time::timeout(Duration::from_secs(10), socket.closed()).await.expect("it is let go");
    assert_eq!(server.told(2).await, ["connected", "ClosingServer"]);
    drop(client);
}

/// WebSocket's own pings are answered, and no more are taken while the answers are not read.
#[tokio::test]
async fn answers_that_nobody_reads_do_not_pile_up() {
    const PINGS: usize = 20_000;
    let server = Server::start();
    let (mut client, _) = server.connect().await;
    let mut sent = 0;
    while client.could_ping(&[b'x'; 120]).await {
        sent += 1;
        assert!(sent < PINGS / 2, "all are taken");
    }
    let pongs = client.pongs().await;
    assert!(pongs == sent || pongs == sent + 1, "{pongs} answers to {sent}");
    client.send("4still there").await;
    assert_eq!(server.told(2).await, ["connected", "text still there"]);
    server.socket().emit("room again").unwrap();
    while client.next_of_any_kind().await != "4room again" {}
}

/// However much fits into the connection.
#[tokio::test]
async fn a_long_message_arrives() {
    let server = Server::start();
    let (mut client, _) = server.connect().await;
    let long = "x".repeat(3_000_000);
    server.socket().emit(long.clone()).unwrap();
    assert_eq!(client.next().await, Some(format!("4{long}")));
}
