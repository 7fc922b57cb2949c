//! JSON bodies: parsed, held against the body's table of rules, then made into its type.

use std::collections::HashMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use super::rules::{self, Field, Unknown};
use crate::error::{ApiError, ApiResult};

/// The largest JSON body, in bytes, as the original's framework has it.
pub const JSON_LIMIT_BYTES: usize = 100 * 1024;

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
    let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    let mut object = match serde_json::from_slice::<Value>(bytes).map_err(malformed)? {
        Value::Object(object) => object,
        // The original's validator sees an array as an object with the keys 0, 1, …
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(index, item)| (index.to_string(), item)).take(100).collect()
        }
        other => {
            let first = other.to_string().chars().next().unwrap_or_default();
            return Err(ApiError::bad_request(format!("Unexpected token '{first}' is not valid JSON")));
        }
    };
    // Amounts are read from their decimal text, which a float would lose.
    let raw: HashMap<String, Box<RawValue>> = serde_json::from_slice(bytes).unwrap_or_default();
    let decimal_text = |name: &str| raw.get(name).map(|value| value.get().to_owned());
    let messages = rules::check(&mut object, T::FIELDS, T::UNKNOWN, decimal_text);
    if !messages.is_empty() {
        return Err(ApiError::rules(messages));
    }
    make(object)
}

fn make<T: Validate>(object: Map<String, Value>) -> ApiResult<T> {
    // Only reached when the table lets something through that the type does not take.
    serde_json::from_value(Value::Object(object)).map_err(|error| ApiError::bad_request(first_line(&error)))
}

fn malformed(error: serde_json::Error) -> ApiError {
    if error.is_eof() {
        return ApiError::bad_request("Unexpected end of JSON input");
    }
    ApiError::bad_request(format!("Unexpected token in JSON at line {} column {}", error.line(), error.column()))
}

fn first_line(error: &serde_json::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
}

/// ISO 8601 or RFC 3339, between the years 1 and 9999; a date alone is midnight UTC, as JavaScript reads it.
pub fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| NaiveDateTime::from(date).and_utc()))
        .ok()?;
    let year = chrono::Datelike::year(&parsed);
    (1..=9999).contains(&year).then_some(parsed)
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
