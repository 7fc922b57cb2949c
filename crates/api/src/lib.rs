//! FreeHunt's HTTP API. [`build`] makes the whole server from a configuration; `main` and the tests both use it.

pub mod announcements;
pub mod auth;
pub mod commands;
pub mod docs;
pub mod error;
pub mod extract;
pub mod layers;
pub mod listener;
pub mod metrics;
pub mod number;
pub mod openapi;
pub mod routes;
pub mod serve;
pub mod skill_cache;
pub mod state;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use freehunt_config::ApiConfig;
use freehunt_domain::time::Clock;
use freehunt_serving::requests::{check_request_id, observe};
use tower::ServiceExt;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
};

use crate::{
    error::ApiError,
    layers::{KnownSegments, PlainHealth},
    state::AppState,
};

/// A server that is ready to be served.
pub struct Server {
    pub state: AppState,
    router: Router,
    known: KnownSegments,
}

/// Makes the server. Nothing is connected yet, so a database that is away is not fatal here.
pub fn build(config: ApiConfig, clock: Clock) -> anyhow::Result<Server> {
    let state = AppState::new(config, clock)?;
    let (mut router, document) = openapi::router_and_document();
    let known = KnownSegments::of(document.paths.paths.keys().map(String::as_str));
    if state.config.docs_enabled {
        router = router.merge(docs::router(&document)?);
    }
    let router = router
        .route("/health/live", get(routes::health::live))
        .route("/health/ready", get(routes::health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found);
    let router = add_layers(router, &state).with_state(state.clone());
    Ok(Server { state, router, known })
}

/// The OpenAPI document of all routes.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::router_and_document().1
}

/// From the inside out: the last layer sees a request first.
fn add_layers(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    router
        .layer(middleware::from_fn_with_state(state.clone(), announcements::announce_events))
        .layer(DefaultBodyLimit::max(extract::BODY_LIMIT_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), layers::refuse_foreign_origins))
        .layer(middleware::from_fn(layers::add_etag))
        .layer(CatchPanicLayer::custom(layers::catch_panics))
        .layer(TimeoutLayer::with_status_code(http::StatusCode::SERVICE_UNAVAILABLE, state.config.http.request_timeout))
        .layer(layers::cors(&state.allowed_origins))
        .layer(middleware::from_fn(layers::answer_options_with_204))
        .layer(middleware::from_fn_with_state(state.clone(), layers::add_security_headers))
        .layer(middleware::from_fn(observe))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(middleware::map_request(check_request_id))
}

impl Server {
    /// Everything that is served: paths are normalised before they are routed.
    pub fn into_router(self) -> Router {
        let (router, known) = (self.router, self.known);
        let health = PlainHealth::default();
        Router::new().fallback(move |request: Request| {
            let asks_health = PlainHealth::is_asked_by(&request);
            let (router, known, health) = (router.clone(), known.clone(), health.clone());
            async move {
                if asks_health && let Some(answer) = health.answer() {
                    return answer;
                }
                let request = layers::normalize_path(&known, request);
                let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                if asks_health {
                    health.keep(&answer);
                }
                answer
            }
        })
    }
}

/// The original's framework answers every unknown route and method with this sentence.
async fn not_found(request: Request) -> Response {
    let original = request.extensions().get::<layers::OriginalUri>().map_or(request.uri(), |original| &original.0);
    let target = original.path_and_query().map_or("/", |target| target.as_str());
    let target: String = target.chars().take(500).collect();
    ApiError::not_found(format!("Cannot {} {target}", request.method())).into_response()
}
