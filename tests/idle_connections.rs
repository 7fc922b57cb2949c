//! Ten thousand connections that say nothing, or not enough. Fault case 152.
//!
//! The server is a process of its own, so that its open files and its memory are its alone. Its times are compared with those
//! of a second one that nobody bothers, request by request, so that the machine's load does not matter.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, Replica, Serving, TestApp, TestOptions, eventually};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::kills::replica::REPLICA;

/// Open at once.
const CONNECTIONS: usize = 10_000;
/// What the tests beside this one and the server itself have open.
const OTHER_FILES: usize = 2_000;
/// Opened one after the other, before the server has to show that it has taken them.
const BATCH: usize = 250;
/// Far longer than any limit of these tests.
const FOREVER: Duration = Duration::from_secs(60);
/// Asked of each of the two servers.
const REQUESTS: usize = 100;
/// What ten thousand connections and all else may take of the 256 MiB that fault case 153 allows.
const MOST_MEMORY: u64 = 256;

/// As many as the machine lets one process have.
fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let connections = CONNECTIONS.min(limit.saturating_sub(OTHER_FILES));
    if connections < CONNECTIONS {
        let note =
            format!("note: {limit} open files are allowed here: {connections} idle connections, not {CONNECTIONS}\n");
        // Past the capture of what tests print.
        std::io::stderr().write_all(note.as_bytes()).expect("standard error");
    }
    assert!(connections > 500, "{limit} open files are too few for this test");
    connections
}

fn open_files(replica: &Replica) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", replica.process_id())).expect("a Linux process").count()
}

fn address(replica: &Replica) -> SocketAddr {
    replica.url.trim_start_matches("http://").parse().expect("an address and a port")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_read_timeout(Some(FOREVER)).expect("a TCP connection");
    stream
}

fn is_answered(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").expect("the server keeps it open");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("the server answers");
    answer == *b"HTTP/1.1 200"
}

/// What a connection says before it falls silent.
#[derive(Clone, Copy, PartialEq)]
enum Words {
    Nothing,
    HalfOfAHeader,
    HalfOfABody,
    OneRequest,
}

impl Words {
    fn by_number(number: usize) -> Self {
        match number % 50 {
            0 => Self::HalfOfABody,
            even if even % 2 == 0 => Self::HalfOfAHeader,
            _ => Self::Nothing,
        }
    }

    fn text(self, cookie: &str) -> String {
        match self {
            Self::Nothing | Self::OneRequest => String::new(),
            Self::HalfOfAHeader => "GET /health HTTP/1.1\r\nhost:".to_owned(),
            Self::HalfOfABody => format!(
                "POST /skills HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-type: application/json\r\n\
                 content-length: 1000\r\n\r\n{{"
            ),
        }
    }
}

/// Connections are taken in their order: when the last one of a batch is answered, all before it have been taken.
fn open(address: SocketAddr, count: usize, cookie: &str) -> Vec<(Words, TcpStream)> {
    let mut connections = Vec::with_capacity(count);
    for number in 1..=count {
        let is_last = number % BATCH == 0 || number == count;
        let words = if is_last { Words::OneRequest } else { Words::by_number(number) };
        let mut stream = connect(address);
        if is_last {
            assert!(is_answered(&mut stream));
        } else {
            stream.write_all(words.text(cookie).as_bytes()).expect("the server keeps it open");
        }
        connections.push((words, stream));
    }
    connections
}

/// Returns once the server has closed all of them. Only who began a body is told why.
fn until_closed(connections: Vec<(Words, TcpStream)>) {
    for (words, mut stream) in connections {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            result => drop(result.expect("the server closes it in time")),
        }
        assert_eq!(
            rest.starts_with(b"HTTP/1.1 503"),
            words == Words::HalfOfABody,
            "{}",
            String::from_utf8_lossy(&rest)
        );
    }
}

/// The medians of both, asked in turn.
async fn medians(flooded: &Persona, quiet: &Persona) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..REQUESTS {
        for (persona, times) in [flooded, quiet].into_iter().zip(&mut times) {
            let since = Instant::now();
            persona.get("/auth/getme").await.expect(200);
            times.push(since.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[REQUESTS / 2]
    })
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the clients do not fail")
}

/// Whether all were open until the times had been taken: a machine that is too slow for `patience` has shown nothing.
#[expect(clippy::print_stdout, reason = "figures, for who asks for them")]
async fn idle_connections_within(patience: Duration) -> bool {
    let milliseconds = patience.as_millis().to_string();
    let options =
        TestOptions::default().with("HEADER_TIMEOUT_MS", &milliseconds).with("REQUEST_TIMEOUT_MS", &milliseconds);
    let mut in_time = false;
    TestApp::run_with(options, async |app| {
        let serving = || Serving::shipped_api().unwrap_or(REPLICA);
        let (flooded, quiet) = (Replica::start(app, serving()).await, Replica::start(app, serving()).await);
        flooded.is_serving().await;
        quiet.is_serving().await;
        let alice = app.user("alice", Role::Freelance).await;
        let (at_flooded, at_quiet) = (app.at(&alice, &flooded.url), app.at(&alice, &quiet.url));
        medians(&at_flooded, &at_quiet).await;
        let (files, memory) = (open_files(&flooded), flooded.memory_in_mebibytes("VmRSS"));
        let (count, address, cookie) = (connections(), address(&flooded), alice.cookie.clone());
        let since = Instant::now();
        let held = in_background(move || open(address, count, &cookie)).await;
        let opened = since.elapsed();
        let [busy, idle] = medians(&at_flooded, &at_quiet).await;
        in_time = open_files(&flooded) >= count;
        in_background(move || until_closed(held)).await;
        let closed = since.elapsed();
        let peak = flooded.memory_in_mebibytes("VmHWM");
        println!(
            "{count} connections opened in {opened:?}, closed after {closed:?}; \
             median {busy:?}, {idle:?} without them; {memory} MiB before, at most {peak}"
        );
        // Twice, and a little for the precision of what takes less than a millisecond.
        assert!(!in_time || busy < 2 * idle + Duration::from_millis(3), "{busy:?}, {idle:?} without them");
        assert!(peak < MOST_MEMORY, "{peak} MiB, {memory} before");
        eventually("its files are closed", async || open_files(&flooded) < files + 50).await;
        at_flooded.get("/auth/getme").await.expect(200);
    })
    .await;
    in_time
}

#[tokio::test]
async fn fault_case_152_ten_thousand_idle_connections_slow_nobody_down() {
    for seconds in [2, 10, 30] {
        if idle_connections_within(Duration::from_secs(seconds)).await {
            return;
        }
    }
    panic!("the machine is too slow to have them all open at once");
}

/// Whoever was connected is served on, and so is everybody once others have gone.
#[tokio::test]
async fn fault_case_152_a_server_without_open_files_left_goes_on() {
    TestApp::run(async |app| {
        let replica = Replica::start(app, Serving::shipped_api().unwrap_or(REPLICA)).await;
        replica.is_serving().await;
        let alice = app.at(&app.user("alice", Role::Freelance).await, &replica.url);
        alice.get("/auth/getme").await.expect(200);
        let limit = open_files(&replica) + 50;
        let pid = i32::try_from(replica.process_id()).ok().and_then(Pid::from_raw).expect("a process");
        let both = Some(limit as u64);
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: both, maximum: both }).expect("a process of this user");
        let mut idle: Vec<_> = (0..200).map(|_| connect(address(&replica))).collect();
        eventually("none is left", async || open_files(&replica) >= limit).await;
        alice.get("/auth/getme").await.expect(200);
        // Those that were not taken yet still have their turn before the newest.
        idle.truncate(10);
        assert!(is_answered(&mut connect(address(&replica))));
    })
    .await;
}
