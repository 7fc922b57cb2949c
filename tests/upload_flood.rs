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
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

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
/// Few enough to be quick, enough for a hundredth to mean something.
const REQUESTS: usize = 300;

#[test]
#[ignore = "the server of this test; on its own it does nothing"]
fn serve_until_killed() {
    serve_replica(std::thread::available_parallelism().map_or(2, usize::from));
}

/// What phones send, and the hungriest picture that is accepted.
fn forms() -> [bytes::Bytes; 2] {
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
fn form_of(mut file: Vec<u8>) -> bytes::Bytes {
    let limit = usize::try_from(5 * MEBIBYTE).expect("a small number");
    assert!(file.len() <= limit, "{} bytes", file.len());
    file.resize(limit, 0);
    let head = b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"picture\"\r\n\r\n";
    [head.to_vec(), file, b"\r\n--B--\r\n".to_vec()].concat().into()
}

async fn upload(persona: &Persona, form: bytes::Bytes) -> u16 {
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

/// All at once, from an idle thread: these clients are not on the server's machine otherwise.
async fn flood(people: Vec<Persona>, forms: [bytes::Bytes; 2]) -> Vec<u16> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
            .expect("a lower one is always given");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
        let people: Vec<_> = people.into_iter().map(|one| Persona { client: client.clone(), ..one }).collect();
        // One picture in ten is a hungry one.
        let uploads = (0..UPLOADS).map(|n| upload(&people[n % PEOPLE], forms[usize::from(n % 10 == 9)].clone()));
        sender.send(runtime.block_on(join_all(uploads))).expect("the test waits");
    });
    receiver.await.expect("the uploads were answered")
}

/// Fault case 153, its uploads.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_large_uploads_stay_within_256_megabytes() {
    TestApp::run(async |app| {
        let forms = forms();
        let shipped = Serving::shipped();
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
        let (idle_median, idle) = Others::ask(&replica, bob).end().await;
        let before = replica.memory_in_mebibytes("VmRSS");
        let others = Others::ask(&replica, bob);
        let start = Instant::now();
        let answers = flood(people, forms).await;
        let took = start.elapsed();
        let (busy_median, busy) = others.end().await;
        let peak = replica.memory_in_mebibytes("VmHWM");
        let stored = answers.iter().filter(|status| **status == 201).count();
        println!(
            "{stored} of {UPLOADS} stored in {took:?}; others idle {idle_median:?}, p99 {idle:?}; \
             flooded {busy_median:?}, p99 {busy:?}; {before} MiB before, peak {peak} MiB"
        );
        assert!(answers.iter().all(|status| matches!(status, 201 | 503)), "{answers:?}");
        assert!(stored > UPLOADS / 4, "{answers:?}");
        assert!(peak < 256, "peak of {peak} MiB");
        assert!(!is_shipped || busy < 2 * idle, "p99 of {busy:?}, {idle:?} when idle");
    })
    .await;
}
