//! Sockets end with their session.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Answer, ChatServer, Persona, Refused, TestApp, TestOptions, eventually, settings::PASSWORD};
use http::{Method, StatusCode};
use serde_json::json;

use super::{pair, say};
use crate::{
    auth::{age_confirmations, cookies_of, with_cookie},
    oidc,
};

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
    with_cookie(&persona, &ticket_of(&answer))
}

fn ticket_of(answer: &Answer) -> String {
    let cookies = answer.set_cookies();
    let ticket = cookies.iter().find(|cookie| cookie.starts_with("freehunt_socket=")).expect("a ticket");
    ticket.split(';').next().unwrap().to_owned()
}

/// Signs in by OpenID Connect: as somebody who has nothing but the socket ticket, and as the browser with its session.
async fn by_openid_connect(app: &TestApp, name: &str) -> (Persona, Persona) {
    let persona = app.user(name, Role::Company).await;
    let answer = oidc::finished_login(app, name).await;
    (with_cookie(&persona, &ticket_of(&answer)), with_cookie(&persona, &cookies_of(&answer)))
}

/// The next time it is asked with, an access token's time is over.
fn expire_access_token(app: &TestApp) {
    let over = Misbehaviour::Answer {
        status: StatusCode::UNAUTHORIZED,
        content_type: "application/json",
        body: "{}".to_owned(),
    };
    app.authentik.controls().misbehave("/application/o/userinfo/", 1, over);
}

/// How often tokens were renewed, by one user who signed in once.
fn renewals(app: &TestApp) -> usize {
    app.authentik.controls().calls_to(Method::POST, "/application/o/token/").len() - 1
}

async fn age_confirmation(app: &TestApp, persona: &Persona) {
    sqlx::query("UPDATE session SET validated_at = now() - interval '16 minutes' WHERE user_id = $1")
        .bind(persona.user_id.0)
        .execute(&app.pool)
        .await
        .unwrap();
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
        age_confirmation(app, &alice).await;
        app.authentik.controls().fail_everything();
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(503, _))), "Authentik is away");
        app.authentik.controls().recover();
        let old = confirmed_at(app, &alice).await;
        eventually("Authentik is asked again", async || alice.try_chat(&server).await.is_ok()).await;
        assert!(confirmed_at(app, &alice).await > old);
        age_confirmation(app, &alice).await;
        app.authentik.end_all_sessions("alice");
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(401, _))), "Authentik no longer knows it");
    })
    .await;
}

/// Fault case 134 for a session that began by OpenID Connect: the messaging server asks, and renews tokens, by itself.
#[tokio::test]
async fn fault_case_134_a_deactivated_user_of_openid_connect_loses_the_sockets() {
    let options = TestOptions::default().with("SESSION_REVALIDATE_SECONDS", "5");
    TestApp::run_with(options, async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let (alice, _) = by_openid_connect(app, "alice").await;
        let sockets = [alice.chat(&first).await, alice.chat(&second).await];
        expire_access_token(app);
        let before = confirmed_at(app, &alice).await;
        eventually("the tokens are renewed", async || confirmed_at(app, &alice).await > before && renewals(app) == 1)
            .await;
        assert!(sockets.iter().all(|socket| !socket.is_closed()));
        app.authentik.deactivate("alice");
        let began = Instant::now();
        for socket in &sockets {
            assert_eq!(socket.wait_for_close().await, "io server disconnect");
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert!(matches!(alice.try_chat(&first).await, Err(Refused::Http(401, _))));
    })
    .await;
}

/// A refresh token is good once, and both servers use it: each goes on with what the other has renewed.
#[tokio::test]
async fn either_server_renews_the_tokens_for_both() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let (alice, browser) = by_openid_connect(app, "alice").await;
        for round in 0..2 {
            expire_access_token(app);
            age_confirmation(app, &alice).await;
            drop(alice.chat(&server).await);
            eventually("the socket is gone", async || server.sockets() == 0).await;
            assert_eq!(renewals(app), 2 * round + 1);
            expire_access_token(app);
            age_confirmations(app, 16.0).await;
            eventually("the API renews them", async || {
                browser.get("/auth/getme").await.expect(200);
                renewals(app) == 2 * round + 2
            })
            .await;
        }
    })
    .await;
}

/// As [`expire_access_token`]; and the renewed tokens are on their way for a while.
async fn renew_slowly(app: &TestApp, alice: &Persona) {
    expire_access_token(app);
    let slow = Misbehaviour::Slow(Duration::from_millis(700));
    app.authentik.controls().misbehave_on(Method::POST, "/application/o/token/", 1, slow);
    age_confirmation(app, alice).await;
}

/// The session goes on: its tokens can be renewed once more, with the token that the provider gave last.
async fn renews_once_more(app: &TestApp, server: &ChatServer, alice: &Persona) {
    expire_access_token(app);
    age_confirmation(app, alice).await;
    let before = renewals(app);
    alice.chat(server).await;
    assert_eq!(renewals(app), before + 1);
}

/// The provider takes the old refresh token while it answers; a client that goes away meanwhile must not end the session.
#[tokio::test]
async fn a_client_that_goes_away_loses_no_renewed_token() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let (alice, _) = by_openid_connect(app, "alice").await;
        renew_slowly(app, &alice).await;
        let old = confirmed_at(app, &alice).await;
        let asked = eventually("the provider is asked for new tokens", async || renewals(app) == 1);
        tokio::select! {
            socket = alice.try_chat(&server) => panic!("it was answered at once: {:?}", socket.err()),
            () = asked => {}
        }
        eventually("the renewed tokens are written", async || confirmed_at(app, &alice).await > old).await;
        renews_once_more(app, &server, &alice).await;
    })
    .await;
}

/// The same for a replica that stops meanwhile.
#[tokio::test]
async fn a_replica_that_stops_writes_renewed_tokens_first() {
    let options = TestOptions::default().with("SESSION_REVALIDATE_SECONDS", "60");
    TestApp::run_with(options, async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let (alice, _) = by_openid_connect(app, "alice").await;
        let socket = alice.chat(&first).await;
        renew_slowly(app, &alice).await;
        let old = confirmed_at(app, &alice).await;
        eventually("the watch asks the provider for new tokens", async || renewals(app) == 1).await;
        first.stop();
        socket.wait_for_close().await;
        eventually("the renewed tokens are written", async || confirmed_at(app, &alice).await > old).await;
        renews_once_more(app, &second, &alice).await;
    })
    .await;
}

/// A session that nobody can be asked about (its ticket holds no secret, or is gone) serves no socket for longer than the
/// grace; the HTTP API may confirm it anew, and leaves the secret with the ticket.
#[tokio::test]
async fn without_anything_to_ask_with_sockets_end_after_the_grace() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let (alice, browser) = by_openid_connect(app, "alice").await;
        sqlx::query("UPDATE socket_ticket SET upstream_secret = NULL").execute(&app.pool).await.unwrap();
        let socket = alice.chat(&server).await;
        age_confirmation(app, &alice).await;
        assert_eq!(socket.wait_for_close().await, "transport close");
        assert!(matches!(alice.try_chat(&server).await, Err(Refused::Http(401, _))));
        eventually("the API has confirmed the session", async || {
            browser.get("/auth/getme").await.expect(200);
            alice.try_chat(&server).await.is_ok()
        })
        .await;
        age_confirmation(app, &alice).await;
        drop(alice.chat(&server).await);
        sqlx::query("DELETE FROM socket_ticket").execute(&app.pool).await.unwrap();
        age_confirmation(app, &alice).await;
        assert!(matches!(browser.try_chat(&server).await, Err(Refused::Http(401, _))), "its ticket is gone");
    })
    .await;
}
