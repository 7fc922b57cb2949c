//! Fifty uploads of 5 MB at once, alone in its process so that the measured memory is its own.
//!
//! The process holds the server, the client and the stand-ins, so its peak is more than the server's. The times of
//! other requests are printed, not judged, as a debug build beside other work says little:
//! `cargo test --release -p freehunt-tests --test upload_flood -- --nocapture`.
#![cfg(target_os = "linux")]

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp};
use futures_util::future::join_all;
use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;

const MEBIBYTE: usize = 1024 * 1024;
const UPLOADS: usize = 50;

fn peak_in_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a known field");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok()).expect("a number of kB") * 1024
}

/// A form of a little more than 5 MB around a photo of 12 megapixels.
fn photo_form() -> bytes::Bytes {
    let image = RgbImage::from_fn(4000, 3000, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 24;
        Rgb([(x >> 4) as u8, (y >> 4) as u8, noise as u8])
    });
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Jpeg).expect("a JPEG in memory");
    let mut file = file.into_inner();
    assert!(file.len() <= 5 * MEBIBYTE, "{} bytes", file.len());
    file.resize(5 * MEBIBYTE, 0);
    let head = b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n\r\n";
    [head.to_vec(), file, b"\r\n--B--\r\n".to_vec()].concat().into()
}

async fn upload(persona: &Persona, form: bytes::Bytes) -> u16 {
    let request = persona.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=B");
    persona.answer(request.body(form)).await.status
}

/// The slowest of a hundred small requests but one.
async fn slowest_percentile(persona: &Persona, stop: impl Fn() -> bool) -> Duration {
    let mut times = Vec::new();
    while times.len() < 100 || !stop() {
        let start = Instant::now();
        persona.get("/skills").await.expect(200);
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    times[times.len() * 99 / 100]
}

/// Fault case 153, its uploads.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_large_uploads_stay_within_256_megabytes() {
    TestApp::run(async |app| {
        let form = photo_form();
        let bob = app.user("bob", Role::Freelance).await;
        let idle = slowest_percentile(&bob, || true).await;
        // Lets the peak be counted from here on.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak_in_bytes() / MEBIBYTE;
        let start = Instant::now();
        let done = std::sync::atomic::AtomicBool::new(false);
        let flood = async {
            let answers = join_all((0..UPLOADS).map(|_| upload(&bob, form.clone()))).await;
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            answers
        };
        let busy = slowest_percentile(&bob, || done.load(std::sync::atomic::Ordering::Relaxed));
        let (answers, busy) = tokio::join!(flood, busy);
        let stored = answers.iter().filter(|status| **status == 201).count();
        println!(
            "{stored} stored in {:?}; p99 of others idle {idle:?}, flooded {busy:?}; {before} MiB before, peak {} MiB",
            start.elapsed(),
            peak_in_bytes() / MEBIBYTE
        );
        assert!(answers.iter().all(|status| matches!(status, 201 | 503)), "{answers:?}");
        assert!(stored > UPLOADS / 4, "{answers:?}");
        assert!(peak_in_bytes() < 256 * MEBIBYTE, "peak of {} MiB", peak_in_bytes() / MEBIBYTE);
    })
    .await;
}
