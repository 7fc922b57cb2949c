//! The service that answers Engine.IO's requests and hands on all others.

use std::{
    convert::Infallible,
    fmt::Debug,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use engineioxide_core::TransportType;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Empty, Full};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    config::EngineIoConfig,
    engine::Engine,
    handler::EngineIoHandler,
    polling,
    request::Refusal,
    websocket::{self, Beginning},
};

/// An answer of this service or of the one that it is around.
pub type EngineResponse<B> = Response<Either<Full<Bytes>, B>>;

/// Its clones share their sessions.
pub struct EngineIoService<H: EngineIoHandler, S = NotFoundService> {
    inner: S,
    engine: Arc<Engine<H>>,
}

impl<H: EngineIoHandler, S: Clone> Clone for EngineIoService<H, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), engine: Arc::clone(&self.engine) }
    }
}

impl<H: EngineIoHandler, S> EngineIoService<H, S> {
    /// Around `inner`, with sessions of its own.
    pub fn with_config_inner(inner: S, handler: Arc<H>, config: EngineIoConfig) -> Self {
        Self { inner, engine: Engine::new(handler, config) }
    }

    pub fn into_make_service(self) -> MakeEngineIoService<H, S> {
        MakeEngineIoService { service: self }
    }

    fn is_for_engine<B>(&self, request: &Request<B>) -> bool {
        let path = self.engine.config.req_path.trim_end_matches('/');
        let rest = request.uri().path().strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn answer<B, F>(&self, request: Request<B>) -> ResponseFuture<F>
    where
        B: Body<Error: Debug, Data: Send> + Send + Unpin + 'static,
    {
        let engine = Arc::clone(&self.engine);
        let answer = async move { answer(&engine, request).await.unwrap_or_else(Refusal::answer) };
        ResponseFuture::Own { answer: Box::pin(answer) }
    }

    fn accept<C>(&self, connection: C, request: Request<()>) -> Result<(), Refusal>
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (TransportType::Websocket, socket) = self.engine.read(&request)? else {
            return Err(Refusal::BadRequest);
        };
        let beginning = Beginning::of(socket, request.into_parts().0)?;
        tokio::spawn(websocket::serve(Arc::clone(&self.engine), connection, beginning));
        Ok(())
    }
}

async fn answer<H, B>(engine: &Arc<Engine<H>>, request: Request<B>) -> Result<Response<Full<Bytes>>, Refusal>
where
    H: EngineIoHandler,
    B: Body<Error: Debug, Data: Send> + Send + Unpin + 'static,
{
    use TransportType::{Polling, Websocket};
    let (transport, socket) = engine.read(&request)?;
    match (transport, socket, request.method()) {
        (Websocket, socket, &Method::GET) => websocket::accept(engine, socket, request),
        (Polling, None, _) => polling::open(engine, request),
        (Polling, Some(socket), &Method::GET) => polling::poll(engine, &socket).await,
        (Polling, Some(socket), &Method::POST) => polling::receive(engine, &socket, request).await,
        _ => Err(Refusal::BadRequest),
    }
}

pin_project! {
    /// Answers a request.
    #[project = ProjectedFuture]
    pub enum ResponseFuture<F> {
        Own { answer: Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>> },
        Inner { #[pin] answer: F },
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<EngineResponse<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project() {
            ProjectedFuture::Own { answer } => ready!(answer.as_mut().poll(context)).map(Either::Left),
            ProjectedFuture::Inner { answer } => ready!(answer.poll(context))?.map(Either::Right),
        }))
    }
}

impl<H, S, ReqBody, ResBody> tower_service::Service<Request<ReqBody>> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    ReqBody: Body<Error: Debug, Data: Send> + Send + Unpin + 'static,
    S: tower_service::Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = EngineResponse<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.is_for_engine(&request) {
            self.answer(request)
        } else {
            ResponseFuture::Inner { answer: self.inner.call(request) }
        }
    }
}

impl<H, S, ReqBody, ResBody> hyper::service::Service<Request<ReqBody>> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    ReqBody: Body<Error: Debug, Data: Send> + Send + Unpin + 'static,
    S: hyper::service::Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = EngineResponse<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn call(&self, request: Request<ReqBody>) -> Self::Future {
        if self.is_for_engine(&request) {
            self.answer(request)
        } else {
            ResponseFuture::Inner { answer: self.inner.call(request) }
        }
    }
}

/// A connection on which WebSocket is spoken already, with the request that it began with.
impl<H, S, C> tower_service::Service<(C, Request<()>)> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Response = ();
    type Error = Refusal;
    type Future = Ready<Result<(), Refusal>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (connection, request): (C, Request<()>)) -> Self::Future {
        ready(self.accept(connection, request))
    }
}

impl<H, S, C> hyper::service::Service<(C, Request<()>)> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Response = ();
    type Error = Refusal;
    type Future = Ready<Result<(), Refusal>>;

    fn call(&self, (connection, request): (C, Request<()>)) -> Self::Future {
        ready(self.accept(connection, request))
    }
}

/// Gives each connection a clone of the service.
pub struct MakeEngineIoService<H: EngineIoHandler, S> {
    service: EngineIoService<H, S>,
}

impl<H: EngineIoHandler, S: Clone, T> tower_service::Service<T> for MakeEngineIoService<H, S> {
    type Response = EngineIoService<H, S>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        ready(Ok(self.service.clone()))
    }
}

/// Answers everything with 404.
#[derive(Clone, Copy, Debug)]
pub struct NotFoundService;

fn not_found() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

impl<B> tower_service::Service<Request<B>> for NotFoundService {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(not_found()))
    }
}

impl<B> hyper::service::Service<Request<B>> for NotFoundService {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<B>) -> Self::Future {
        ready(Ok(not_found()))
    }
}
