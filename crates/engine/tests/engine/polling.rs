use engineioxide::config::EngineIoConfig;
use http::Method;
use tokio::sync::mpsc::error::TrySendError;

use crate::server::Server;

#[tokio::test]
async fn packets_come_and_go_in_order() {
    let server = Server::start();
    let sid = server.open().await;
    assert_eq!(server.post(&sid, "4first\u{1e}4second\u{1e}bAQID").await, 200);
    assert_eq!(server.told(4).await, ["connected", "text first", "text second", r#"bytes b"\x01\x02\x03""#]);
    for number in 1..=5 {
        server.socket().emit(format!("number {number}")).unwrap();
    }
    server.socket().emit_binary(vec![1, 2, 3]).unwrap();
    let payload = server.poll(&sid).await;
    let packets: Vec<&str> = payload.split('\u{1e}').collect();
    assert_eq!(packets, ["4number 1", "4number 2", "4number 3", "4number 4", "4number 5", "bAQID"]);
}

#[tokio::test]
async fn a_poll_waits_until_there_is_something() {
    let server = Server::start();
    let sid = server.open().await;
    let (payload, ()) = tokio::join!(server.poll(&sid), async { server.socket().emit("late").unwrap() });
    assert_eq!(payload, "4late");
}

#[tokio::test]
async fn a_poll_that_is_given_up_takes_nothing_with_it() {
    let server = Server::start();
    let sid = server.open().await;
    let waiting = server.poll(&sid);
    tokio::select! {
        biased;
        payload = waiting => panic!("nothing was sent, but: {payload}"),
        () = std::future::ready(()) => {}
    }
    server.socket().emit("for the next one").unwrap();
    assert_eq!(server.poll(&sid).await, "4for the next one");
}

#[tokio::test]
async fn two_polls_at_once_end_the_session() {
    let server = Server::start();
    let sid = server.open().await;
    let query = format!("EIO=4&transport=polling&sid={sid}");
    let (first, second) = tokio::join!(server.poll(&sid), server.get(&query));
    assert_eq!(first, "6");
    assert_eq!(second.0, 400);
    assert_eq!(server.told(2).await, ["connected", "MultipleHttpPollingError"]);
    assert_eq!(server.get(&query).await.1, r#"{"code":1,"message":"Session ID unknown"}"#);
}

#[tokio::test]
async fn a_client_that_leaves_gets_its_poll_back() {
    let server = Server::start();
    let sid = server.open().await;
    let (payload, status) = tokio::join!(server.poll(&sid), server.post(&sid, "1"));
    assert_eq!((payload.as_str(), status.as_u16()), ("6", 200));
    assert_eq!(server.told(2).await, ["connected", "TransportClose"]);
    let socket = server.socket();
    socket.closed().await;
    assert!(matches!(socket.emit("too late"), Err(TrySendError::Closed(_))));
}

#[tokio::test]
async fn a_session_that_the_server_ends_says_so() {
    let server = Server::start();
    let sid = server.open().await;
    server.socket().emit("before").unwrap();
    let waiting = server.clone();
    let (payload, ()) = tokio::join!(waiting.poll(&sid), async {
        // The poll before has taken the message by now; this one is told of the end.
        let next = server.poll(&sid);
        let end = async { server.socket().close(engineioxide::DisconnectReason::ClosingServer) };
        assert_eq!(tokio::join!(next, end).0, "1");
    });
    assert_eq!(payload, "4before");
    assert_eq!(server.told(2).await, ["connected", "ClosingServer"]);
}

/// However slowly its body comes.
#[tokio::test]
async fn a_post_ends_with_its_session() {
    let server = Server::start();
    let sid = server.open().await;
    let (status, ()) = tokio::join!(server.post_without_end(&sid), async {
        server.socket().close(engineioxide::DisconnectReason::ClosingServer);
    });
    assert_eq!(status, 400);
    assert!(!server.has_last().await);
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    for (payload, status) in [("9", 400), ("2probe", 400), ("6", 400), ("x", 400), (&"4x".repeat(60), 413)] {
        let server = Server::with(EngineIoConfig::builder().max_payload(100));
        let sid = server.open().await;
        assert_eq!(server.post(&sid, payload.to_owned()).await, status, "{payload}");
        assert_eq!(server.told(2).await.last().unwrap(), "PacketParsingError", "{payload}");
        assert_eq!(server.post(&sid, "4hello").await, 400, "{payload}");
    }
}

#[tokio::test]
async fn requests_that_ask_for_nothing_possible_are_refused() {
    let server = Server::start();
    let sid = server.open().await;
    for (method, query, code) in [
        (Method::GET, "EIO=4".to_owned(), 0),
        (Method::GET, "EIO=4&transport=pigeon".to_owned(), 0),
        (Method::GET, "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA".to_owned(), 1),
        (Method::GET, "EIO=4&transport=polling&sid=short".to_owned(), 1),
        (Method::POST, "EIO=4&transport=polling".to_owned(), 2),
        (Method::DELETE, format!("EIO=4&transport=polling&sid={sid}"), 3),
        (Method::POST, format!("EIO=4&transport=websocket&sid={sid}"), 3),
        // No handshake of a WebSocket.
        (Method::GET, "EIO=4&transport=websocket".to_owned(), 3),
        (Method::GET, "EIO=3&transport=polling".to_owned(), 5),
        (Method::GET, "transport=polling".to_owned(), 5),
    ] {
        let (status, body) = server.ask(method, &format!("/engine.io/?{query}"), "").await;
        assert_eq!(status, 400, "{query}");
        assert!(body.starts_with(&format!(r#"{{"code":{code},"#)), "{query}: {body}");
    }
    for other in ["/engine.io-admin", "/"] {
        assert_eq!(server.ask(Method::GET, other, "").await.0, 404, "{other}");
    }
    assert_eq!(server.told(1).await, ["connected"]);
}
