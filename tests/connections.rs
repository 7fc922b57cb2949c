//! Connections as no HTTP library makes them: slow, idle, oversized. Fault cases 58 and 152.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp, TestOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far longer than any limit of these tests.
const FOREVER: Duration = Duration::from_secs(20);

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.url.trim_start_matches("http://")).await.expect("the server listens")
}

/// Everything that comes until the server closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(FOREVER, stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    let _ended = read.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn impatient() -> TestOptions {
    TestOptions::default().with("HEADER_TIMEOUT_MS", "400").with("REQUEST_TIMEOUT_MS", "800")
}

#[tokio::test]
async fn fault_case_152_a_header_that_drips_is_cut() {
    TestApp::run_with(impatient(), async |app| {
        let mut stream = connect(app).await;
        let since = Instant::now();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            // Each byte comes in time; the header as a whole does not.
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = drip => {}
            read = timeout(FOREVER, reader.read_to_end(&mut answer)) => { let _ended = read.expect("the server cuts it"); }
        }
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn fault_case_152_idle_connections_are_closed() {
    TestApp::run_with(impatient(), async |app| {
        let mut silent = connect(app).await;
        assert_eq!(until_closed(&mut silent).await, "");
        let mut served = connect(app).await;
        served.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let answer = until_closed(&mut served).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("OK"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn fault_case_152_a_body_that_drips_ends_with_the_request() {
    TestApp::run_with(impatient(), async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let mut stream = connect(app).await;
        let head = format!(
            "POST /skills HTTP/1.1\r\nhost: x\r\ncookie: {}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
            alice.cookie
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = vec![0; 4096];
        let count = tokio::select! {
            () = drip => unreachable!("it drips until the other ends"),
            count = timeout(FOREVER, reader.read(&mut answer)) => count.expect("the server answers").unwrap_or(0),
        };
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: ") && answer.contains("\"statusCode\":503"), "{answer}");
    })
    .await;
}

async fn exchange(app: &TestApp, request: &str) -> String {
    let mut stream = connect(app).await;
    // The server may close before it has read everything.
    let _closed_early = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count)) = timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn fault_case_58_headers_have_a_size_and_a_number() {
    TestApp::run(async |app| {
        let request = |headers: &str| format!("GET /health HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
        let fields = |count: usize| (0..count).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
        let long = |length: usize| format!("x: {}\r\n", "y".repeat(length));
        for (headers, expected) in [
            (fields(90), "200"),
            (fields(1_000), "431"),
            (long(16 * 1024), "200"),
            (long(64 * 1024), "431"),
            (long(10 * 1024 * 1024), "431"),
        ] {
            let answer = exchange(app, &request(&headers)).await;
            let status = answer.split(' ').nth(1).unwrap_or_default();
            // With megabytes still on their way, the close may overtake the answer.
            let overtaken = headers.len() > 1_000_000 && answer.is_empty();
            assert!(status == expected || overtaken, "{} bytes: {answer}", headers.len());
        }
    })
    .await;
}

/// What comes after a body is no header, and two lengths make no second request.
#[tokio::test]
async fn fault_case_58_trailers_and_two_lengths_smuggle_nothing() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let trailers = format!(
            "POST /auth/logout HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n{{}}\r\n0\r\ncookie: {}\r\norigin: https://evil.example\r\n\r\n",
            alice.cookie
        );
        let answer = exchange(app, &trailers).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        signed_in(&alice).await;
        let hidden = format!("GET /auth/getme HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", alice.cookie);
        let chunked = format!("0\r\n\r\n{hidden}");
        for headers in [
            format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len()),
            format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", chunked.len()),
            format!("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\ncontent-length: {}\r\n", chunked.len()),
            format!("transfer-encoding: xchunked\r\ncontent-length: {}\r\n", chunked.len()),
        ] {
            let answer = exchange(app, &format!("POST /skills HTTP/1.1\r\nhost: x\r\n{headers}\r\n{chunked}")).await;
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{headers} {answer}");
            assert!(!answer.contains("alice"), "{headers} {answer}");
        }
    })
    .await;
}

async fn signed_in(persona: &Persona) {
    persona.get("/auth/getme").await.expect(200);
}
