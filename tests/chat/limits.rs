//! What one user may do to the server.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_messaging::Timing;
use freehunt_tests::{Refused, TestApp, TestOptions, eventually, settings::FRONTEND};
use futures_util::{StreamExt, future::join_all};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{flood, numbers, pair, say, shown, transport::Transport};

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

/// Whoever finds every place taken waits for one: a refusal would end the chat until the page is loaded again.
#[tokio::test]
async fn a_connect_without_a_place_is_no_final_refusal() {
    let options = TestOptions::default().with("CHAT_SOCKETS_PER_USER", "1");
    TestApp::run_with(options, async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        // Both before either is counted, as when a browser restores its tabs.
        let mut first = Transport::open(&server.url, Some(&alice)).await.unwrap();
        let mut second = Transport::open(&server.url, Some(&alice)).await.unwrap();
        for transport in [&mut first, &mut second] {
            assert!(transport.next().await.is_some_and(|packet| packet.starts_with('0')));
        }
        first.send("40").await;
        assert!(first.next().await.is_some_and(|packet| packet.starts_with("40")));
        second.send("40").await;
        assert_eq!(second.read_to_end().await, Vec::<String>::new());
        drop(first);
        eventually("there is room again", async || alice.try_chat(&server).await.is_ok()).await;
    })
    .await;
}

/// A transport has one socket in its life: each costs a replay.
#[tokio::test]
async fn a_transport_connects_once() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let mut transport = Transport::connected(&server.url, &alice).await;
        for packet in ["41", "40", "41", "40"] {
            transport.send(packet).await;
        }
        let packets = transport.read_to_end().await;
        // A refusal, or the transport's end before it.
        assert!(packets.iter().all(|packet| packet.starts_with("44") || packet == "1"), "{packets:?}");
        assert!(!packets.is_empty());
        eventually("the socket is gone", async || server.sockets() == 0).await;
    })
    .await;
}

/// What would wait for its attachments in memory: nothing here has any.
#[tokio::test]
async fn attachments_end_the_connection() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let mut transport = Transport::connected(&server.url, &alice).await;
        transport.send("4510-[\"x\",{\"_placeholder\":true,\"num\":0}]").await;
        transport.send_binary(vec![0; 1000]).await;
        transport.read_to_end().await;
        eventually("the socket is gone", async || server.sockets() == 0).await;
    })
    .await;
}

/// Programs that have not said yet who they are: so many, and no more. Browsers do not notice.
#[tokio::test]
async fn nameless_sessions_are_limited() {
    TestApp::run(async |app| {
        let timing = Timing { connect_timeout: Duration::from_secs(6), ..Timing::default() };
        let server = app.chat_server_timed(timing).await;
        let alice = app.user("alice", Role::Company).await;
        let program = app.at(&app.anonymous(), &server.url);
        let begin = async || {
            let request = program.request(reqwest::Method::GET, "/socket.io/?EIO=4&transport=polling");
            let mut request = request.build().unwrap();
            request.headers_mut().remove("origin");
            program.execute(request).await.status
        };
        let statuses = join_all((0..300).map(|_| begin())).await;
        assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
        let token = alice.cookie.split_once('=').unwrap().1;
        let refused = freehunt_tests::ChatClient::connect(&server, &[], Some(token)).await.err();
        assert!(matches!(refused, Some(Refused::Http(503, _))), "{refused:?}");
        alice.chat(&server).await.settle().await;
        eventually("those that named nobody are forgotten", async || begin().await == 200).await;
    })
    .await;
}

/// What it was not sent before it was cut, it is sent when it comes again.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_misses_nothing() {
    let options = TestOptions::default().with("CHAT_SOCKET_BUFFER", "16");
    TestApp::run_with(options, async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let mut deaf = Transport::connected(&server.url, &pair.bob).await;
        flood(app, &pair, 1..=300, 40_000).await;
        eventually("it is cut", async || server.sockets() == 0).await;
        let mut received = 0;
        while deaf.next().await.is_some() {
            received += 1;
        }
        assert!(received < 300, "all had been sent");
        // What was still on its way may be too much for so small a buffer: then a client comes again.
        let bob = loop {
            let bob = pair.bob.chat(&server).await;
            bob.settle_or_end().await;
            if !bob.is_closed() {
                break bob;
            }
        };
        assert_eq!(numbers(&shown(&bob.received("newMessage"))), (1..=300).collect::<Vec<i32>>());
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
