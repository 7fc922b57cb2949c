//! PostgreSQL restarted while messages are sent: its own server, since the tests' shared one must not go away.

use freehunt_domain::schema;
use freehunt_sandbox::postgres::{PostgresServer, PostgresSettings};
use freehunt_tests::{Persona, TestApp, TestOptions, eventually};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{pair, shown};

/// Fault case 132.
#[tokio::test]
async fn fault_case_132_a_database_that_restarts_loses_no_acknowledged_message() {
    let folder = TempDir::new().unwrap();
    let settings = PostgresSettings {
        durable: false,
        // Known, so that the address stays the same.
        password: Some("restarted".to_owned()),
        ..PostgresSettings::new(folder.path().join("postgres"))
    };
    let postgres = PostgresServer::start(settings.clone()).await.unwrap();
    let settings = PostgresSettings { port: Some(postgres.port()), ..settings };
    postgres.create_database_if_missing("freehunt").await.unwrap();
    let mut connection = PgConnection::connect_with(&postgres.connect_options("freehunt")).await.unwrap();
    schema::migrate(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let options = TestOptions::default().with("DATABASE_URL", postgres.url("freehunt"));
    // Outside of the test proper, whose end looks into the database too.
    let running = Mutex::new(Some(postgres));
    TestApp::run_with(options, async |app| {
        let (first, second) = (app.chat_server().await, app.chat_server().await);
        let pair = pair(app).await;
        let sockets = [pair.bob.chat(&first).await, pair.bob.chat(&second).await, pair.alice.chat(&second).await];
        let mut sent = Vec::new();
        for number in 0..60 {
            if number % 20 == 10 {
                let mut running = running.lock().await;
                running.take().expect("it runs").stop().await.unwrap();
                // Refused while it is away, at once and with the right status.
                assert_eq!(try_to_say(&pair.alice, &pair.conversation, "perdu").await, None);
                *running = Some(PostgresServer::start(settings.clone()).await.unwrap());
            }
            let mut acknowledged = None;
            eventually("a message is taken again", async || {
                acknowledged = try_to_say(&pair.alice, &pair.conversation, &number.to_string()).await;
                acknowledged.is_some()
            })
            .await;
            sent.extend(acknowledged);
        }
        for socket in &sockets {
            let received = shown(&socket.wait_for("newMessage", sent.len()).await);
            let times = |messages: &[Value]| messages.iter().map(|message| message["id"].clone()).collect::<Vec<_>>();
            assert_eq!(times(&received), times(&sent));
            assert!(!socket.is_closed(), "sockets outlive the database's absence");
        }
    })
    .await;
    let postgres = running.into_inner().expect("it runs");
    postgres.stop().await.unwrap();
}

/// The message, or `None` for a 503: then nothing was written.
async fn try_to_say(sender: &Persona, conversation: &str, content: &str) -> Option<Value> {
    let answer = sender.post("/messages/", json!({ "conversationId": conversation, "content": content })).await;
    match answer.status {
        503 => None,
        _ => Some(answer.expect(201)),
    }
}
