//! JSON bodies: parsed, held against the body's table of rules, then made into its type.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use chrono::{DateTime, Datelike, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    malformed,
    members::Members,
    rules::{self, Field, Unknown},
};
use crate::error::{ApiError, ApiResult};

/// The largest JSON body, in bytes, as the original's framework has it.
pub const JSON_LIMIT_BYTES: usize = 100 * 1024;

/// Some editors and libraries put it first; it means nothing in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A request body: its type, and the rules that are checked before the type is made.
pub trait Validate: DeserializeOwned {
    const FIELDS: &'static [Field];
    const UNKNOWN: Unknown = Unknown::Refuse;
}

/// A body that satisfied its rules. For a handler without a subject; otherwise use [`super::AllowedBody`].
pub struct ValidBody<T>(pub T);

impl<S: Send + Sync, T: Validate> FromRequest<S> for ValidBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        read_body(request, state).await.map(Self)
    }
}

/// Reads and checks a body.
pub async fn read_body<T: Validate, S: Send + Sync>(request: Request, state: &S) -> ApiResult<T> {
    let headers = request.headers().clone();
    let bytes = match Bytes::from_request(request, state).await {
        Ok(bytes) if bytes.len() <= JSON_LIMIT_BYTES => bytes,
        Ok(_) => return Err(too_large()),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => return Err(too_large()),
        Err(_) => return Err(ApiError::bad_request("request aborted")),
    };
    check_content(&headers, bytes.is_empty())?;
    parse(&bytes)
}

fn too_large() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")
}

/// Only JSON in UTF-8, not compressed. A request without a body needs no content type.
fn check_content(headers: &HeaderMap, is_empty: bool) -> ApiResult<()> {
    let unsupported = |message: String| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let name: String = String::from_utf8_lossy(encoding.as_bytes()).to_lowercase().chars().take(50).collect();
        return unsupported(format!("unsupported content encoding \"{name}\""));
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return if is_empty { Ok(()) } else { unsupported("Content-Type must be application/json".to_owned()) };
    };
    let content_type = content_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let (kind, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let kind = kind.trim();
    if !is_empty && kind != "application/json" && !kind.ends_with("+json") {
        return unsupported("Content-Type must be application/json".to_owned());
    }
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => unsupported(format!("unsupported charset \"{}\"", other.to_uppercase())),
    }
}

/// Parses and checks the bytes of a body; no bytes stand for an empty object.
pub fn parse<T: Validate>(bytes: &[u8]) -> ApiResult<T> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::bad_request("The body is not UTF-8"))?;
    if let Some(sentence) = malformed::fault_of_start(text) {
        return Err(ApiError::bad_request(sentence));
    }
    let members: Members = serde_json::from_str(text)
        .map_err(|error| ApiError::bad_request(malformed::fault(text).unwrap_or_else(|| first_line(&error))))?;
    let mut object = members.values().map_err(|message| ApiError::rules(vec![message]))?;
    let messages = rules::check(&mut object, &members, T::FIELDS, T::UNKNOWN);
    if !messages.is_empty() {
        return Err(ApiError::rules(messages));
    }
    // Only fails when the table lets something through that the type does not take.
    serde_json::from_value(Value::Object(object)).map_err(|error| ApiError::bad_request(first_line(&error)))
}

fn first_line(error: &serde_json::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
}

/// ISO 8601 or RFC 3339, between the years 1 and 9999. As JavaScript reads it: what is left out of a date is the first
/// of January, at midnight, and the zone is UTC.
pub fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00Z"));
    let date = match date.len() {
        4 => format!("{date}-01-01"),
        7 => format!("{date}-01"),
        _ => date.to_owned(),
    };
    let (clock, zone) = time.split_at_checked(time.find(['Z', 'z', '+', '-']).unwrap_or(time.len()))?;
    let seconds = if clock.len() == "00:00".len() { ":00" } else { "" };
    let zone = if zone.is_empty() { "Z" } else { zone };
    let parsed = DateTime::parse_from_rfc3339(&format!("{date}T{clock}{seconds}{zone}")).ok()?.with_timezone(&Utc);
    (1..=9999).contains(&parsed.year()).then_some(parsed)
}

/// For `#[serde(deserialize_with)]` on dates that passed [`super::Rule::IsDate`].
pub fn date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    parse_date(&text).ok_or_else(|| serde::de::Error::custom("not a date"))
}

/// As [`date`], for an optional field.
pub fn optional_date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    date(deserializer).map(Some)
}
