//! A thin HTTP/1.1 driver: prepared requests over connections that stay open, each sending the next when the answer
//! is there. It runs on a thread of its own and does as little as possible, since it shares the cores with the servers.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::servers::FRONTEND;

/// A server that takes longer is stuck.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const FIRST_BUFFER: usize = 16 * 1024;

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Request(Vec<u8>);

impl Request {
    pub fn get(path: &str, session: Option<&str>) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\n{}\r\n", headers(session)).into_bytes())
    }

    /// As a load balancer asks: nothing that a browser adds.
    pub fn plain(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes())
    }

    pub fn post(path: &str, session: Option<&str>, body: &serde_json::Value) -> Self {
        let body = body.to_string();
        let headers = headers(session);
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n");
        Self(format!("{head}\r\n{body}").into_bytes())
    }
}

/// What a browser's request has that costs the server something.
fn headers(session: Option<&str>) -> String {
    let cookie = session.map(|token| format!("cookie: freehunt_session={token}\r\n")).unwrap_or_default();
    format!("host: localhost\r\norigin: {FRONTEND}\r\naccept: application/json\r\n{cookie}")
}

/// An answer as it was received.
pub struct Answer<'b> {
    pub status: u16,
    bytes: &'b [u8],
    head_length: usize,
}

impl<'b> Answer<'b> {
    /// Head and body.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    pub fn body(&self) -> &'b [u8] {
        &self.bytes[self.head_length..]
    }
}

/// One connection that stays open.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; FIRST_BUFFER] })
    }

    pub async fn send(&mut self, request: &Request) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(&request.0).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
        };
        let end = head.length + head.body_length;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while filled < end {
            filled += self.read(filled).await?;
        }
        Ok(Answer { status: head.status, bytes: &self.buffer[..end], head_length: head.length })
    }

    async fn read(&mut self, filled: usize) -> anyhow::Result<usize> {
        let count = self.stream.read(&mut self.buffer[filled..]).await?;
        ensure!(count > 0, "the server closed the connection");
        Ok(count)
    }
}

struct Head {
    status: u16,
    /// With the empty line.
    length: usize,
    body_length: usize,
}

impl Head {
    /// `None` while the head is not whole.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            ensure!(bytes.len() < FIRST_BUFFER, "the answer's head is too long");
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).context("an answer without a status")?;
        let length = head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let body_length = length.context("an answer without a length")?;
        Ok(Some(Self { status, length: end + 4, body_length }))
    }
}

/// Whether the path answers 2xx, on a connection of its own.
pub async fn get_once(address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.send(&Request::get(path, None)).await?;
    if (200..300).contains(&answer.status) { Ok(()) } else { bail!("status {}", answer.status) }
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Ascending, in microseconds.
    times: Vec<u32>,
    pub failures: usize,
    /// The first of them.
    pub failure: Option<String>,
    pub elapsed: Duration,
}

impl Outcome {
    pub fn requests(&self) -> usize {
        self.times.len()
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// In milliseconds; `share` from 0 to 1.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.times, share)
    }
}

/// Of ascending microseconds, in milliseconds.
pub fn quantile(times: &[u32], share: f64) -> f64 {
    let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(index).map_or(0.0, |time| f64::from(*time) / 1000.0)
}

/// Sends `requests` over `connections` for `duration`, each connection starting at another one.
pub async fn run(
    address: SocketAddr,
    requests: Arc<Vec<Request>>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Outcome> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let _taken = sender.send(drive(address, &requests, connections, duration));
    })?;
    receiver.await.context("the driver panicked")?
}

fn drive(
    address: SocketAddr,
    requests: &Arc<Vec<Request>>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(Connection::open(address).await?);
        }
        let began = Instant::now();
        let tasks: Vec<_> = opened
            .into_iter()
            .enumerate()
            .map(|(number, connection)| {
                let first = number * requests.len() / connections;
                tokio::spawn(repeat(connection, Arc::clone(requests), first, began + duration))
            })
            .collect();
        let mut all = Outcome::default();
        for task in tasks {
            let outcome = task.await?;
            all.times.extend(outcome.times);
            all.failures += outcome.failures;
            all.failure = all.failure.or(outcome.failure);
        }
        all.elapsed = began.elapsed();
        all.times.sort_unstable();
        Ok(all)
    })
}

async fn repeat(mut connection: Connection, requests: Arc<Vec<Request>>, first: usize, until: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let mut next = first;
    loop {
        let began = Instant::now();
        if began >= until {
            return outcome;
        }
        let request = &requests[next % requests.len()];
        next += 1;
        let failure = match tokio::time::timeout(ANSWER_LIMIT, connection.send(request)).await {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => None,
            Ok(Ok(answer)) => Some(format!("{}: {}", answer.status, String::from_utf8_lossy(answer.body()))),
            Ok(Err(error)) => {
                outcome.fail(format!("{error:#}"));
                return outcome;
            }
            Err(_) => {
                outcome.fail("no answer".to_owned());
                return outcome;
            }
        };
        match failure {
            None => outcome.times.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)),
            Some(failure) => outcome.fail(failure),
        }
    }
}

impl Outcome {
    fn fail(&mut self, failure: String) {
        self.failures += 1;
        self.failure.get_or_insert(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whole() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nx: y\r\n\r\nOK";
        assert!(Head::parse(&answer[..30]).unwrap().is_none());
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!((head.status, head.body_length, head.length), (201, 2, answer.len() - 2));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn quantiles_are_of_the_ascending_times() {
        let times: Vec<u32> = (1..=100).map(|number| number * 1000).collect();
        assert_eq!(quantile(&times, 0.5), 51.0);
        assert_eq!(quantile(&times, 0.99), 100.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
