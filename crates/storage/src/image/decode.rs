//! Decodes an image whose header was found acceptable, shrinks it, and encodes the pixels afresh.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageResult, Limits, RgbaImage,
    codecs::{
        gif::GifDecoder,
        jpeg::{JpegDecoder, JpegEncoder},
        png::{CompressionType, FilterType, PngDecoder, PngEncoder},
        webp::WebPDecoder,
    },
    imageops,
    metadata::Orientation,
};

use super::{
    ImageError, MAX_SIDE, STORED_SIDE, SafeImage,
    header::{Header, Kind},
};

const JPEG_QUALITY: u8 = 85;
/// For what PNG files carry beside the pixels, such as compressed colour profiles.
const PNG_EXTRAS_BYTES: u64 = 8 * 1024 * 1024;

/// The stored form of `bytes`, to which `header` belongs.
pub(super) fn draw_anew(bytes: &[u8], header: &Header) -> Result<SafeImage, ImageError> {
    let (image, orientation) = decode(bytes, header)?;
    let mut image = shrink(image);
    image.apply_orientation(orientation);
    let encoded = if header.kind == Kind::Jpeg { encode_jpeg(&image) } else { encode_png(&image) };
    let bytes = Bytes::from(encoded.map_err(of_decoder)?);
    let (content_type, extension) =
        if header.kind == Kind::Jpeg { ("image/jpeg", "jpg") } else { ("image/png", "png") };
    Ok(SafeImage { bytes, content_type, extension, width: image.width(), height: image.height() })
}

fn decode(bytes: &[u8], header: &Header) -> Result<(DynamicImage, Orientation), ImageError> {
    let source = Cursor::new(bytes.get(..header.length).ok_or(ImageError::Corrupt)?);
    match header.kind {
        Kind::Jpeg => decode_with(JpegDecoder::new(source), header),
        Kind::Png => decode_with(PngDecoder::with_limits(source, limits(PNG_EXTRAS_BYTES)), header),
        Kind::WebP => decode_with(WebPDecoder::new(source), header),
        Kind::Gif => decode_with(GifDecoder::new(source), header),
    }
}

fn decode_with(
    decoder: ImageResult<impl ImageDecoder>,
    header: &Header,
) -> Result<(DynamicImage, Orientation), ImageError> {
    let mut decoder = decoder.map_err(of_decoder)?;
    // Ours and the decoder's reading of the header must agree, else our limits were checked on something else.
    if decoder.dimensions() != (header.width, header.height) || decoder.total_bytes() > header.decode_bytes {
        return Err(ImageError::Corrupt);
    }
    let orientation = match header.orientation {
        Some(orientation) => orientation,
        None => decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    decoder.set_limits(limits(header.decode_bytes)).map_err(of_decoder)?;
    let image = DynamicImage::from_decoder(decoder).map_err(of_decoder)?;
    Ok((image, orientation))
}

fn limits(max_alloc: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(max_alloc);
    limits
}

fn of_decoder(error: image::ImageError) -> ImageError {
    tracing::debug!(%error, "an uploaded image was refused by its decoder");
    match error {
        image::ImageError::Limits(_) => ImageError::TooLarge,
        _ => ImageError::Corrupt,
    }
}

/// Fits the image into the stored size; small images stay as they are.
fn shrink(image: DynamicImage) -> DynamicImage {
    if image.width().max(image.height()) <= STORED_SIDE {
        return image;
    }
    // Invisible pixels have a colour too, which must not bleed into the edges.
    let mut image = match image {
        DynamicImage::ImageRgba8(mut pixels) => {
            weigh_by_alpha(&mut pixels);
            DynamicImage::ImageRgba8(pixels)
        }
        other => other,
    };
    // The good filter keeps a wide band of floating-point pixels, so large images are first averaged down.
    if image.width().max(image.height()) >= 4 * STORED_SIDE {
        image = image.thumbnail(2 * STORED_SIDE, 2 * STORED_SIDE);
    }
    match image.resize(STORED_SIDE, STORED_SIDE, imageops::FilterType::Lanczos3) {
        DynamicImage::ImageRgba8(mut pixels) => {
            unweigh_by_alpha(&mut pixels);
            DynamicImage::ImageRgba8(pixels)
        }
        other => other,
    }
}

fn weigh_by_alpha(pixels: &mut RgbaImage) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut().0 {
        if *alpha != u8::MAX {
            for channel in [red, green, blue] {
                let weighed = u16::from(*channel) * u16::from(*alpha) / u16::from(u8::MAX);
                *channel = u8::try_from(weighed).unwrap_or(u8::MAX);
            }
        }
    }
}

fn unweigh_by_alpha(pixels: &mut RgbaImage) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut().0 {
        if *alpha != u8::MAX && *alpha != 0 {
            for channel in [red, green, blue] {
                let weighed = u16::from(*channel) * u16::from(u8::MAX) / u16::from(*alpha);
                *channel = u8::try_from(weighed).unwrap_or(u8::MAX);
            }
        }
    }
}

fn encode_jpeg(image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut encoded = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY);
    let (width, height) = (image.width(), image.height());
    match image {
        DynamicImage::ImageLuma8(pixels) => encoder.write_image(pixels, width, height, ExtendedColorType::L8)?,
        other => encoder.write_image(&other.to_rgb8(), width, height, ExtendedColorType::Rgb8)?,
    }
    Ok(encoded)
}

fn encode_png(image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut encoded = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut encoded, CompressionType::Default, FilterType::Adaptive);
    let (width, height) = (image.width(), image.height());
    let color = image.color();
    if color.has_alpha() {
        encoder.write_image(&image.to_rgba8(), width, height, ExtendedColorType::Rgba8)?;
    } else if color.has_color() {
        encoder.write_image(&image.to_rgb8(), width, height, ExtendedColorType::Rgb8)?;
    } else {
        encoder.write_image(&image.to_luma8(), width, height, ExtendedColorType::L8)?;
    }
    Ok(encoded)
}
