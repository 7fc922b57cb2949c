//! Good and bad image files.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

pub const RED: Rgb<u8> = Rgb([220, 20, 20]);
pub const GREEN: Rgb<u8> = Rgb([20, 200, 20]);
pub const BLUE: Rgb<u8> = Rgb([20, 20, 220]);
pub const WHITE: Rgb<u8> = Rgb([250, 250, 250]);

/// Four colours: red and green above, blue and white below.
pub fn quarters(width: u32, height: u32) -> DynamicImage {
    let colour = |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&quarters(width, height), ImageFormat::Png)
}

pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&quarters(width, height), ImageFormat::Jpeg)
}

pub fn webp(width: u32, height: u32) -> Vec<u8> {
    encoded(&quarters(width, height), ImageFormat::WebP)
}

pub fn gif(width: u32, height: u32) -> Vec<u8> {
    let pixels: RgbaImage = quarters(width, height).to_rgba8();
    encoded(&DynamicImage::ImageRgba8(pixels), ImageFormat::Gif)
}

/// A red disc whose invisible surroundings are green.
pub fn disc(side: u32) -> DynamicImage {
    let half = i64::from(side / 2);
    DynamicImage::ImageRgba8(RgbaImage::from_fn(side, side, |x, y| {
        let (x, y) = (i64::from(x) - half, i64::from(y) - half);
        if x * x + y * y < half * half / 2 { Rgba([220, 20, 20, 255]) } else { Rgba([0, 255, 0, 0]) }
    }))
}

/// A TIFF block with an orientation, a place on earth and a text.
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
    tiff.extend(3_u16.to_be_bytes());
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let orientation = orientation.to_be_bytes();
    tiff.extend(entry(0x010e, 2, 12, 50_u32.to_be_bytes()));
    tiff.extend(entry(0x0112, 3, 1, [orientation[0], orientation[1], 0, 0]));
    tiff.extend(entry(0x8825, 4, 1, 62_u32.to_be_bytes()));
    tiff.extend(0_u32.to_be_bytes());
    assert_eq!(tiff.len(), 50);
    tiff.extend(b"SECRETPLACE\0");
    tiff.extend(2_u16.to_be_bytes());
    tiff.extend(entry(0x0001, 2, 2, *b"N\0\0\0"));
    tiff.extend(entry(0x0002, 5, 3, 92_u32.to_be_bytes()));
    tiff.extend(0_u32.to_be_bytes());
    for rational in [(43_u32, 1_u32), (36, 1), (0xdead_beef, 0xfeed)] {
        tiff.extend(rational.0.to_be_bytes());
        tiff.extend(rational.1.to_be_bytes());
    }
    tiff
}

/// A JPEG with a segment put right after its start.
pub fn with_jpeg_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, content, &jpeg[2..]].concat()
}

pub fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [kind, content].concat();
    let mut checksum = u32::MAX;
    for byte in &body {
        checksum ^= u32::from(*byte);
        for _ in 0..8 {
            checksum = if checksum & 1 == 1 { (checksum >> 1) ^ 0xedb8_8320 } else { checksum >> 1 };
        }
    }
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], &body, &(!checksum).to_be_bytes()].concat()
}

/// A PNG with chunks put right after its header.
pub fn with_png_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    let (header, rest) = png.split_at(33);
    [header, &chunks.concat(), rest].concat()
}

/// Signature and header of a true-colour PNG of that size, and nothing to decode.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let content = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &content), png_chunk(b"IDAT", b"")].concat()
}

/// Frame header of a JPEG and the start of a scan over one component, and nothing to decode.
pub fn jpeg_header(start_of_frame: u8, width: u16, height: u16) -> Vec<u8> {
    let mut file = b"\xff\xd8\xff".to_vec();
    file.extend([start_of_frame, 0, 17, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    file.extend(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9");
    file
}

pub fn webp_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let padding: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
    [&kind[..], &length, content, padding].concat()
}

pub fn webp_container(chunks: &[Vec<u8>]) -> Vec<u8> {
    webp_chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
}

/// The extended header: flags and the size of the canvas.
pub fn webp_canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    webp_chunk(b"VP8X", &[vec![flags, 0, 0, 0], side(width), side(height)].concat())
}

/// A GIF of one pixel shown `frames` times.
pub fn gif_frames(frames: usize) -> Vec<u8> {
    let mut file = b"GIF89a\x01\0\x01\0\x80\0\0\xff\0\0\0\0\xff".to_vec();
    file.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0".repeat(frames));
    file.push(b';');
    file
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Sixteen by sixteen red pixels in four colours of ink, inverted, as programs for printing write them. No encoder here
/// makes one.
pub const CMYK_JPEG: &[u8] = b"\
    \xff\xd8\xff\xee\x00\x0e\x41\x64\x6f\x62\x65\x00\x64\x00\x00\x00\x00\x00\xff\xdb\x00\x43\x00\x0d\
    \x09\x0a\x0b\x0a\x08\x0d\x0b\x0a\x0b\x0e\x0e\x0d\x0f\x13\x20\x15\x13\x12\x12\x13\x27\x1c\x1e\x17\
    \x20\x2e\x29\x31\x30\x2e\x29\x2d\x2c\x33\x3a\x4a\x3e\x33\x36\x46\x37\x2c\x2d\x40\x57\x41\x46\x4c\
    \x4e\x52\x53\x52\x32\x3e\x5a\x61\x5a\x50\x60\x4a\x51\x52\x4f\xff\xc0\x00\x14\x08\x00\x10\x00\x10\
    \x04\x43\x11\x00\x4d\x11\x00\x59\x11\x00\x4b\x11\x00\xff\xc4\x00\x16\x00\x01\x01\x01\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x07\xff\xc4\x00\x14\x10\x01\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xda\x00\x0e\x04\x43\x00\x4d\x00\x59\x00\x4b\x00\
    \x00\x3f\x00\xac\x41\xa0\xda\x70\x00\x00\x03\xff\xd9";
