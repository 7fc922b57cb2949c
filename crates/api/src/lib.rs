//! FreeHunt's HTTP API. [`build`] makes the whole server from a configuration; `main` and the tests both use it.

pub mod account_cache;
pub mod announcements;
pub mod answer_cache;
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

use std::convert::Infallible;

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    http::Request,
    response::{IntoResponse, Response},
    routing::get,
};
use freehunt_config::ApiConfig;
use freehunt_domain::time::Clock;
use freehunt_serving::requests::check_request_id;
use futures_util::future::Either;
use tower::{Service, ServiceExt, service_fn};

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
        .route("/health/started", get(routes::health::started))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found);
    let router = layers::add(router, &state).with_state(state.clone());
    Ok(Server { state, router, known })
}

/// The OpenAPI document of all routes.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::router_and_document().1
}

impl Server {
    /// Everything that is served: paths are normalised before they are routed. Not a router itself, which would box and
    /// clone what it serves for every question about its health.
    pub fn into_service<B>(
        self,
    ) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (router, known) = (self.router, self.known);
        let health = PlainHealth::default();
        service_fn(move |request: Request<B>| {
            let asks_health = PlainHealth::is_asked_by(&request);
            if asks_health && let Some(answer) = health.answer() {
                return Either::Left(std::future::ready(Ok(answer)));
            }
            let (router, known) = (router.clone(), known.clone());
            let health = asks_health.then(|| health.clone());
            Either::Right(async move {
                let mut request = request.map(Body::new);
                check_request_id(&mut request);
                let answer = router.oneshot(layers::normalize_path(&known, request)).await?;
                if let Some(health) = health {
                    health.keep(&answer);
                }
                Ok(answer)
            })
        })
    }
}

/// The original's framework answers every unknown route and method with this sentence.
async fn not_found(request: Request<Body>) -> Response {
    let original = request.extensions().get::<layers::OriginalUri>().map_or(request.uri(), |original| &original.0);
    let target = original.path_and_query().map_or("/", |target| target.as_str());
    let target: String = target.chars().take(500).collect();
    ApiError::not_found(format!("Cannot {} {target}", request.method())).into_response()
}
