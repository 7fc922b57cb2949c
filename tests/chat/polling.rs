//! Engine.IO over plain HTTP: what is refused, and what its answers carry.

use freehunt_domain::users::Role;
use freehunt_tests::{Answer, Persona, TestApp, settings::FRONTEND};
use serde_json::{Value, json};

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
        for path in ["/health", "/health/live", "/health/ready"] {
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
