//! The connections on which the servers hear of changes, and which may fall silent.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use freehunt_domain::{time::Clock, users::Role};
use freehunt_tests::{TestApp, eventually};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    auth::Replica,
    chat::{pair, say},
};

/// Stands between a server and PostgreSQL, and can swallow what the connections that listen say and hear.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<Arc<AtomicBool>>>>);

impl Wire {
    /// How many connections have listened so far.
    fn listeners(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Those that listen now are not heard any more, and hear nothing; neither side is told.
    fn silence(&self) {
        for is_silent in self.0.lock().unwrap().iter() {
            is_silent.store(true, Ordering::SeqCst);
        }
    }

    /// Waits until the silence was noticed, and another connection listens.
    async fn is_replaced(&self) {
        let began = Instant::now();
        while self.listeners() == 1 {
            // Some beats of a busy machine; the kernel would need a quarter of an hour.
            assert!(began.elapsed() < Duration::from_secs(60), "nobody noticed the silence");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The same database by way of this wire.
    async fn to(&self, database_url: &str) -> String {
        let mut url = url::Url::parse(database_url).expect("the database has a URL");
        let target = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        url.set_port(listener.local_addr().ok().map(|address| address.port())).expect("a port can be set");
        url.set_host(Some("127.0.0.1")).expect("a host can be set");
        url.query_pairs_mut().clear().append_pair("sslmode", "disable");
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let Ok(database) = TcpStream::connect(&target).await else { return };
                tokio::spawn(wire.clone().carry(server, database));
            }
        });
        url.into()
    }

    async fn carry(self, server: TcpStream, database: TcpStream) {
        let is_silent = Arc::new(AtomicBool::new(false));
        let (from_server, to_server) = server.into_split();
        let (from_database, to_database) = database.into_split();
        let listens = |said: &[u8]| said.windows(6).any(|word| word == b"LISTEN");
        let noted = AtomicBool::new(false);
        tokio::join!(
            forward(from_server, to_database, &is_silent, |said| {
                if listens(said) && !noted.swap(true, Ordering::SeqCst) {
                    self.0.lock().unwrap().push(Arc::clone(&is_silent));
                }
            }),
            forward(from_database, to_server, &is_silent, |_| {}),
        );
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_silent: &AtomicBool,
    see: impl Fn(&[u8]),
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        see(&buffer[..length]);
        if !is_silent.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    let _closed = to.shutdown().await;
}

/// A firewall that has forgotten the connection, or a machine that is gone: nothing is closed, and nothing comes.
#[tokio::test]
async fn a_connection_that_says_nothing_any_more_is_noticed() {
    TestApp::run(async |app| {
        let wire = Wire::default();
        let through = wire.to(&app.settings()["DATABASE_URL"]).await;
        let replica = Replica::start_with(app, Clock::system(), &[("DATABASE_URL", &through)]).await;
        let alice = app.user("alice", Role::Freelance).await;
        let there = app.at(&alice, &replica.url);
        there.get("/auth/getme").await.expect(200);
        eventually("the replica listens", async || wire.listeners() == 1).await;
        wire.silence();
        wire.is_replaced().await;
        there.get("/auth/getme").await.expect(200);
        alice.post("/auth/logout", json!({})).await.expect(201);
        eventually("the log-out is heard of again", async || there.get("/auth/getme").await.status == 401).await;
        replica.stop().await;
    })
    .await;
}

/// So does the messaging server.
#[tokio::test]
async fn the_messaging_server_notices_it_too() {
    TestApp::run(async |app| {
        let wire = Wire::default();
        let through = wire.to(&app.settings()["DATABASE_URL"]).await;
        let server = app.chat_server_with(&[("DATABASE_URL", &through)]).await;
        eventually("the server listens", async || wire.listeners() == 1).await;
        wire.silence();
        wire.is_replaced().await;
        let pair = pair(app).await;
        let bob = pair.bob.chat(&server).await;
        say(&pair.alice, &pair.conversation, "tu m'entends ?").await;
        bob.wait_for("newMessage", 1).await;
    })
    .await;
}
