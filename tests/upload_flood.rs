//! Fifty uploads of 5 MB at once. The server is a process of its own, so that the memory is the server's alone.
//!
//! A debug build says little about time and memory, so what other requests wait is judged of the program that is shipped:
//! `cargo build --release`, then
//! `FREEHUNT_API_PROGRAM=target/release/freehunt-api cargo test --workspace --test upload_flood -- --nocapture`.
#![cfg(target_os = "linux")]

use std::{
    io::Cursor,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, Replica, Serving, TestApp, serve_replica};
use futures_util::future::join_all;
use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;

const MEBIBYTE: u64 = 1024 * 1024;
const UPLOADS: usize = 50;
/// Few enough to be quick, enough for a hundredth to mean something.
const REQUESTS: usize = 300;

#[test]
#[ignore = "the server of this test; on its own it does nothing"]
fn serve_until_killed() {
    serve_replica(std::thread::available_parallelism().map_or(2, usize::from));
}

#[expect(clippy::disallowed_methods, reason = "a setting of the test itself")]
fn shipped_program() -> Option<PathBuf> {
    // Tests run in the folder of their package.
    let path = PathBuf::from(std::env::var_os("FREEHUNT_API_PROGRAM")?);
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
}

/// A form of 5 MB around a photo of 12 megapixels.
fn photo_form() -> bytes::Bytes {
    let image = RgbImage::from_fn(4000, 3000, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 24;
        Rgb([(x >> 4) as u8, (y >> 4) as u8, noise as u8])
    });
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Jpeg).expect("a JPEG in memory");
    let mut file = file.into_inner();
    let limit = usize::try_from(5 * MEBIBYTE).expect("a small number");
    assert!(file.len() <= limit, "{} bytes", file.len());
    file.resize(limit, 0);
    let head = b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n\r\n";
    [head.to_vec(), file, b"\r\n--B--\r\n".to_vec()].concat().into()
}

async fn upload(persona: &Persona, form: bytes::Bytes) -> u16 {
    let request = persona.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=B");
    persona.answer(request.body(form)).await.status
}

/// The median and the slowest but one in a hundred of small requests, one after the other.
async fn times_of_others(persona: &Persona, is_over: impl Fn() -> bool) -> (Duration, Duration) {
    let mut times = Vec::new();
    while times.len() < REQUESTS || !is_over() {
        let start = Instant::now();
        persona.get("/skills").await.expect(200);
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Fault case 153, its uploads.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_large_uploads_stay_within_256_megabytes() {
    TestApp::run(async |app| {
        let form = photo_form();
        let shipped = shipped_program();
        let serving = shipped.clone().map_or(Serving::Test("serve_until_killed"), Serving::Program);
        let replica = Replica::start(app, serving).await;
        replica.is_serving().await;
        let bob = app.at(&app.user("bob", Role::Freelance).await, &replica.url);
        upload(&bob, form.clone()).await;
        let (idle_median, idle) = times_of_others(&bob, || true).await;
        let before = replica.memory_in_mebibytes("VmRSS");
        let start = Instant::now();
        let over = AtomicBool::new(false);
        let flood = async {
            let answers = join_all((0..UPLOADS).map(|_| upload(&bob, form.clone()))).await;
            over.store(true, Ordering::Relaxed);
            (answers, start.elapsed())
        };
        let ((answers, took), (busy_median, busy)) =
            tokio::join!(flood, times_of_others(&bob, || over.load(Ordering::Relaxed)));
        let peak = replica.memory_in_mebibytes("VmHWM");
        let stored = answers.iter().filter(|status| **status == 201).count();
        println!(
            "{stored} of {UPLOADS} stored in {took:?}; others idle {idle_median:?}, p99 {idle:?}; \
             flooded {busy_median:?}, p99 {busy:?}; {before} MiB before, peak {peak} MiB"
        );
        assert!(answers.iter().all(|status| matches!(status, 201 | 503)), "{answers:?}");
        assert!(stored > UPLOADS / 4, "{answers:?}");
        assert!(peak < 256, "peak of {peak} MiB");
        assert!(shipped.is_none() || busy < 2 * idle, "p99 of {busy:?}, {idle:?} when idle");
    })
    .await;
}
