//! Load balancers ask for `/health` all the time. The answer to a plain question is always the same, so it goes through
//! the whole stack once and is kept; any question with a condition or an origin takes the usual way.

use std::sync::{Arc, OnceLock};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
    response::Response,
};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What may change the answer's headers.
const CONDITIONS: [HeaderName; 3] = [header::ORIGIN, header::IF_NONE_MATCH, REQUEST_ID];

/// The headers of the answer, once there was one.
#[derive(Clone, Debug, Default)]
pub struct PlainHealth(Arc<OnceLock<HeaderMap>>);

impl PlainHealth {
    /// Whether the answer to this request is always the same.
    pub fn is_asked_by<B>(request: &Request<B>) -> bool {
        let is_health = *request.method() == Method::GET && request.uri() == "/health";
        is_health && !CONDITIONS.iter().any(|name| request.headers().contains_key(name))
    }

    /// Keeps the answer that came the usual way.
    pub fn keep(&self, answer: &Response) {
        if answer.status() == StatusCode::OK {
            let _first = self.0.set(answer.headers().clone());
        }
    }

    pub fn answer(&self) -> Option<Response> {
        let mut answer = Response::new(Body::from("OK"));
        *answer.headers_mut() = self.0.get()?.clone();
        if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        Some(answer)
    }
}
