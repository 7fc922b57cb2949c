use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use freehunt_api::serve;
use freehunt_config::{ApiConfig, MessagingConfig, Source};
use freehunt_domain::time::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{TestApp, eventually};

/// What a replica's process runs.
#[derive(Clone, Debug)]
pub enum Serving {
    /// The test's own program, told to run the one test that calls [`serve_replica`] or [`serve_chat_replica`]; it ends
    /// with who started it.
    Test(&'static str),
    /// The program that is shipped.
    Program(PathBuf),
}

impl Serving {
    /// The program that `FREEHUNT_API_PROGRAM` names, seen from the root of the repository.
    pub fn shipped_api() -> Option<Self> {
        Self::named_by("FREEHUNT_API_PROGRAM")
    }

    /// The same of `FREEHUNT_MESSAGING_PROGRAM`.
    pub fn shipped_messaging() -> Option<Self> {
        Self::named_by("FREEHUNT_MESSAGING_PROGRAM")
    }

    #[expect(clippy::disallowed_methods, reason = "a setting of the tests themselves")]
    fn named_by(variable: &str) -> Option<Self> {
        // Tests run in the folder of their package.
        let path = PathBuf::from(std::env::var_os(variable)?);
        Some(Self::Program(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)))
    }
}

/// Another replica of the API, or of the messaging server, as a process of its own, which can be killed.
pub struct Replica {
    pub url: String,
    serving: Serving,
    settings: BTreeMap<String, String>,
    process: Mutex<Child>,
}

impl Replica {
    /// Over the database and the surroundings of `app`.
    pub async fn start(app: &TestApp, serving: Serving) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        drop(listener);
        let mut settings = app.settings().clone();
        settings.insert("PORT".to_owned(), port.to_string());
        settings.insert("BIND_ADDRESS".to_owned(), "127.0.0.1".to_owned());
        // A fifth of a start goes into the documents.
        settings.insert("DOCS_ENABLED".to_owned(), "false".to_owned());
        let process = Mutex::new(spawn(&serving, &settings));
        Self { url: format!("http://127.0.0.1:{port}"), serving, settings, process }
    }

    pub async fn is_serving(&self) {
        let port = self.url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let port = port.expect("the address has a port");
        eventually("the replica serves", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    }

    pub fn process_id(&self) -> u32 {
        self.process.lock().expect("nobody panicked with the lock").id()
    }

    /// Resident memory of the process: now (`VmRSS`) or at most so far (`VmHWM`).
    pub fn memory_in_mebibytes(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process_id());
        let status = std::fs::read_to_string(path).expect("a Linux process");
        let line = status.lines().find(|line| line.starts_with(field)).expect("a known field");
        line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number of kB") / 1024
    }

    /// SIGKILL: no drain, no clean-up.
    pub fn kill(&self) {
        end(&mut self.process.lock().expect("nobody panicked with the lock"));
    }

    pub fn start_again(&self) {
        *self.process.lock().expect("nobody panicked with the lock") = spawn(&self.serving, &self.settings);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut() {
            end(process);
        }
    }
}

fn end(process: &mut Child) {
    process.kill().expect("the process can be killed");
    process.wait().expect("the process has ended");
}

fn spawn(serving: &Serving, settings: &BTreeMap<String, String>) -> Child {
    let mut command = match serving {
        Serving::Program(path) => {
            let mut command = Command::new(path);
            command.arg("serve").env_clear().envs(settings);
            command
        }
        Serving::Test(name) => {
            let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
            command.args(["--exact", name, "--ignored", "--test-threads", "1"]);
            command
        }
    };
    // As in the image.
    command.env("MALLOC_MMAP_THRESHOLD_", "1048576");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{serving:?} does not start: {error}"));
    if let Serving::Test(_) = serving {
        // The pipe stays open: its end tells the replica that the test is gone.
        let line = format!("{}\n", serde_json::to_string(settings).expect("texts are JSON"));
        let input = process.stdin.as_mut().expect("a pipe was asked for");
        input.write_all(line.as_bytes()).expect("the replica takes its settings");
    }
    process
}

/// Serves the API until it is killed, on `threads` threads, with the settings that come over the standard input. Does
/// nothing when none come, as when somebody runs the ignored tests.
pub fn serve_replica(threads: usize) {
    serve_with_input(threads, async |source| {
        let config = ApiConfig::load(&source).expect("good settings");
        let (bind, port) = (config.http.bind, config.http.port);
        let server = freehunt_api::build(config, Clock::system()).expect("the server can be built");
        let listener = freehunt_serving::serve::bind(bind, port).expect("the port is free again");
        serve::serve(server, listener, CancellationToken::new()).await.expect("it serves until it is killed");
    });
}

/// As [`serve_replica`], the messaging server.
pub fn serve_chat_replica(threads: usize) {
    serve_with_input(threads, async |source| {
        let config = MessagingConfig::load(&source).expect("good settings");
        let (bind, port) = (config.http.bind, config.http.port);
        let server = freehunt_messaging::build(config, Clock::system()).expect("the server can be built");
        let listener = freehunt_serving::serve::bind(bind, port).expect("the port is free again");
        let serving = freehunt_messaging::serve::serve(server, listener, CancellationToken::new());
        serving.await.expect("it serves until it is killed");
    });
}

fn serve_with_input(threads: usize, serve: impl AsyncFnOnce(Source)) {
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.expect("a runtime").block_on(serve(Source::from_map(settings, Path::new("/nonexistent"))));
}
