//! Sockets end with their session.

use std::time::{Duration, Instant};

use freehunt_tests::{Refused, TestApp};
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
