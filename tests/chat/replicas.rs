//! Replicas that come and go, and a database that does.

use freehunt_tests::{TestApp, eventually};

use super::{contents, pair, say, shown};

pub(super) async fn cut_listener(app: &TestApp) {
    eventually("there is a listener to cut", async || {
        let cut: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        cut > 0
    })
    .await;
}

/// Fault case 132.
#[tokio::test]
async fn a_cut_listener_misses_nothing() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let bob = pair.bob.chat(&server).await;
        bob.settle().await;
        say(&pair.alice, &pair.conversation, "0").await;
        bob.wait_for("newMessage", 1).await;
        for number in 1..=20 {
            if number % 5 == 0 {
                cut_listener(app).await;
            }
            say(&pair.alice, &pair.conversation, &number.to_string()).await;
        }
        let received = shown(&bob.wait_for("newMessage", 21).await);
        let numbers: Vec<u32> = contents(&received).iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(numbers, (0..=20).collect::<Vec<u32>>());
    })
    .await;
}

/// Fault cases 131 and 143.
#[tokio::test]
async fn a_replica_that_stops_hands_its_clients_over() {
    TestApp::run(async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let pair = pair(app).await;
        let mut sockets = Vec::new();
        for _ in 0..10 {
            sockets.push(pair.bob.chat(&first).await);
        }
        first.stop();
        for socket in &sockets {
            assert_eq!(socket.wait_for_close().await, "transport close", "so that clients reconnect by themselves");
        }
        say(&pair.alice, &pair.conversation, "entre-temps").await;
        let bob = pair.bob.chat(&second).await;
        bob.settle().await;
        assert_eq!(contents(&shown(&bob.received("newMessage"))), ["entre-temps"]);
    })
    .await;
}

/// Fault case 131.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_loses_nothing() {
    TestApp::run(async |app| {
        let (doomed, other) = (app.mortal_chat_server().await, app.chat_server().await);
        let pair = pair(app).await;
        let bob = pair.bob.chat(&doomed).await;
        say(&pair.alice, &pair.conversation, "avant").await;
        bob.wait_for("newMessage", 1).await;
        doomed.kill();
        say(&pair.alice, &pair.conversation, "pendant").await;
        bob.wait_for_close().await;
        let bob = pair.bob.chat(&other).await;
        say(&pair.alice, &pair.conversation, "après").await;
        eventually("everything has come", async || {
            let received = bob.received("newMessage");
            ["avant", "pendant", "après"].iter().all(|text| contents(&received).contains(text))
        })
        .await;
    })
    .await;
}
