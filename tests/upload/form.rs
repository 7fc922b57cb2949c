//! Multipart forms and pictures as clients send them, whole and broken.

use std::io::Cursor;

use freehunt_tests::{Answer, Persona};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::Method;

const BOUNDARY: &str = "XBOUNDARYX";
pub const CONTENT_TYPE: &str = "multipart/form-data; boundary=XBOUNDARYX";

/// A form that grows part by part.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<u8>);

impl Form {
    /// Only the file `photo.png`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().file("file", "photo.png", "image/png", bytes)
    }

    pub fn file(self, field: &str, name: &str, content_type: &str, bytes: &[u8]) -> Self {
        let head = format!("name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: {content_type}");
        self.part(head.as_bytes(), bytes)
    }

    pub fn text(self, field: &str, value: &str) -> Self {
        self.part(format!("name=\"{field}\"").as_bytes(), value.as_bytes())
    }

    /// A part whose head begins after `Content-Disposition: form-data; `.
    pub fn part(mut self, head: &[u8], content: &[u8]) -> Self {
        self.0.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; ").into_bytes());
        self.0.extend(head);
        self.0.extend(b"\r\n\r\n");
        self.0.extend(content);
        self.0.extend(b"\r\n");
        self
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.0.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        self.0
    }
}

pub async fn upload(persona: &Persona, form: Form) -> Answer {
    send(persona, Method::POST, "/upload", CONTENT_TYPE, form.bytes()).await
}

pub async fn change_avatar(persona: &Persona, form: Form) -> Answer {
    send(persona, Method::PATCH, &format!("/upload/avatar/{}", persona.user_id), CONTENT_TYPE, form.bytes()).await
}

pub async fn send(persona: &Persona, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
    persona.answer(persona.request(method, path).header("content-type", content_type).body(body)).await
}

pub fn picture(format: ImageFormat, shade: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(40, 30, |x, y| Rgb([shade, (x * 6) as u8, (y * 8) as u8]));
    let mut file = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut file, format).expect("a picture in memory");
    file.into_inner()
}

pub fn png() -> Vec<u8> {
    picture(ImageFormat::Png, 200)
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
