//! Fifty uploads of 5 MB at once. The server is a process of its own, so that the memory is the server's alone.
//!
//! A debug build says little about time and memory, so what other requests wait is judged of the program that is shipped:
//! `cargo build --release`, then
//! `FREEHUNT_API_PROGRAM=target/release/freehunt-api cargo test --workspace --test upload_flood -- --nocapture`.
#![cfg(target_os = "linux")]

use std::{
    io::{Cursor, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use freehunt_domain::users::Role;
use freehunt_tests::{Persona, Replica, Serving, TestApp, serve_replica};
use futures_util::future::join_all;
use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use reqwest::Method;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::oneshot;

const MEBIBYTE: u64 = 1024 * 1024;
const UPLOADS: usize = 50;
/// Nobody may upload many at once.
const PEOPLE: usize = 25;
/// As the test's attribute says.
const STAND_IN_THREADS: usize = 2;
/// Few enough to be quick, enough for a hundredth to mean something.
const REQUESTS: usize = 300;

#[test]
#[ignore = "the server of this test; on its own it does nothing"]
fn serve_until_killed() {
    serve_replica(std::thread::available_parallelism().map_or(2, usize::from));
}

/// What phones send, and the hungriest picture that is accepted.
fn forms() -> [Bytes; 2] {
    let mut drawing = Cursor::new(Vec::new());
    // Each pixel takes four bytes, and 128 MiB are the limit.
    let image = RgbaImage::from_pixel(8000, 4190, Rgba([40, 90, 160, 120]));
    image.write_to(&mut drawing, ImageFormat::Png).expect("a PNG in memory");
    [form_of(photo()), form_of(drawing.into_inner())]
}

/// A photo of 12 megapixels.
fn photo() -> Vec<u8> {
    let image = RgbImage::from_fn(4000, 3000, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 24;
        Rgb([(x >> 4) as u8, (y >> 4) as u8, noise as u8])
    });
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Jpeg).expect("a JPEG in memory");
    file.into_inner()
}

/// A form with the file filled up to 5 MB by bytes that trail it.
fn form_of(mut file: Vec<u8>) -> Bytes {
    let limit = usize::try_from(5 * MEBIBYTE).expect("a small number");
    assert!(file.len() <= limit, "{} bytes", file.len());
    file.resize(limit, 0);
    let head = b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"picture\"\r\n\r\n";
    [head.to_vec(), file, b"\r\n--B--\r\n".to_vec()].concat().into()
}

async fn upload(persona: &Persona, form: Bytes) -> u16 {
    let request = persona.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=B");
    persona.answer(request.body(form)).await.status
}

/// Small requests, one after the other, on a thread and a connection of their own, so that what the uploading clients do is
/// not part of their time.
struct Others {
    over: Arc<AtomicBool>,
    times: oneshot::Receiver<Vec<Duration>>,
}

impl Others {
    fn ask(replica: &Replica, persona: &Persona) -> Self {
        let (address, cookie) = (replica.url.replace("http://", ""), persona.cookie.clone());
        let over = Arc::new(AtomicBool::new(false));
        let (sender, times) = oneshot::channel();
        let asks = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("the server takes connections");
            stream.set_nodelay(true).expect("a TCP connection");
            let mut times = Vec::new();
            while times.len() < REQUESTS || !asks.load(Ordering::Relaxed) {
                let start = Instant::now();
                get_skills(&mut stream, &cookie);
                times.push(start.elapsed());
                std::thread::sleep(Duration::from_millis(2));
            }
            sender.send(times).expect("the test waits");
        });
        Self { over, times }
    }

    /// The median, and the slowest but one in a hundred.
    async fn end(self) -> (Duration, Duration) {
        self.over.store(true, Ordering::Relaxed);
        let mut times = self.times.await.expect("the others are answered");
        times.sort();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    }
}

fn get_skills(stream: &mut TcpStream, cookie: &str) {
    let request = format!("GET /skills HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut answer[filled..]).expect("the server answers");
        assert!(count > 0, "the server closed the connection");
        filled += count;
        let text = String::from_utf8_lossy(&answer[..filled]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.and_then(|length| length.parse::<usize>().ok()).expect("a length") {
            break;
        }
    }
}

/// Clients and the stand-ins around the server are not on its machine otherwise.
fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).expect("less is always given");
}

/// Every thread of this test's runtime gives way from now on; processes it started before do not, nor does the thread of
/// the test itself, whose threads would inherit it.
async fn stand_ins_give_way() {
    let all = Arc::new(Barrier::new(STAND_IN_THREADS));
    let tasks = (0..STAND_IN_THREADS).map(|_| {
        let all = Arc::clone(&all);
        // Each blocks its thread until all are there.
        tokio::spawn(async move {
            all.wait();
            give_way();
        })
    });
    assert!(join_all(tasks).await.iter().all(Result::is_ok));
}

/// All at once, from idle threads.
async fn flood(address: &str, people: &[Persona], forms: &[Bytes; 2]) -> Vec<u16> {
    let uploads = (0..UPLOADS).map(|number| {
        // One picture in ten is a hungry one.
        let form = forms[usize::from(number % 10 == 9)].clone();
        let (address, cookie) = (address.to_owned(), people[number % PEOPLE].cookie.clone());
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            give_way();
            sender.send(upload_in_pieces(&address, &cookie, &form)).expect("the test waits");
        });
        async { receiver.await.expect("the upload was answered") }
    });
    join_all(uploads).await
}

/// As a network would bring it: what is written in one go the system takes in one go, and nobody else has that core meanwhile.
fn upload_in_pieces(address: &str, cookie: &str, form: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a TCP connection");
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    for piece in form.chunks(16 * 1024) {
        // Whoever is told that there is no room hears it before everything is sent.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("the server answers");
    let answer = std::str::from_utf8(&answer).expect("an answer of HTTP");
    answer.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok()).expect("a status")
}

/// Fault case 153, its uploads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_large_uploads_stay_within_256_megabytes() {
    TestApp::run(async |app| {
        let forms = forms();
        let shipped = Serving::shipped_api();
        let is_shipped = shipped.is_some();
        let replica = Replica::start(app, shipped.unwrap_or(Serving::Test("serve_until_killed"))).await;
        replica.is_serving().await;
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(app.at(&app.user(&format!("user{number}"), Role::Freelance).await, &replica.url));
        }
        let bob = &people[0];
        for form in &forms {
            assert_eq!(upload(bob, form.clone()).await, 201);
        }
        // Sessions are confirmed and connections opened by what people did before.
        let first_steps = people.iter().chain(&people).map(|one| one.get("/skills"));
        assert!(join_all(first_steps).await.iter().all(|answer| answer.status == 200));
        stand_ins_give_way().await;
        let (idle_median, idle) = Others::ask(&replica, bob).end().await;
        let before = replica.memory_in_mebibytes("VmRSS");
        let others = Others::ask(&replica, bob);
        let start = Instant::now();
        let answers = flood(&replica.url.replace("http://", ""), &people, &forms).await;
        let took = start.elapsed();
        let (busy_median, busy) = others.end().await;
        let peak = replica.memory_in_mebibytes("VmHWM");
        let stored = answers.iter().filter(|status| **status == 201).count();
        println!(
            "{stored} of {UPLOADS} stored in {took:?}; others idle {idle_median:?}, p99 {idle:?}; \
             flooded {busy_median:?}, p99 {busy:?}; {before} MiB before, peak {peak} MiB"
        );
        assert!(answers.iter().all(|status| matches!(status, 201 | 503)), "{answers:?}");
        // A debug build is too slow for all of them.
        let least = if is_shipped { UPLOADS } else { UPLOADS / 4 + 1 };
        assert!(stored >= least, "{answers:?}");
        assert!(peak < 256, "peak of {peak} MiB");
        assert!(!is_shipped || busy < 2 * idle, "p99 of {busy:?}, {idle:?} when idle");
    })
    .await;
}
