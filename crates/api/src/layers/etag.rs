//! Weak ETags as the original's framework makes them, and 304 for `If-None-Match`.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header, header::InvalidHeaderValue, response::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use crate::error::ApiError;

/// Larger answers go out without an ETag.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// What a request says about the answer it has already.
pub struct Known {
    is_read: bool,
    if_none_match: Option<HeaderValue>,
}

impl Known {
    pub fn of(request: &Request) -> Self {
        Self {
            is_read: matches!(*request.method(), Method::GET | Method::HEAD),
            if_none_match: request.headers().get(header::IF_NONE_MATCH).cloned(),
        }
    }
}

/// Gives the answer to a read its tag; to somebody who has it already, only that.
pub async fn add_etag(known: Known, response: Response) -> Response {
    let Known { is_read, if_none_match } = known;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    if let Some(tag) = response.headers().get(header::ETAG) {
        let matches = if_none_match.as_ref().is_some_and(|known| is_match(known, tag));
        return if matches { not_modified(response.into_parts().0) } else { response };
    }
    let known_size = http_body::Body::size_hint(response.body()).exact();
    if known_size.is_none_or(|size| size == 0 || size > LIMIT_BYTES as u64) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, LIMIT_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let tag = match etag_of(&bytes) {
        Ok(tag) => tag,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let matches = if_none_match.as_ref().is_some_and(|known| is_match(known, &tag));
    parts.headers.insert(header::ETAG, tag);
    if matches { not_modified(parts) } else { Response::from_parts(parts, Body::from(bytes)) }
}

fn not_modified(mut parts: Parts) -> Response {
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// For a body that is made once and sent often, with the tag as its header.
pub fn etag_of(bytes: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(&weak_etag(bytes))
}

/// `W/"<length in hex>-<first 27 characters of the SHA-1 in base64>"`; an identifier, not a protection.
fn weak_etag(bytes: &[u8]) -> String {
    let hash = STANDARD.encode(Sha1::digest(bytes));
    format!("W/\"{:x}-{}\"", bytes.len(), &hash[..27])
}

fn is_match(if_none_match: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(if_none_match), Ok(tag)) = (if_none_match.to_str(), tag.to_str()) else { return false };
    let strong = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    if_none_match.trim() == "*" || if_none_match.split(',').any(|known| strong(known) == strong(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_original_for_the_same_bytes() {
        assert_eq!(weak_etag(b"OK"), "W/\"2-nOO9QiTIwXgNtWtBJezz8kv3SLc\"");
    }
}
