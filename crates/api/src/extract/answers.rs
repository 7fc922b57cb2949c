//! Answers: JSON, and what the original's framework shapes: 201 for what was made, nothing for `null`, booleans as text.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::error::ApiError;

/// Most answers are shorter; a buffer that starts small is moved again and again while it grows.
const USUAL_BYTES: usize = 2048;
/// With all that the layers add. A map that starts empty is made anew four times.
const USUAL_HEADERS: usize = 16;

/// 200 with a JSON body.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        if let Err(error) = serde_json::to_writer(&mut json, &self.0) {
            return ApiError::internal(error).into_response();
        }
        json_response(Body::from(json))
    }
}

/// 200 with JSON that is written already.
pub fn json_response(json: Body) -> Response {
    let mut response = Response::new(json);
    *response.headers_mut() = HeaderMap::with_capacity(USUAL_HEADERS);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A `null` answer is a 200 with an empty body; axios and fetch both read it as "nothing".
pub struct MaybeJson<T>(pub Option<T>);

impl<T: Serialize> IntoResponse for MaybeJson<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Some(value) => Json(value).into_response(),
            None => StatusCode::OK.into_response(),
        }
    }
}

/// 201 with a JSON body.
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

/// A bare boolean, as the text `true` or `false` with the content type of JSON.
pub struct Text(pub bool);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let text = if self.0 { "true" } else { "false" };
        ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
    }
}
