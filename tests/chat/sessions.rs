//! Sockets end with their session.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, Refused, TestApp, TestOptions, eventually, settings::PASSWORD};
use serde_json::json;

use super::{pair, say};

/// Fault cases 12 and 134.
#[tokio::test]
async fn logging_out_ends_the_session_s_sockets_on_every_replica() {
    TestApp::run(async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let pair = pair(app).await;
        let sockets = [pair.alice.chat(&first).await, pair.alice.chat(&second).await];
        let bob = pair.bob.chat(&first).await;
        let began = Instant::now();
        pair.alice.post("/auth/logout", json!({})).await.expect(201);
        for socket in &sockets {
            assert_eq!(socket.wait_for_close().await, "io server disconnect");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(matches!(pair.alice.try_chat(&first).await, Err(Refused::Http(401, _))));
        say(&pair.bob, &pair.conversation, "es-tu là ?").await;
        bob.wait_for("newMessage", 1).await;
        assert!(sockets.iter().all(|socket| socket.received("newMessage").is_empty()));
    })
    .await;
}

/// The database decides at every handshake, whatever was heard.
#[tokio::test]
async fn a_revocation_that_nobody_heard_of_opens_no_socket() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let alice = pair.alice.chat(&server).await;
        alice.settle().await;
        // No notification, as when the listener was away.
        sqlx::query("UPDATE session SET revoked_at = now() WHERE user_id = $1")
            .bind(pair.alice.user_id.0)
            .execute(&app.pool)
            .await
            .unwrap();
        assert!(matches!(pair.alice.try_chat(&server).await, Err(Refused::Http(401, _))));
    })
    .await;
}

/// A notification that was lost, and a listener that hears nothing: the regular look finds the end in time.
#[tokio::test]
async fn a_revocation_that_nobody_heard_of_ends_its_sockets_within_five_seconds() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        alice.settle().await;
        let began = Instant::now();
        sqlx::query("UPDATE session SET revoked_at = now() WHERE user_id = $1")
            .bind(pair.alice.user_id.0)
            .execute(&app.pool)
            .await
            .unwrap();
        assert_eq!(alice.wait_for_close().await, "io server disconnect");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        bob.settle().await;
    })
    .await;
}

/// Signs in by the form, and has nothing but the socket ticket.
async fn with_ticket(app: &TestApp, name: &str) -> Persona {
    let persona = app.user(name, Role::Company).await;
    let body = json!({ "email": persona.email, "password": PASSWORD });
    let answer = app.anonymous().post("/auth/login", body).await;
    let cookies = answer.set_cookies();
    let ticket = cookies.iter().find(|cookie| cookie.starts_with("freehunt_socket=")).expect("a ticket");
    Persona { cookie: ticket.split(';').next().unwrap().to_owned(), ..persona }
}

/// When Authentik last confirmed the session that this persona signed in with.
async fn confirmed_at(app: &TestApp, persona: &Persona) -> chrono::DateTime<chrono::Utc> {
    sqlx::query_scalar(
        "SELECT s.validated_at FROM session s JOIN socket_ticket t ON t.session_id = s.id WHERE s.user_id = $1",
    )
    .bind(persona.user_id.0)
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

/// Fault case 134, with a minute shortened to five seconds.
#[tokio::test]
async fn fault_case_134_a_deactivated_user_who_only_has_sockets_loses_them() {
    let options = TestOptions::default().with("SESSION_REVALIDATE_SECONDS", "5");
    TestApp::run_with(options, async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let (alice, bob) = (with_ticket(app, "alice").await, with_ticket(app, "bob").await);
        let sockets = [alice.chat(&first).await, alice.chat(&second).await];
        let at_bob = bob.chat(&first).await;
        let before = confirmed_at(app, &alice).await;
        eventually("the session is confirmed, and lives on", async || confirmed_at(app, &alice).await > before).await;
        assert!(sockets.iter().all(|socket| !socket.is_closed()));
        app.authentik.deactivate("alice");
        let began = Instant::now();
        for socket in &sockets {
            assert_eq!(socket.wait_for_close().await, "io server disconnect");
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert!(matches!(alice.try_chat(&first).await, Err(Refused::Http(401, _))));
        at_bob.settle().await;
    })
    .await;
}

/// A session that Authentik has confirmed long ago: it is asked before the socket opens.
#[tokio::test]
async fn an_old_confirmation_is_renewed_at_the_handshake() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = with_ticket(app, "alice").await;
        let age = async || {
            let statement = "UPDATE session SET validated_at = now() - interval '16 minutes'";
            sqlx::query(statement).execute(&app.pool).await.unwrap();
        };
        age().await;
        app.authentik.controls().fail_everything();
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(503, _))), "Authentik is away");
        app.authentik.controls().recover();
        let old = confirmed_at(app, &alice).await;
        eventually("Authentik is asked again", async || alice.try_chat(&server).await.is_ok()).await;
        assert!(confirmed_at(app, &alice).await > old);
        age().await;
        app.authentik.end_all_sessions("alice");
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(401, _))), "Authentik no longer knows it");
    })
    .await;
}
