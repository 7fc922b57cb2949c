//! Reads the little that decides whether an image may be decoded: its type, its size, and the memory it will take.
//!
//! Allocates nothing, and is stricter than the decoders: they promise to bear broken files, not to bear them in
//! bounded memory. The decoder's own idea of the size is compared with this one afterwards.

use image::metadata::Orientation;

use super::{ImageError, MAX_DECODE_BYTES, MAX_PIXELS, MAX_SIDE, MAX_UPLOAD_BYTES};

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG_MAGIC: &[u8] = b"\xff\xd8\xff";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Png,
    WebP,
    Gif,
}

/// What is known before decoding.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    /// The decoder's buffers and its result together, at most.
    pub decode_bytes: u64,
    /// Bytes of the image proper; what follows is not for the decoder.
    pub length: usize,
    /// How the picture was held, where the decoder must not be asked for it.
    pub orientation: Option<Orientation>,
}

/// Tells the type by content and checks every limit.
pub(super) fn read(bytes: &[u8]) -> Result<Header, ImageError> {
    if bytes.len() > MAX_UPLOAD_BYTES {
        return Err(ImageError::TooLarge);
    }
    let header = if bytes.starts_with(JPEG_MAGIC) {
        jpeg(bytes)
    } else if bytes.starts_with(PNG_MAGIC) {
        png(bytes)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        gif(bytes)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        webp(bytes)?
    } else {
        return Err(ImageError::UnsupportedType);
    };
    let header = header.ok_or(ImageError::Corrupt)?;
    if header.width == 0 || header.height == 0 {
        return Err(ImageError::Corrupt);
    }
    let pixels = u64::from(header.width) * u64::from(header.height);
    if header.width > MAX_SIDE || header.height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(ImageError::TooLarge);
    }
    if header.decode_bytes > MAX_DECODE_BYTES {
        return Err(ImageError::TooLarge);
    }
    Ok(header)
}

fn of(kind: Kind, width: u32, height: u32, bytes_per_pixel: u64, length: usize) -> Header {
    let pixels = u64::from(width) * u64::from(height);
    let decode_bytes = pixels.saturating_mul(bytes_per_pixel);
    Header { kind, width, height, decode_bytes, length, orientation: None }
}

fn png(bytes: &[u8]) -> Option<Header> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let (width, height) = (u32_be(bytes, 16)?, u32_be(bytes, 20)?);
    let channels = match *bytes.get(25)? {
        // A colour marked transparent adds an alpha channel.
        0 | 4 => 2,
        2 | 3 | 6 => 4,
        _ => return None,
    };
    let bytes_per_channel = if *bytes.get(24)? == 16 { 2 } else { 1 };
    Some(of(Kind::Png, width, height, channels * bytes_per_channel, bytes.len()))
}

fn gif(bytes: &[u8]) -> Option<Header> {
    let (width, height) = (u16_le(bytes, 6)?, u16_le(bytes, 8)?);
    // The canvas and, when the first picture does not fill it, that picture.
    Some(of(Kind::Gif, width.into(), height.into(), 8, bytes.len()))
}

struct JpegFrame {
    width: u16,
    height: u16,
    components: u8,
    progressive: bool,
}

fn jpeg(bytes: &[u8]) -> Option<Header> {
    let mut position = 2;
    let mut frame: Option<JpegFrame> = None;
    loop {
        if *bytes.get(position)? != 0xff {
            return None;
        }
        while *bytes.get(position)? == 0xff {
            position += 1;
        }
        let marker = *bytes.get(position)?;
        let length = usize::from(u16_be(bytes, position + 1)?);
        let segment = bytes.get(position + 3..position + 1 + length)?;
        position += 1 + length;
        match marker {
            0xc0..=0xc2 if frame.is_none() => {
                frame = Some(JpegFrame {
                    height: u16_be(segment, 1)?,
                    width: u16_be(segment, 3)?,
                    components: *segment.get(5)?,
                    progressive: marker == 0xc2,
                });
            }
            0xda => return jpeg_scan(bytes, position, &frame?, *segment.first()?),
            // Tables, metadata and comments.
            0xc4 | 0xcc | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
    }
}

fn jpeg_scan(bytes: &[u8], start: usize, frame: &JpegFrame, components_in_scan: u8) -> Option<Header> {
    // A file cut off on the way would otherwise be accepted with its lower part grey.
    let data = bytes.get(start..)?;
    let ended = data.iter().rev().zip(data.iter().rev().skip(1)).any(|(last, before)| (*before, *last) == (0xff, 0xd9));
    if !ended || !(1..=4).contains(&frame.components) {
        return None;
    }
    let result = if frame.components == 1 { 1 } else { 3 };
    // Unless each scan line comes complete, all 16-bit coefficients are kept until the end.
    let scattered = frame.progressive || components_in_scan < frame.components;
    let coefficients = if scattered { 2 * u64::from(frame.components) } else { 0 };
    Some(of(Kind::Jpeg, frame.width.into(), frame.height.into(), result + coefficients, bytes.len()))
}

/// WebP's result is double because animations are refused by type.
fn webp(bytes: &[u8]) -> Result<Option<Header>, ImageError> {
    let Some(bytes) = u32_le(bytes, 4).and_then(|size| {
        // Whatever follows the RIFF container is not for the decoder, which would read on a little.
        let end = (size as usize).checked_add(8)?;
        bytes.get(..end)
    }) else {
        return Ok(None);
    };
    match bytes.get(12..16) {
        Some(b"VP8 ") => Ok(vp8_size(bytes, 20).map(|size| webp_header(size, bytes.len()))),
        Some(b"VP8L") => Ok(vp8l_size(bytes, 20).map(|size| webp_header(size, bytes.len()))),
        Some(b"VP8X") => webp_extended(bytes),
        _ => Ok(None),
    }
}

fn webp_header((width, height): (u32, u32), length: usize) -> Header {
    // Lossy with alpha is the hungriest: result, luma and chroma planes, and alpha decoded as a picture of its own.
    of(Kind::WebP, width, height, 12, length)
}

/// Walks the chunks of the extended form. The frame must be as large as the canvas: the decoder only compares after it
/// has allocated the frame.
fn webp_extended(bytes: &[u8]) -> Result<Option<Header>, ImageError> {
    let Some(canvas) = u24_le(bytes, 24).zip(u24_le(bytes, 27)).map(|(width, height)| (width + 1, height + 1)) else {
        return Ok(None);
    };
    let mut header = webp_header(canvas, bytes.len());
    header.orientation = Some(Orientation::NoTransforms);
    let mut position = 12;
    while position + 8 <= bytes.len() {
        let Some(chunk) = u32_le(bytes, position + 4).and_then(|size| bytes.get(position + 8..)?.get(..size as usize))
        else {
            return Ok(None);
        };
        let size = match bytes.get(position..position + 4) {
            Some(b"ANIM" | b"ANMF") => return Err(ImageError::UnsupportedType),
            Some(b"VP8 ") => vp8_size(chunk, 0),
            Some(b"VP8L") => vp8l_size(chunk, 0),
            Some(b"EXIF") => {
                let exif = chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk);
                header.orientation = Orientation::from_exif_chunk(exif).or(header.orientation);
                Some(canvas)
            }
            _ => Some(canvas),
        };
        if size != Some(canvas) {
            return Ok(None);
        }
        position += 8 + chunk.len() + chunk.len() % 2;
    }
    Ok(Some(header))
}

/// Size of the lossy frame that starts at `start`.
fn vp8_size(bytes: &[u8], start: usize) -> Option<(u32, u32)> {
    if bytes.get(start + 3..start + 6)? != b"\x9d\x01\x2a" {
        return None;
    }
    let side = |offset| Some(u32::from(u16_le(bytes, start + offset)? & 0x3fff));
    Some((side(6)?, side(8)?))
}

/// Size of the lossless frame that starts at `start`.
fn vp8l_size(bytes: &[u8], start: usize) -> Option<(u32, u32)> {
    if *bytes.get(start)? != 0x2f {
        return None;
    }
    let sides = u32_le(bytes, start + 1)?;
    Some(((sides & 0x3fff) + 1, ((sides >> 14) & 0x3fff) + 1))
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_be_bytes)
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_le_bytes)
}

fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    take::<3>(bytes, at).map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    take(bytes, at).map(u32::from_be_bytes)
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    take(bytes, at).map(u32::from_le_bytes)
}
