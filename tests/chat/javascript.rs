//! The real JavaScript clients, the newest and the oldest of version 4, over each transport. Skipped, with a reason,
//! where there is no Node.js.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use freehunt_domain::users::Role;
use freehunt_tests::{ChatServer, Persona, TestApp, settings::FRONTEND};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{Mutex, Notify, OnceCell},
};

use super::{contents, flood, numbers, pair, say, shown};

const PACKAGES: [&str; 2] = ["socket.io-client", "socket.io-client-oldest"];
const TRANSPORTS: [&[&str]; 3] = [&["polling"], &["websocket"], &["polling", "websocket"]];
const PATIENCE: Duration = Duration::from_secs(20);

/// The folder with the installed clients; `None` where Node.js or its packages are not to be had.
async fn modules() -> Option<&'static Path> {
    static INSTALLED: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    INSTALLED.get_or_init(install).await.as_deref()
}

async fn install() -> Option<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("socket.io-clients");
    let outcome: Result<(), String> = async {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        // Several test processes may install at once.
        let lock = std::fs::File::create(folder.join("lock")).map_err(|error| error.to_string())?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
        let _locked = lock.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let wanted = std::fs::read(sources.join("package-lock.json")).map_err(|error| error.to_string())?;
        let installed = std::fs::read(folder.join("installed")).unwrap_or_default();
        if installed == wanted {
            return Ok(());
        }
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(sources.join(file), folder.join(file)).map_err(|error| error.to_string())?;
        }
        let output = Command::new("npm").arg("ci").current_dir(&folder).output().await;
        let output = output.map_err(|error| format!("npm cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        std::fs::write(folder.join("installed"), wanted).map_err(|error| error.to_string())
    }
    .await;
    match outcome {
        Ok(()) => Some(folder),
        Err(reason) => {
            eprintln!("skipped: the JavaScript clients cannot be installed: {reason}");
            None
        }
    }
}

/// A running client.
struct JavaScriptClient {
    input: ChildStdin,
    told: Arc<(Mutex<Vec<Value>>, Notify)>,
    _process: Child,
}

impl JavaScriptClient {
    fn start(modules: &Path, package: &str, transports: &[&str], server: &ChatServer, more: Value) -> Self {
        let mut settings = json!({
            "modules": modules, "package": package, "transports": transports, "url": server.url,
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/client.cjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let input = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let told = Arc::new((Mutex::new(Vec::new()), Notify::new()));
        let teller = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                teller.0.lock().await.push(serde_json::from_str(&line).expect("the client tells JSON"));
                teller.1.notify_waiters();
            }
        });
        Self { input, told, _process: process }
    }

    async fn command(&mut self, command: Value) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.expect("the client listens");
    }

    async fn told(&self, what: &str) -> Vec<Value> {
        self.told.0.lock().await.iter().filter(|told| told[0] == what).cloned().collect()
    }

    /// Payloads of the events of this name.
    async fn received(&self, event: &str) -> Vec<Value> {
        self.told("event").await.iter().filter(|told| told[1] == event).map(|told| told[2].clone()).collect()
    }

    async fn wait(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            let told = self.told.0.lock().await.clone();
            assert!(Instant::now() < deadline, "gave up waiting for {what}; the client told {told:?}");
            let _changed = tokio::time::timeout(Duration::from_millis(50), self.told.1.notified()).await;
        }
    }

    async fn has_gone_over_to(&mut self, transport: &str, case: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = self.told("transport").await.len();
            self.command(json!(["transport"])).await;
            self.wait(case, async || self.told("transport").await.len() > asked).await;
            let current = self.told("transport").await.pop();
            if current.is_some_and(|told| told[1] == transport) {
                return;
            }
            assert!(Instant::now() < deadline, "{case}: it never goes over to {transport}");
        }
    }

    async fn wait_for_connections(&self, count: usize) {
        self.wait("a connection", async || self.told("connect").await.len() >= count).await;
    }
}

fn as_browser(persona: &Persona, room: &str) -> Value {
    json!({ "headers": { "cookie": persona.cookie, "origin": FRONTEND }, "room": room })
}

/// What the frontend's pages do, with each client over each transport.
#[tokio::test]
async fn every_client_and_transport_chats() {
    let Some(modules) = modules().await else { return };
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        for package in PACKAGES {
            for transports in TRANSPORTS {
                let case = format!("{package} over {transports:?}");
                let settings = as_browser(&pair.alice, &pair.conversation);
                let mut alice = JavaScriptClient::start(modules, package, transports, &server, settings);
                alice.wait(&case, async || !alice.received("joinedRoom").await.is_empty()).await;
                let sent = say(&pair.bob, &pair.conversation, &case).await;
                alice.wait(&case, async || alice.received("newMessage").await.contains(&sent)).await;
                alice.command(json!(["emit", "newMessage", { "message": sent }])).await;
                alice.wait(&case, async || !alice.told("acknowledged").await.is_empty()).await;
                let refused = &alice.told("acknowledged").await[0];
                assert_eq!(refused[2], json!({ "ok": false, "message": "Message not found" }), "{case}: Bob's message");
                let own = say(&pair.alice, &pair.conversation, &format!("{case}, answered")).await;
                alice.command(json!(["emit", "newMessage", { "message": own }])).await;
                alice.wait(&case, async || alice.told("acknowledged").await.len() == 2).await;
                assert_eq!(alice.told("acknowledged").await[1][2], json!({ "ok": true }), "{case}");
                alice.wait(&case, async || alice.received("newMessage").await.contains(&own)).await;
                let last = *transports.last().unwrap();
                alice.has_gone_over_to(last, &case).await;
                assert_eq!(alice.told("connect").await.len(), 1, "{case}: one connection lasts");
                assert!(alice.told("connect_error").await.is_empty(), "{case}");
            }
        }
    })
    .await;
}

/// More is sent again than one poll's answer used to hold, while the client goes over to WebSocket.
#[tokio::test]
async fn a_client_that_upgrades_during_its_replay_misses_nothing() {
    let Some(modules) = modules().await else { return };
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        flood(app, &pair, 1..=200, 2000).await;
        for package in PACKAGES {
            for round in 0..3 {
                let settings = as_browser(&pair.bob, &pair.conversation);
                let bob = JavaScriptClient::start(modules, package, &["polling", "websocket"], &server, settings);
                // Answered after the replay.
                let case = format!("{package}, {round}");
                let is_over = async || !bob.told("disconnect").await.is_empty();
                bob.wait(&case, async || is_over().await || !bob.received("joinedRoom").await.is_empty()).await;
                assert!(!is_over().await, "{case}: one connection lasts");
                assert_eq!(
                    numbers(&shown(&bob.received("newMessage").await)),
                    (1..=200).collect::<Vec<i32>>(),
                    "{case}"
                );
            }
        }
    })
    .await;
}

/// Fault cases 131 and 143: the client reconnects by itself, never joins again, and gets what it missed.
#[tokio::test]
async fn a_client_whose_server_restarts_misses_nothing() {
    let Some(modules) = modules().await else { return };
    TestApp::run(async |app| {
        let pair = pair(app).await;
        for transports in TRANSPORTS {
            let server = app.chat_server().await;
            let settings = as_browser(&pair.bob, &pair.conversation);
            let bob = JavaScriptClient::start(modules, PACKAGES[0], transports, &server, settings);
            bob.wait("the room", async || !bob.received("joinedRoom").await.is_empty()).await;
            server.stop();
            bob.wait("the end", async || !bob.told("disconnect").await.is_empty()).await;
            let missed = say(&pair.alice, &pair.conversation, "pendant l'arrêt").await;
            let _again = app.chat_server_at(&server.url).await;
            bob.wait_for_connections(2).await;
            bob.wait("what it missed", async || bob.received("newMessage").await.contains(&missed)).await;
            let after = say(&pair.alice, &pair.conversation, "après").await;
            bob.wait("what comes after", async || bob.received("newMessage").await.contains(&after)).await;
            let received = shown(&bob.received("newMessage").await);
            assert_eq!(contents(&received[received.len() - 2..]), ["pendant l'arrêt", "après"], "{transports:?}");
        }
    })
    .await;
}

/// Fault case 126: refused at HTTP, so that a passing failure is tried again.
#[tokio::test]
async fn a_refused_client_keeps_trying_and_gets_in_once_it_may() {
    let Some(modules) = modules().await else { return };
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let alice = app.user("alice", Role::Company).await;
        let expiry = async |expression: &str| {
            app.execute(&format!("UPDATE session SET expires_at = {expression}")).await;
        };
        expiry("now()").await;
        for transports in TRANSPORTS {
            let client = JavaScriptClient::start(modules, PACKAGES[0], transports, &server, as_browser(&alice, ""));
            client.wait("refusals", async || client.told("connect_error").await.len() >= 2).await;
            assert!(client.told("connect").await.is_empty());
            expiry("now() + interval '1 day'").await;
            client.wait_for_connections(1).await;
            expiry("now()").await;
        }
        let token = alice.cookie.split_once('=').unwrap().1;
        expiry("now() + interval '1 day'").await;
        for package in PACKAGES {
            let settings = json!({ "auth": { "token": token } });
            let client = JavaScriptClient::start(modules, package, &["polling", "websocket"], &server, settings);
            client.wait_for_connections(1).await;
        }
    })
    .await;
}
