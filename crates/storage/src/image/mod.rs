//! Turns an uploaded file into a small picture that can hurt nobody.
//!
//! The type comes from the content, sizes are judged before anything is decoded, and what is stored is drawn anew from
//! the pixels, so no byte of the upload's metadata or of what trails it survives. Nothing here knows S3 or HTTP.

mod decode;
mod header;
mod sanitiser;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use sanitiser::Sanitiser;

/// No upload may be larger, in bytes.
pub const MAX_UPLOAD_BYTES: usize = 5 * 1024 * 1024;
/// Longest side of an accepted image, in pixels.
pub const MAX_SIDE: u32 = 12_000;
/// Most pixels of an accepted image.
pub const MAX_PIXELS: u64 = 40_000_000;
/// Most memory that decoding one image may take, in bytes, and what all images being decoded at once share.
pub const MAX_DECODE_BYTES: u64 = 128 * 1024 * 1024;
/// Longest side of what is stored, in pixels.
pub const STORED_SIDE: u32 = 512;

/// A picture drawn by this server.
#[derive(Clone, Debug)]
pub struct SafeImage {
    pub bytes: Bytes,
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// `jpg` or `png`, for [`ObjectKey::avatar`](crate::ObjectKey::avatar).
    pub extension: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why an upload is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The content is neither JPEG, PNG, still WebP nor GIF, whatever its name or label says.
    #[error("not a JPEG, PNG, WebP or GIF image")]
    UnsupportedType,
    /// More bytes, pixels or decoding memory than allowed.
    #[error("the image is too large")]
    TooLarge,
    /// The type is right, the content is broken.
    #[error("the image is corrupt")]
    Corrupt,
    /// Too many images at once; later it may work.
    #[error("too many images are being processed")]
    Busy,
}

/// Checks an upload and draws it anew: upright, at most [`STORED_SIDE`] pixels a side, without metadata. JPEG stays
/// JPEG, everything else becomes PNG; of an animated PNG or GIF the first picture remains.
///
/// Takes up to seconds and [`MAX_DECODE_BYTES`]: servers go through [`Sanitiser`].
pub fn sanitise(bytes: &[u8]) -> Result<SafeImage, ImageError> {
    let header = header::read(bytes)?;
    decode::draw_anew(bytes, &header)
}
