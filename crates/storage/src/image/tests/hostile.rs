//! What becomes of files that were made to do harm.

use std::time::{Duration, Instant};

use super::corpus::*;
use crate::image::{ImageError, MAX_UPLOAD_BYTES, SafeImage, sanitise};

const SCRIPT: &[u8] = b"<script>alert(1)</script>";

fn clean(safe: &SafeImage) {
    for trace in [SCRIPT, b"alert(1)", b"PK\x03\x04", b"evil.sh", b"Exif", b"SECRETPLACE", b"\xde\xad\xbe\xef", b"GPS"]
    {
        assert!(!contains(&safe.bytes, trace), "{:?} survived", String::from_utf8_lossy(trace));
    }
    let format = image::guess_format(&safe.bytes).unwrap();
    assert_eq!(format.to_mime_type(), safe.content_type);
}

fn within_a_second<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    result
}

/// Fault case 66: whatever the label says.
#[test]
fn other_types_are_refused() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    for file in [
        &b""[..],
        b"x",
        svg,
        b"<?xml version=\"1.0\"?><svg/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
        b"PK\x03\x04\x14\0\0\0",
        b"alert(1)//",
        b"BM\x46\0\0\0\0\0\0\0",
        b"II*\0\x08\0\0\0",
        b"\0\0\x01\0\x01\0",
        b"\0\0\0\x1cftypavif",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"MZ\x90\0",
        b"\x7fELF",
        b" \x89PNG\r\n\x1a\n",
        b"\xef\xbb\xbfGIF89a",
    ] {
        assert_eq!(sanitise(file).unwrap_err(), ImageError::UnsupportedType, "{:?}", String::from_utf8_lossy(file));
    }
}

/// Fault case 67: a file that is an image and something else at once is only the image afterwards.
#[test]
fn polyglots_lose_their_other_half() {
    let zip = b"PK\x03\x04\x14\0\0\0\0\0evil.sh#!/bin/sh PK\x05\x06";
    let mut commented_gif = gif(60, 60);
    // A comment right after the header and its palette, and a script after the end.
    let palette = if commented_gif[10] & 0x80 == 0 { 0 } else { 3 << ((commented_gif[10] & 7) + 1) };
    let comment = [&b"\x21\xfe"[..], &[u8::try_from(SCRIPT.len()).unwrap()], SCRIPT, &[0]].concat();
    commented_gif.splice(13 + palette..13 + palette, comment);
    commented_gif.extend(b"*/=1;alert(1)//");

    let corpus = [
        commented_gif,
        [jpeg(60, 60), zip.to_vec()].concat(),
        with_jpeg_segment(&jpeg(60, 60), 0xfe, SCRIPT),
        with_jpeg_segment(&jpeg(60, 60), 0xef, zip),
        [png(60, 60), SCRIPT.to_vec()].concat(),
        with_png_chunks(&png(60, 60), &[png_chunk(b"tEXt", &[b"Comment\0", SCRIPT].concat()), png_chunk(b"evIL", zip)]),
        [webp(60, 60), SCRIPT.to_vec()].concat(),
        webp_container(&[webp_canvas(0x04, 60, 60), webp(60, 60)[12..].to_vec(), webp_chunk(b"XMP ", SCRIPT)]),
    ];
    for file in corpus {
        assert!(contains(&file, b"alert(1)") || contains(&file, zip), "the file has its other half");
        let safe = sanitise(&file).unwrap();
        clean(&safe);
        assert_eq!((safe.width, safe.height), (60, 60));
    }
}

/// Fault case 67: the classic whose size doubles as the start of a comment must not come through as it is.
#[test]
fn a_script_that_begins_like_a_gif_does_not_survive() {
    let file = [&b"GIF89a/*\x02\0\x80\0\0\xff\0\0\0\0\xff"[..], b"*/=1;alert(1)//"].concat();
    if let Ok(safe) = sanitise(&file) {
        clean(&safe);
    }
}

/// Fault case 68: refused by its header, long before 3.6 GB of pixels exist.
#[test]
fn pixel_floods_are_refused_at_once() {
    let flood = png_header(30_000, 30_000);
    assert_eq!(within_a_second(|| sanitise(&flood)).unwrap_err(), ImageError::TooLarge);
    for file in [
        png_header(12_001, 1),
        png_header(u32::MAX, u32::MAX),
        png_header(7_000, 7_000),
        jpeg_header(0xc0, 65_535, 65_535),
        // 30 megapixels are allowed, but not where all the coefficients have to be kept.
        jpeg_header(0xc2, 6_000, 5_000),
        jpeg_header(0xc0, 6_000, 5_000),
        b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec(),
        webp_container(&[webp_canvas(0, 16_777_216, 2)]),
    ] {
        assert_eq!(within_a_second(|| sanitise(&file)).unwrap_err(), ImageError::TooLarge);
    }
    assert_eq!(sanitise(&vec![0; MAX_UPLOAD_BYTES + 1]).unwrap_err(), ImageError::TooLarge);
}

/// Fault case 68: only the first of many frames is looked at.
#[test]
fn animations_cost_no_more_than_their_first_picture() {
    let million = gif_frames(1_000_000);
    assert_eq!(within_a_second(|| sanitise(&million)).unwrap_err(), ImageError::TooLarge);
    let many = gif_frames(300_000);
    let safe = within_a_second(|| sanitise(&many)).unwrap();
    assert_eq!((safe.width, safe.height, safe.content_type), (1, 1, "image/png"));

    let still = png(60, 60);
    let (start, end) = still.split_at(still.len() - 12);
    let control = png_chunk(b"acTL", &[1_000_000_u32.to_be_bytes(), [0; 4]].concat());
    let frame_control = |sequence: u32| {
        let numbers = [sequence, 60, 60, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[numbers, vec![0, 1, 0, 1, 0, 0]].concat())
    };
    let mut animation = with_png_chunks(start, &[control, frame_control(0)]);
    for sequence in 1..20_000 {
        animation.extend(frame_control(sequence));
    }
    animation.extend(end);
    let safe = within_a_second(|| sanitise(&animation)).unwrap();
    assert_eq!((safe.width, safe.height), (60, 60));
    assert!(!contains(&safe.bytes, b"acTL") && !contains(&safe.bytes, b"fcTL"));
}

/// Fault case 68: a small canvas that hides a large frame, and a chunk that claims more than the file has.
#[test]
fn extended_webp_that_lies_about_its_sizes_is_corrupt() {
    let frame = webp(60, 60)[12..].to_vec();
    let huge = webp_chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f\0\0\0\0");
    assert_eq!(sanitise(&webp_container(&[webp_canvas(0, 1, 1), huge])).unwrap_err(), ImageError::Corrupt);
    assert_eq!(sanitise(&webp_container(&[webp_canvas(0, 8, 8), frame.clone()])).unwrap_err(), ImageError::Corrupt);

    let claims = [&b"EXIF"[..], &[0xf0, 0xff, 0xff, 0xff]].concat();
    let lying = webp_container(&[webp_canvas(0x08, 60, 60), frame.clone(), claims]);
    assert_eq!(sanitise(&lying).unwrap_err(), ImageError::Corrupt);

    let animated = webp_container(&[webp_canvas(0x02, 60, 60), webp_chunk(b"ANIM", &[0; 6]), frame]);
    assert_eq!(sanitise(&animated).unwrap_err(), ImageError::UnsupportedType);
}

/// Fault case 69.
#[test]
fn the_place_where_a_photo_was_taken_is_gone() {
    let secret = exif(1);
    let photo = with_jpeg_segment(&jpeg(900, 600), 0xe1, &[b"Exif\0\0", &secret[..]].concat());
    let screenshot = with_png_chunks(&png(900, 600), &[png_chunk(b"eXIf", &secret)]);
    let frame = webp(60, 60)[12..].to_vec();
    let extended = webp_container(&[webp_canvas(0x08, 60, 60), frame, webp_chunk(b"EXIF", &secret)]);
    for file in [photo, screenshot, extended] {
        assert!(contains(&file, b"SECRETPLACE") && contains(&file, b"\xde\xad\xbe\xef"));
        clean(&sanitise(&file).unwrap());
    }
}

/// Whatever is broken, the answer is a picture or a refusal, never a crash.
#[test]
fn damaged_files_never_crash() {
    let (mut taken, mut refused) = (0, 0);
    for file in [jpeg(40, 30), png(40, 30), webp(40, 30), gif(40, 30)] {
        let mut state = 0x9e37_79b9_u32;
        for _ in 0..400 {
            let mut damaged = file.clone();
            for _ in 0..3 {
                // xorshift: the same damage in every run
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let at = state as usize % damaged.len();
                damaged[at] = (state >> 24) as u8;
            }
            match sanitise(&damaged) {
                Ok(safe) => {
                    taken += 1;
                    clean(&safe);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}
