//! What happens to every request before its route and to every answer after it.

mod cors;
mod csrf;
mod etag;
mod headers;
mod health;
mod normalize;
mod panics;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::Method,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use freehunt_serving::requests::observe;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
};

pub use etag::etag_of;
pub use headers::public_scheme_is_https;
pub use health::PlainHealth;
pub use normalize::{KnownSegments, OriginalUri, normalize_path};

use crate::{announcements::announce_events, error::ApiError, extract::BODY_LIMIT_BYTES, state::AppState};

/// From the outside in. A layer made from a function boxes and clones everything below it for every request, so there are
/// two of these, and each takes several steps.
pub fn add(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    router.layer(
        ServiceBuilder::new()
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(from_fn_with_state(state.clone(), around_every_answer))
            .layer(cors::cors(&state.allowed_origins))
            .layer(CatchPanicLayer::custom(panics::catch_panics))
            .layer(from_fn_with_state(state.clone(), around_the_route)),
    )
}

/// Sees the answers of all other layers too.
async fn around_every_answer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_options = *request.method() == Method::OPTIONS;
    let handle = async |request| {
        let mut response = next.run(request).await;
        if is_options {
            cors::say_no_content(&mut response);
        }
        headers::add_security_headers(&state, response.headers_mut());
        response
    };
    observe(request, handle).await
}

/// A request took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("the request's time was over")]
struct TooSlow;

async fn around_the_route(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    DefaultBodyLimit::max(BODY_LIMIT_BYTES).apply(&mut request);
    let known = etag::Known::of(&request);
    let response = if csrf::is_origin_allowed(&state, &request) {
        let limit = state.config.http.request_timeout;
        let answer = tokio::time::timeout(limit, announce_events(&state, next.run(request))).await;
        answer.unwrap_or_else(|_elapsed| ApiError::unavailable(TooSlow).into_response())
    } else {
        ApiError::forbidden("Origin not allowed").into_response()
    };
    etag::add_etag(known, response).await
}
