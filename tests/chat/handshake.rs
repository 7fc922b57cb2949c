//! Who gets a socket.

use freehunt_domain::users::Role;
use freehunt_tests::{ChatClient, ChatServer, Refused, TestApp, settings::FRONTEND};
use serde_json::json;

const COOKIE: &str = "cookie";
const ORIGIN: &str = "origin";

async fn status(server: &ChatServer, headers: &[(&'static str, &str)]) -> u16 {
    match ChatClient::connect(server, headers, None).await {
        Ok(_) => 101,
        Err(Refused::Http(status, _)) => status,
        Err(other) => panic!("{other:?}"),
    }
}

/// Fault cases 45 and 126.
#[tokio::test]
async fn only_sessions_from_the_frontend_get_in() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let cookie = alice.cookie.as_str();
        assert_eq!(status(&server, &[(COOKIE, cookie), (ORIGIN, FRONTEND)]).await, 101);
        assert_eq!(status(&server, &[(ORIGIN, FRONTEND)]).await, 401, "anonymous");
        for other in ["http://evil.example", "null", "http://localhost:5174", "http://localhost:5173.evil.example"] {
            assert_eq!(status(&server, &[(COOKIE, cookie), (ORIGIN, other)]).await, 403, "{other}");
        }
        assert_eq!(status(&server, &[(COOKIE, cookie), ("sec-fetch-site", "cross-site")]).await, 403, "no origin");
        assert_eq!(status(&server, &[(COOKIE, cookie)]).await, 101, "a program");
        let unknown = format!("freehunt_session={}", "A".repeat(43));
        assert_eq!(status(&server, &[(COOKIE, &unknown), (ORIGIN, FRONTEND)]).await, 401, "unknown");
        sqlx::query("UPDATE session SET expires_at = now()").execute(&app.pool).await.unwrap();
        assert_eq!(status(&server, &[(COOKIE, cookie), (ORIGIN, FRONTEND)]).await, 401, "expired");
        assert_eq!(server.sockets(), 0);
    })
    .await;
}

#[tokio::test]
async fn programs_show_a_token() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let token = alice.cookie.split_once('=').unwrap().1;
        let client = ChatClient::connect(&server, &[], Some(token)).await.unwrap();
        client.settle().await;
        let bearer = format!("Bearer {token}");
        assert_eq!(status(&server, &[("authorization", &bearer)]).await, 101);
        for wrong in [None, Some("x"), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
            let refused = ChatClient::connect(&server, &[], wrong).await.err();
            assert!(matches!(refused, Some(Refused::Connect(message)) if message == "Unauthorized"), "{wrong:?}");
        }
    })
    .await;
}

/// The ticket is what reaches the messaging server in production.
#[tokio::test]
async fn a_ticket_opens_sockets_and_nothing_else() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        app.user("alice", Role::Company).await;
        let body = json!({ "email": "alice@example.org", "password": freehunt_tests::settings::PASSWORD });
        let answer = app.anonymous().post("/auth/login", body).await;
        let cookies = answer.set_cookies();
        let ticket = cookies.iter().find(|cookie| cookie.starts_with("freehunt_socket=")).expect("a ticket");
        let ticket = ticket.split(';').next().unwrap();
        assert_eq!(status(&server, &[(COOKIE, ticket), (ORIGIN, FRONTEND)]).await, 101);
        let value = ticket.split_once('=').unwrap().1;
        for other in [format!("freehunt_session={value}"), format!("__Secure-freehunt_socket={value}")] {
            assert_eq!(status(&server, &[(COOKIE, &other), (ORIGIN, FRONTEND)]).await, 401, "{other}");
        }
        let mut getme = app.anonymous().request(reqwest::Method::GET, "/auth/getme");
        getme = getme.header("cookie", ticket);
        app.anonymous().answer(getme).await.expect(401);
    })
    .await;
}

/// A cookie that Authentik gave to the original opens a socket once the API has seen it.
#[tokio::test]
async fn users_of_the_original_stay_signed_in() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let carol = app.original_user("carol", Role::Freelance).await;
        carol.get("/auth/getme").await.expect(200);
        assert_eq!(status(&server, &[(COOKIE, &carol.cookie), (ORIGIN, FRONTEND)]).await, 101);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_away_is_a_passing_failure() {
    let options = freehunt_tests::TestOptions::default();
    TestApp::run_with(options, async |app| {
        let alice = app.user("alice", Role::Company).await;
        let away = ("DATABASE_URL", "postgres://freehunt:freehunt@127.0.0.1:9/none");
        let server = app.chat_server_with(&[away, ("DATABASE_ACQUIRE_TIMEOUT_MS", "500")]).await;
        let refused = ChatClient::connect(&server, &[(COOKIE, &alice.cookie), (ORIGIN, FRONTEND)], None).await.err();
        assert!(matches!(refused, Some(Refused::Http(503, _))), "{refused:?}");
        let token = alice.cookie.split_once('=').unwrap().1;
        let refused = ChatClient::connect(&server, &[], Some(token)).await.err();
        assert!(matches!(refused, Some(Refused::Closed)), "no CONNECT_ERROR, which would be final: {refused:?}");
    })
    .await;
}
