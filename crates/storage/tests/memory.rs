//! Memory during a flood of the largest images that are accepted. Alone in its process, so that the peak is its own.
#![cfg(target_os = "linux")]

use std::io::Cursor;

use bytes::Bytes;
use freehunt_storage::{
    Background,
    image::{MAX_DECODE_BYTES, MAX_UPLOAD_BYTES, Sanitiser},
};
use image::{ImageFormat, RgbImage};

const MEBIBYTE: u64 = 1024 * 1024;

fn status_in_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a known field");
    let kibibytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("a number of kB") * 1024
}

fn largest_image() -> Bytes {
    // A PNG may turn out to have an alpha channel: four bytes a pixel.
    let side = u32::try_from((MAX_DECODE_BYTES / 4).isqrt()).expect("a side of an image");
    let mut file = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(side, side, image::Rgb([1, 2, 3]));
    image.write_to(&mut file, ImageFormat::Png).expect("a PNG in memory");
    Bytes::from(file.into_inner())
}

/// Fault case 68, second half: bounded memory, however many come at once.
#[tokio::test]
async fn a_flood_of_the_largest_images_takes_the_memory_of_one() {
    let image = largest_image();
    assert!(image.len() < MAX_UPLOAD_BYTES, "accepted by its bytes");
    // Lets the peak be counted from here on.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status_in_bytes("VmRSS");

    let sanitiser = Sanitiser::new(4, Background::new().unwrap()).with_wait_limit(std::time::Duration::from_secs(60));
    let uploads: Vec<_> = (0..3)
        .map(|_| {
            let (sanitiser, image) = (sanitiser.clone(), image.clone());
            tokio::spawn(async move { sanitiser.run(image).await })
        })
        .collect();
    for upload in uploads {
        assert_eq!(upload.await.unwrap().expect("accepted").width, 512);
    }

    let grown = status_in_bytes("VmHWM").saturating_sub(before);
    assert!(grown > MAX_DECODE_BYTES / 2, "the peak was measured");
    assert!(grown < MAX_DECODE_BYTES + 32 * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);
}
