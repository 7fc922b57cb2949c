//! What becomes of honest images.

use image::{DynamicImage, GenericImageView, ImageFormat, Rgb};

use super::corpus::*;
use crate::image::{ImageError, STORED_SIDE, SafeImage, sanitise};

fn opened(safe: &SafeImage) -> DynamicImage {
    let format = image::guess_format(&safe.bytes).unwrap();
    let expected = if safe.extension == "jpg" { ImageFormat::Jpeg } else { ImageFormat::Png };
    assert_eq!(format, expected);
    assert_eq!(format.to_mime_type(), safe.content_type);
    let image = image::load_from_memory(&safe.bytes).unwrap();
    assert_eq!(image.dimensions(), (safe.width, safe.height));
    image
}

fn near(image: &DynamicImage, x: u32, y: u32, Rgb(expected): Rgb<u8>) -> bool {
    let found = image.get_pixel(x, y).0;
    found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) < 24)
}

/// The corners' colours: above left and right, below left and right.
fn corners(image: &DynamicImage) -> [Rgb<u8>; 4] {
    let (width, height) = image.dimensions();
    let at = |x: u32, y: u32| {
        let colours = [RED, GREEN, BLUE, WHITE];
        colours.into_iter().find(|colour| near(image, x, y, *colour)).expect("one of the four colours")
    };
    let (x, y) = (width / 4, height / 4);
    [at(x, y), at(width - x, y), at(x, height - y), at(width - x, height - y)]
}

/// Fault case 65: nothing but the content decides on the type.
#[test]
fn the_type_comes_from_the_content() {
    for (file, content_type, extension) in [
        (jpeg(80, 40), "image/jpeg", "jpg"),
        (png(80, 40), "image/png", "png"),
        (webp(80, 40), "image/png", "png"),
        (gif(80, 40), "image/png", "png"),
    ] {
        let safe = sanitise(&file).unwrap();
        assert_eq!((safe.content_type, safe.extension), (content_type, extension));
        assert_eq!((safe.width, safe.height), (80, 40));
        assert_eq!(corners(&opened(&safe)), [RED, GREEN, BLUE, WHITE]);
    }
}

#[test]
fn large_images_shrink_and_keep_their_shape() {
    for (width, height, expected) in [
        (2000, 1000, (512, 256)),
        (600, 1200, (256, 512)),
        (513, 513, (512, 512)),
        (12_000, 2, (512, 1)),
        (512, 100, (512, 100)),
        (1, 1, (1, 1)),
    ] {
        let safe = sanitise(&png(width, height)).unwrap();
        assert_eq!((safe.width, safe.height), expected);
        assert!(safe.width.max(safe.height) <= STORED_SIDE);
        opened(&safe);
    }
    assert_eq!(corners(&opened(&sanitise(&jpeg(3000, 2500)).unwrap())), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn every_pixel_type_is_taken() {
    let image = quarters(700, 600);
    for (image, alpha) in [
        (DynamicImage::ImageLuma8(image.to_luma8()), false),
        (DynamicImage::ImageLumaA8(image.to_luma_alpha8()), true),
        (DynamicImage::ImageRgba8(image.to_rgba8()), true),
        (DynamicImage::ImageLuma16(image.to_luma16()), false),
        (DynamicImage::ImageRgb16(image.to_rgb16()), false),
        (DynamicImage::ImageRgba16(image.to_rgba16()), true),
    ] {
        let safe = sanitise(&encoded(&image, ImageFormat::Png)).unwrap();
        assert_eq!(opened(&safe).color().has_alpha(), alpha);
        assert_eq!(safe.width, 512);
    }
    let grey = encoded(&DynamicImage::ImageLuma8(image.to_luma8()), ImageFormat::Jpeg);
    assert!(!opened(&sanitise(&grey).unwrap()).color().has_color());
}

#[test]
fn colours_of_ink_become_those_of_light() {
    let image = opened(&sanitise(CMYK_JPEG).unwrap());
    assert_eq!((image.color().channel_count(), image.dimensions()), (3, (16, 16)));
    assert!(near(&image, 8, 8, Rgb([200, 30, 30])), "{:?}", image.get_pixel(8, 8));
}

#[test]
fn invisible_colours_do_not_bleed_into_edges() {
    for side in [900, 2600] {
        let safe = sanitise(&encoded(&disc(side), ImageFormat::Png)).unwrap();
        let image = opened(&safe).to_rgba8();
        assert!(image.pixels().any(|pixel| pixel.0[3] == 0) && image.pixels().any(|pixel| pixel.0[3] == 255));
        let edge = image.pixels().filter(|pixel| pixel.0[3] > 60 && pixel.0[3] < 255).collect::<Vec<_>>();
        assert!(!edge.is_empty());
        for pixel in edge {
            let [red, green, blue, _alpha] = pixel.0;
            assert!(red.abs_diff(220) < 24 && green.abs_diff(20) < 24 && blue.abs_diff(20) < 24, "{pixel:?}");
        }
    }
}

/// A camera held on its side says so in metadata that does not survive.
#[test]
fn pictures_are_turned_upright() {
    let turns = [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ];
    for (orientation, expected) in turns {
        let tagged = with_jpeg_segment(&jpeg(1024, 768), 0xe1, &[&b"Exif\0\0"[..], &exif(orientation)].concat());
        let safe = sanitise(&tagged).unwrap();
        let size = if orientation < 5 { (512, 384) } else { (384, 512) };
        assert_eq!((safe.width, safe.height), size, "orientation {orientation}");
        assert_eq!(corners(&opened(&safe)), expected, "orientation {orientation}");
    }
    let lying = with_png_chunks(&png(80, 40), &[png_chunk(b"eXIf", &exif(6))]);
    let safe = sanitise(&lying).unwrap();
    assert_eq!(((safe.width, safe.height), corners(&opened(&safe))), ((40, 80), [BLUE, RED, WHITE, GREEN]));

    let frame = webp(80, 40)[12..].to_vec();
    let lying = webp_container(&[webp_canvas(0x08, 80, 40), frame, webp_chunk(b"EXIF", &exif(6))]);
    let safe = sanitise(&lying).unwrap();
    assert_eq!(((safe.width, safe.height), corners(&opened(&safe))), ((40, 80), [BLUE, RED, WHITE, GREEN]));
}

#[test]
fn broken_files_are_corrupt() {
    for file in [jpeg(300, 200), png(300, 200), webp(300, 200), gif(300, 200)] {
        for length in [16, 40, file.len() / 2] {
            assert_eq!(sanitise(&file[..length]).unwrap_err(), ImageError::Corrupt, "{length} of {}", file.len());
        }
    }
    for (width, height) in [(0, 10), (10, 0)] {
        assert_eq!(sanitise(&png_header(width, height)).unwrap_err(), ImageError::Corrupt);
    }
}
