//! Engine.IO over plain HTTP: what is refused, and what its answers carry.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_tests::{Answer, Persona, TestApp, eventually, settings::FRONTEND};
use serde_json::{Value, json};

use super::{flood, numbers, pair, shown, transport::Transport};

/// A persona that talks to the messaging server.
async fn poll(persona: &Persona, query: &str) -> Answer {
    persona.get(&format!("/socket.io/?{query}")).await
}

async fn post(persona: &Persona, sid: &str, packets: &str) -> Answer {
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let request = persona.request(reqwest::Method::POST, &path).body(packets.to_owned());
    persona.answer(request.header("content-type", "text/plain;charset=UTF-8")).await
}

async fn open(persona: &Persona) -> String {
    let answer = poll(persona, "EIO=4&transport=polling").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let opening: Value = serde_json::from_str(&answer.text[1..]).unwrap();
    opening["sid"].as_str().unwrap().to_owned()
}

/// A session with a connected socket.
async fn connect(persona: &Persona) -> String {
    let sid = open(persona).await;
    post(persona, &sid, "40").await;
    while !poll(persona, &format!("EIO=4&transport=polling&sid={sid}")).await.text.contains("40{") {}
    sid
}

#[tokio::test]
async fn polling_works_and_carries_the_recorded_headers() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.at(&app.user("alice", Role::Company).await, &server.url);
        let opening = poll(&alice, "EIO=4&transport=polling").await;
        assert_eq!(opening.headers["access-control-allow-origin"], FRONTEND);
        assert_eq!(opening.headers["access-control-allow-credentials"], "true");
        assert_eq!(opening.headers["vary"], "Origin");
        assert_eq!(opening.headers["cache-control"], "no-store");
        let body: Value = serde_json::from_str(&opening.text[1..]).unwrap();
        assert_eq!(body["upgrades"], json!(["websocket"]));
        assert_eq!(body["pingInterval"], 25_000);
        assert_eq!(body["pingTimeout"], 20_000);
        assert_eq!(body["maxPayload"], 65_536);
        let sid = body["sid"].as_str().unwrap();
        assert_eq!(post(&alice, sid, "40").await.text, "ok");
        let connected = poll(&alice, &format!("EIO=4&transport=polling&sid={sid}")).await;
        assert!(connected.text.contains("40{\"sid\":"), "{}", connected.text);
        post(&alice, sid, "420[\"identifyUser\",{\"userId\":\"\"}]").await;
        let mut answers = String::new();
        while !answers.contains("430[{\"ok\":true}]") {
            answers.push_str(&poll(&alice, &format!("EIO=4&transport=polling&sid={sid}")).await.text);
        }
        assert_eq!(post(&alice, sid, "1").await.text, "ok");
    })
    .await;
}

/// Fault case 126.
#[tokio::test]
async fn a_stolen_sid_is_worth_nothing() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.at(&app.user("alice", Role::Company).await, &server.url);
        let eve = app.at(&app.user("eve", Role::Company).await, &server.url);
        let anonymous = app.at(&app.anonymous(), &server.url);
        let sid = open(&alice).await;
        let query = format!("EIO=4&transport=polling&sid={sid}");
        poll(&anonymous, &query).await.expect(401);
        post(&anonymous, &sid, "40").await.expect(401);
        poll(&eve, &query).await.expect(403);
        let foreign = alice.request(reqwest::Method::GET, &format!("/socket.io/?{query}")).build().unwrap();
        let mut foreign = foreign;
        foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
        alice.execute(foreign).await.expect(403);
        assert_eq!(post(&alice, &sid, "40").await.status, 200);
        assert_eq!(server.sockets(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_engine_request_is_refused_as_the_original_does() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.at(&app.user("alice", Role::Company).await, &server.url);
        for (query, code, message) in [
            ("EIO=4", 0, "Transport unknown"),
            ("EIO=4&transport=polling&sid=nonsense", 1, "Session ID unknown"),
            ("EIO=3&transport=polling", 5, "Unsupported protocol version"),
        ] {
            assert_eq!(poll(&alice, query).await.expect(400), json!({ "code": code, "message": message }), "{query}");
        }
        let without_sid = alice.request(reqwest::Method::POST, "/socket.io/?EIO=4&transport=polling").body("40");
        assert_eq!(alice.answer(without_sid).await.expect(400)["code"], 2);
        assert_eq!(alice.get("/other").await.status, 404);
        for path in ["/health", "/health/live", "/health/ready", "/health/started"] {
            assert_eq!(alice.get(path).await.text, "OK", "{path}");
        }
        assert_eq!(alice.get("/asyncapi.json").await.expect(200)["asyncapi"], "3.0.0");
    })
    .await;
}

/// Fault case 44.
#[tokio::test]
async fn preflights_name_the_exact_origin_or_none() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let anonymous = app.at(&app.anonymous(), &server.url);
        let preflight = |origin: &str| {
            let request = anonymous.request(reqwest::Method::OPTIONS, "/socket.io/?EIO=4&transport=polling");
            let mut request = request.header("access-control-request-method", "GET").build().unwrap();
            request.headers_mut().insert("origin", origin.parse().unwrap());
            request
        };
        let allowed = anonymous.execute(preflight(FRONTEND)).await;
        assert_eq!(allowed.status, 204);
        assert_eq!(allowed.headers["access-control-allow-origin"], FRONTEND);
        let foreign = anonymous.execute(preflight("http://evil.example")).await;
        assert!(!foreign.headers.contains_key("access-control-allow-origin"));
    })
    .await;
}

/// The messages among the packets of polls or of a WebSocket.
fn messages_in(packets: &str) -> Vec<Value> {
    let events = packets.split('\u{1e}').filter_map(|packet| packet.strip_prefix("42"));
    let events = events.map(|event| serde_json::from_str::<(String, Value)>(event).expect("an event"));
    events.filter(|(name, _)| name == "newMessage").map(|(_, message)| message).collect()
}

/// More waits than one answer used to hold when the client goes over to WebSocket, as it does on every page.
#[tokio::test]
async fn what_waits_while_the_transport_is_upgraded_arrives() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        flood(app, &pair, 1..=100, 6000).await;
        let bob = app.at(&pair.bob, &server.url);
        let sid = open(&bob).await;
        post(&bob, &sid, "40").await;
        let mut received = Vec::new();
        let mut last = 0;
        while last < 60_000 {
            let answer = poll(&bob, &format!("EIO=4&transport=polling&sid={sid}")).await;
            last = answer.text.len();
            received.extend(messages_in(&answer.text));
        }
        let mut upgraded = Transport::upgrade(&server.url, &pair.bob, &sid).await.unwrap();
        upgraded.send("2probe").await;
        assert_eq!(upgraded.next().await.as_deref(), Some("3probe"));
        upgraded.send("5").await;
        upgraded.send("420[\"identifyUser\",{\"userId\":\"\"}]").await;
        loop {
            let packet = upgraded.next().await.expect("the connection lasts");
            received.extend(messages_in(&packet));
            if packet.starts_with("43") {
                break;
            }
        }
        assert_eq!(numbers(&shown(&received)), (1..=100).collect::<Vec<i32>>());
    })
    .await;
}

/// However much waits when the client asks for the upgrade between two polls.
#[tokio::test]
async fn an_upgrade_begins_while_much_waits() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let bob = app.at(&pair.bob, &server.url);
        let beside = pair.bob.chat(&server).await;
        let sid = connect(&bob).await;
        // What one socket has got was sent to the other one as well, which has not polled since.
        flood(app, &pair, 1..=200, 100).await;
        beside.wait_for("newMessage", 200).await;
        let mut upgraded = Transport::upgrade(&server.url, &pair.bob, &sid).await.unwrap();
        upgraded.send("2probe").await;
        assert_eq!(upgraded.next().await.as_deref(), Some("3probe"));
        upgraded.send("5").await;
        let mut received = Vec::new();
        // Its welcome may still have been under way, and have sent again what the relay sent.
        while shown(&received).len() < 200 {
            received.extend(messages_in(&upgraded.next().await.expect("the connection lasts")));
        }
        assert_eq!(numbers(&shown(&received)), (1..=200).collect::<Vec<i32>>());
    })
    .await;
}

/// However much waits between two polls, everything that is asked is answered.
#[tokio::test]
async fn answers_find_a_place_while_much_waits() {
    const ASKED: usize = 20;
    // As many as a socket's own buffer takes of events, so that nothing waits beside it.
    const MESSAGES: i32 = 48;
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let bob = app.at(&pair.bob, &server.url);
        let beside = pair.bob.chat(&server).await;
        let sid = connect(&bob).await;
        let query = format!("EIO=4&transport=polling&sid={sid}");
        flood(app, &pair, 1..=MESSAGES, 100).await;
        // What one socket has got was sent to the other one as well.
        beside.wait_for("newMessage", 48).await;
        let asked: Vec<String> = (0..ASKED).map(|id| format!("42{id}[\"identifyUser\",{{\"userId\":\"\"}}]")).collect();
        assert_eq!(post(&bob, &sid, &asked.join("\u{1e}")).await.status, 200);
        let (mut received, mut answered) = (Vec::new(), Vec::new());
        while answered.len() < ASKED {
            let answer = poll(&bob, &query).await;
            assert_eq!(answer.status, 200, "only {answered:?}");
            let payload = answer.text;
            received.extend(messages_in(&payload));
            answered.extend(payload.split('\u{1e}').filter(|packet| packet.starts_with("43")).map(str::to_owned));
        }
        let expected: Vec<String> = (0..ASKED).map(|id| format!("43{id}[{{\"ok\":true}}]")).collect();
        assert_eq!(answered, expected);
        assert_eq!(numbers(&shown(&received)), (1..=MESSAGES).collect::<Vec<i32>>());
    })
    .await;
}

/// Fault case 133: no transport takes more than the limit.
#[tokio::test]
async fn a_post_over_the_limit_ends_the_session() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.at(&app.user("alice", Role::Company).await, &server.url);
        let sid = open(&alice).await;
        assert_eq!(post(&alice, &sid, "40").await.status, 200);
        let fits = format!("42[\"x\",\"{}\"]", "x".repeat(65_000));
        assert_eq!(post(&alice, &sid, &fits).await.status, 200);
        assert_eq!(post(&alice, &sid, &format!("{fits}{}", " ".repeat(1_000))).await.status, 413);
        poll(&alice, &format!("EIO=4&transport=polling&sid={sid}")).await.expect(400);
        eventually("the socket is gone", async || server.sockets() == 0).await;
    })
    .await;
}

/// A connection that is cut is one that the client notices: its poll is answered, and it begins anew.
#[tokio::test]
async fn a_cut_ends_a_poll_that_hangs() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let persona = app.user("alice", Role::Company).await;
        let alice = app.at(&persona, &server.url);
        let sid = open(&alice).await;
        post(&alice, &sid, "40").await;
        let query = format!("EIO=4&transport=polling&sid={sid}");
        assert!(poll(&alice, &query).await.text.contains("40{"));
        let began = Instant::now();
        let cut = async {
            // The poll hangs by the time that this is handled.
            post(&alice, &sid, "42[\"identifyUser\",{\"userId\":\"\"}]").await;
            for client in server.state.registry.of_user(persona.user_id) {
                client.cut("the test says so");
            }
        };
        let (answer, ()) = tokio::join!(poll(&alice, &query), cut);
        assert_eq!(answer.expect(400)["message"], "Session ID unknown");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(server.state.registry.has_room_for(persona.user_id));
        eventually("its place is free", async || server.sockets() == 0).await;
    })
    .await;
}

/// The second is refused, and must not be taken for the connection.
#[tokio::test]
async fn a_second_upgrade_keeps_no_connection_from_being_cut() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let persona = app.user("alice", Role::Company).await;
        let alice = app.at(&persona, &server.url);
        let sid = open(&alice).await;
        post(&alice, &sid, "40").await;
        let mut upgraded = Transport::upgrade(&server.url, &persona, &sid).await.unwrap();
        upgraded.send("2probe").await;
        upgraded.send("5").await;
        while !upgraded.next().await.expect("it is connected").starts_with("40") {}
        assert!(Transport::upgrade(&server.url, &persona, &sid).await.is_err());
        let clients = server.state.registry.of_user(persona.user_id);
        assert_eq!(clients.len(), 1);
        clients[0].cut("the test says so");
        assert_eq!(upgraded.read_to_end().await, Vec::<String>::new());
        eventually("the socket is gone", async || server.sockets() == 0).await;
    })
    .await;
}
