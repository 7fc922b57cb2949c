//! What one user may do to the server.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_messaging::Timing;
use freehunt_tests::{Refused, TestApp, TestOptions, eventually, settings::FRONTEND};
use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{pair, say};

/// Fault case 133.
#[tokio::test]
async fn a_user_has_so_many_sockets_and_no_more() {
    let options = TestOptions::default().with("CHAT_SOCKETS_PER_USER", "3");
    TestApp::run_with(options, async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(alice.chat(&server).await);
        }
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(429, _))));
        app.user("bob", Role::Company).await.chat(&server).await.settle().await;
        sockets.pop();
        eventually("there is room again", async || alice.try_chat(&server).await.is_ok()).await;
    })
    .await;
}

/// Fault case 133.
#[tokio::test]
async fn whoever_floods_is_disconnected_and_others_notice_nothing() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (flooder, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        for _ in 0..500 {
            flooder.emit("joinRoom", json!({ "roomId": pair.conversation }));
        }
        // Who goes on sending meets the closed connection, and may do so before it reads why.
        let reason = flooder.wait_for_close().await;
        assert!(["io server disconnect", "transport close"].contains(&reason.as_str()), "{reason}");
        assert!(flooder.received("joinedRoom").len() <= 25, "{}", flooder.received("joinedRoom").len());
        say(&pair.alice, &pair.conversation, "toujours là").await;
        bob.wait_for("newMessage", 1).await;
        assert!(bob.received("userJoinedRoom").len() <= 10);
        eventually("the socket is gone", async || server.sockets() == 1).await;
    })
    .await;
}

/// Fault cases 127 and 133.
#[tokio::test]
async fn a_packet_over_the_limit_ends_the_connection() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let alice = pair.alice.chat(&server).await;
        let fits = json!({ "roomId": "x".repeat(60_000) });
        assert_eq!(alice.ask("joinRoom", fits).await["ok"], false);
        alice.emit("joinRoom", json!({ "roomId": "x".repeat(1_000_000) }));
        assert_eq!(alice.wait_for_close().await, "transport close");
        let bob = pair.bob.chat(&server).await;
        bob.send_packet("nonsense".to_owned());
        bob.wait_for_close().await;
        eventually("both are gone", async || server.sockets() == 0).await;
    })
    .await;
}

/// A transport that left its namespace is not kept open.
#[tokio::test]
async fn a_transport_without_a_socket_is_closed() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let alice = pair.alice.chat(&server).await;
        alice.send_packet("41".to_owned());
        assert_eq!(alice.wait_for_close().await, "transport close");
        assert_eq!(server.sockets(), 0);
    })
    .await;
}

#[tokio::test]
async fn other_namespaces_do_not_exist() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await.chat(&server).await;
        alice.send_packet("40/chat,".to_owned());
        alice.settle().await;
        tokio::time::timeout(Duration::from_secs(5), alice.settle()).await.expect("the socket lives on");
    })
    .await;
}

/// Fault case 133.
#[tokio::test]
async fn a_client_that_answers_no_ping_is_dropped() {
    TestApp::run(async |app| {
        let (ping_interval, ping_timeout) = (Duration::from_millis(400), Duration::from_millis(1500));
        let timing = Timing { ping_interval, ping_timeout, ..Timing::default() };
        let server = app.chat_server_timed(timing).await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        bob.settle().await;
        alice.mute();
        let began = Instant::now();
        assert_eq!(alice.wait_for_close().await, "transport close");
        let elapsed = began.elapsed();
        assert!(elapsed >= ping_timeout / 2, "{elapsed:?}");
        assert!(elapsed < ping_interval + ping_timeout + Duration::from_secs(2), "{elapsed:?}");
        eventually("the silent socket is gone", async || server.sockets() == 1).await;
        bob.settle().await;
    })
    .await;
}

/// A transport that is opened and never used.
#[tokio::test]
async fn a_client_that_never_connects_its_socket_is_dropped() {
    TestApp::run(async |app| {
        let timing = Timing { connect_timeout: Duration::from_secs(1), ..Timing::default() };
        let server = app.chat_server_timed(timing).await;
        let alice = app.user("alice", Role::Company).await;
        let url = format!("{}/socket.io/?EIO=4&transport=websocket", server.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", alice.cookie.parse().unwrap());
        request.headers_mut().insert("origin", FRONTEND.parse().unwrap());
        let (mut transport, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let to_the_end = async { while let Some(Ok(_)) = transport.next().await {} };
        tokio::time::timeout(Duration::from_secs(5), to_the_end).await.expect("the transport is closed");
        assert_eq!(server.sockets(), 0);
    })
    .await;
}
