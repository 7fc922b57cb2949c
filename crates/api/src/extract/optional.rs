//! Answers that the original's framework shapes: 201 for what was made, nothing for `null`, booleans as text.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Json, Response},
};
use serde::Serialize;

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
