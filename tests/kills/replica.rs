//! Replicas of the API as processes of their own, and their end.

use std::{
    collections::BTreeMap,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use freehunt_api::serve;
use freehunt_config::{ApiConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_tests::{TestApp, eventually};
use reqwest::Method;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A replica: this very program, told to run the one test that serves.
struct Replica {
    url: String,
    settings: String,
    process: Mutex<Child>,
}

pub struct Replicas(Vec<Replica>);

/// A replica lives for up to so many milliseconds after it serves; there are three, so that each has had thrice as long.
const LONGEST_LIFE: u64 = 200;
/// Milliseconds after a call at Stripe within which its caller, or another replica, is killed.
const SOON: u64 = 40;
/// How long a kill waits for such a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Random pauses and choices; every run has others.
pub trait Schedule {
    /// A number below `end`.
    fn below(&self, end: u64) -> u64 {
        Uuid::new_v4().as_u64_pair().0 % end
    }
}

impl Schedule for Replicas {}

impl Replica {
    fn kill(&self) {
        let mut process = self.process.lock().expect("nobody panicked with the lock");
        end(&mut process);
        *process = spawn(&self.settings);
    }

    async fn is_serving(&self) {
        let port =
            self.url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("the address has a port");
        eventually("the replica serves", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    }
}

impl Replicas {
    pub async fn start(app: &TestApp, count: usize) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("a bound listener has an address").port();
            drop(listener);
            let mut settings = app.settings().clone();
            settings.insert("PORT".to_owned(), port.to_string());
            settings.insert("BIND_ADDRESS".to_owned(), "127.0.0.1".to_owned());
            // A fifth of a start goes into the documents.
            settings.insert("DOCS_ENABLED".to_owned(), "false".to_owned());
            let settings = serde_json::to_string(&settings).expect("texts are JSON");
            let process = Mutex::new(spawn(&settings));
            replicas.push(Replica { url: format!("http://127.0.0.1:{port}"), settings, process });
        }
        Self(replicas)
    }

    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|replica| replica.url.as_str())
    }

    pub fn url(&self, index: usize) -> &str {
        &self.0[index].url
    }

    pub fn any_url(&self) -> &str {
        let index = usize::try_from(self.below(self.0.len() as u64)).expect("a small number");
        &self.0[index].url
    }

    /// Kills one replica after the other and starts it anew: every other time at a moment nobody chose, else soon after
    /// money was asked to move, when there is most to lose.
    #[expect(clippy::print_stdout, reason = "the long run is watched")]
    pub async fn kill_at_random(&self, app: &TestApp, kills: usize) {
        for number in 0..kills {
            let replica = &self.0[number % self.0.len()];
            // One that still starts would die without having done anything.
            replica.is_serving().await;
            if number % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(self.below(LONGEST_LIFE))).await;
            } else {
                let _nobody_moved_any = tokio::time::timeout(PATIENCE, money_is_asked_to_move(app)).await;
                tokio::time::sleep(Duration::from_millis(self.below(SOON))).await;
            }
            replica.kill();
            if (number + 1) % 500 == 0 {
                println!("{} kills so far", number + 1);
            }
        }
    }

    pub async fn is_serving(&self, index: usize) {
        self.0[index].is_serving().await;
    }

    /// Kills the replica now, and starts it anew.
    pub async fn kill(&self, index: usize) {
        self.0[index].kill();
        self.0[index].is_serving().await;
    }
}

/// Returns when the next call that writes has come to Stripe.
async fn money_is_asked_to_move(app: &TestApp) {
    app.stripe.controls().forget_calls();
    while app.stripe.controls().calls_to(Method::POST, "/v1/").is_empty() {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for replica in &mut self.0 {
            if let Ok(process) = replica.process.get_mut() {
                end(process);
            }
        }
    }
}

/// SIGKILL: no drain, no clean-up.
fn end(process: &mut Child) {
    process.kill().expect("the process can be killed");
    process.wait().expect("the process has ended");
}

fn spawn(settings: &str) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut process = Command::new(program)
        .args(["--exact", "kills::replica::serve_until_killed", "--ignored", "--test-threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be started again");
    let mut line = settings.to_owned();
    line.push('\n');
    // The pipe stays open: its end tells the replica that the test is gone.
    std::io::Write::write_all(process.stdin.as_mut().expect("a pipe was asked for"), line.as_bytes())
        .expect("the replica takes its settings");
    process
}

/// A replica. Its settings come over the standard input; it ends with the test that started it.
#[test]
#[ignore = "a process of the kill test"]
fn serve_until_killed() {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    let mut byte = [0];
    while input.read(&mut byte).is_ok_and(|count| count == 1) && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    let Ok(settings) = serde_json::from_slice::<BTreeMap<String, String>>(&line) else { return };
    drop(input);
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ended = std::io::stdin().lock().read_to_end(&mut rest);
        std::process::exit(0);
    });
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = ApiConfig::load(&Source::from_map(settings, Path::new("/nonexistent"))).expect("good settings");
        let (bind, port) = (config.http.bind, config.http.port);
        let server = freehunt_api::build(config, Clock::system()).expect("the server can be built");
        let listener = freehunt_serving::serve::bind(bind, port).await.expect("the port is free again");
        serve::serve(server, listener, CancellationToken::new()).await.expect("it serves until it is killed");
    });
}
