//! Replicas that come and go, and a database that does.

use freehunt_tests::{ChatClient, ChatServer, Persona, TestApp, eventually};
use serde_json::Value;

use super::{contents, pair, say, shown};

async fn cut_listener(app: &TestApp) {
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

/// Fault cases 131 and 132, at random: replicas are killed and started while messages are sent, and clients reconnect
/// wherever there is one. Every message that was acknowledged is received, and shown in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_message_is_lost_while_replicas_are_killed() {
    const MESSAGES: usize = 400;
    TestApp::run(async |app| {
        let pair = pair(app).await;
        let mut servers = [app.mortal_chat_server().await, app.mortal_chat_server().await];
        let mut reader = Reader::new(pair.bob.chat(&servers[0]).await);
        let mut sent = Vec::new();
        for number in 0..MESSAGES {
            // Steps that have no common divisor with each other, so that every combination comes up.
            if number % 37 == 36 {
                let victim = (number / 37) % 2;
                servers[victim].kill();
                servers[victim] = app.mortal_chat_server().await;
            }
            if number % 53 == 52 {
                cut_listener(app).await;
            }
            let message = say(&pair.alice, &pair.conversation, &number.to_string()).await;
            sent.push(message["id"].clone());
            if reader.socket.is_closed() {
                reader.reconnect(&pair.bob, &servers).await;
            }
        }
        eventually("every message has come", async || {
            if reader.socket.is_closed() {
                reader.reconnect(&pair.bob, &servers).await;
            }
            let received = reader.received();
            sent.iter().all(|id| received.iter().any(|message| message["id"] == *id))
        })
        .await;
        let ids: Vec<Value> = shown(&reader.received()).iter().map(|message| message["id"].clone()).collect();
        assert_eq!(ids, sent);
    })
    .await;
}

/// A client that reconnects, with what all its sockets received.
struct Reader {
    socket: ChatClient,
    before: Vec<Value>,
}

impl Reader {
    fn new(socket: ChatClient) -> Self {
        Self { socket, before: Vec::new() }
    }

    fn received(&self) -> Vec<Value> {
        self.before.iter().cloned().chain(self.socket.received("newMessage")).collect()
    }

    async fn reconnect(&mut self, persona: &Persona, servers: &[ChatServer]) {
        for server in servers {
            if let Ok(socket) = persona.try_chat(server).await {
                self.before = self.received();
                self.socket = socket;
                return;
            }
        }
    }
}
