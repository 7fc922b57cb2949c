//! The layer in front of Socket.IO: origin, session, CORS, and the answers to what is no proper request.
//!
//! Refusals are HTTP answers, never CONNECT_ERROR packets: a client tries again after the former only. A passing
//! failure is 503.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{ConnectInfo, OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use engineioxide::request::{self, EngineRequest};
use serde_json::json;
use socketioxide::socket::Sid;

use super::{Credential, Handshake, Recognised, recognise};
use crate::{confirmation, state::MessagingState, transport::Peer};

/// Where Socket.IO answers, and everything below.
const PATH: &str = "/socket.io";
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Lets through what belongs to a session, and everything that is not for Socket.IO.
pub async fn guard(
    State(state): State<MessagingState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let rest = request.uri().path().strip_prefix(PATH);
    let mut response = if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let origin = Origin::of(request.headers(), &state.allowed_origins);
        let mut response = answer(&state, peer, &origin, request, next).await;
        origin.add_headers(response.headers_mut());
        response
    } else {
        next.run(request).await
    };
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

enum Origin {
    Allowed(HeaderValue),
    /// A program: browsers name an origin, or at least say that they are one.
    NoBrowser,
    Foreign,
}

impl Origin {
    fn of(headers: &HeaderMap, allowed: &[HeaderValue]) -> Self {
        match headers.get(header::ORIGIN) {
            Some(origin) if allowed.contains(origin) => Self::Allowed(origin.clone()),
            None if !headers.contains_key("sec-fetch-site") => Self::NoBrowser,
            _ => Self::Foreign,
        }
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Self::Allowed(origin) = self {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
}

async fn answer(state: &MessagingState, peer: Peer, origin: &Origin, request: Request, next: Next) -> Response {
    if matches!(origin, Origin::Foreign) {
        return Refusal::Forbidden("Origin not allowed").into_response();
    }
    if *request.method() == Method::OPTIONS {
        return preflight();
    }
    let sid = match EngineRequest::read(&request) {
        Ok(EngineRequest { sid, .. }) => sid,
        Err(refusal) => return Refusal::Engine(refusal).into_response(),
    };
    let (mut parts, body) = request.into_parts();
    let admitted = match sid {
        Some(sid) => admit_again(state, &parts, origin, sid).await,
        None => admit(state, &parts, origin).await,
    };
    let handshake = match admitted {
        Ok(handshake) => handshake,
        Err(refusal) => {
            metrics::counter!("freehunt_socket_refusals_total", "status" => refusal.status().as_str().to_owned())
                .increment(1);
            return refusal.into_response();
        }
    };
    keep_needed_headers(&mut parts);
    parts.extensions.insert(Arc::clone(&handshake));
    let response = tokio::select! {
        biased;
        response = next.run(Request::from_parts(parts, body)) => response,
        // A poll that hangs would keep the client from noticing.
        () = handshake.ended() => return UNKNOWN_SESSION.into_response(),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        handshake.attach(peer);
    }
    // The first answer of a session that polls says which one it is.
    if let Some(sid) = response.extensions().get::<Sid>() {
        state.handshakes.remember(*sid, &handshake).await;
    }
    response
}

/// A new Engine.IO session.
async fn admit(state: &MessagingState, parts: &Parts, origin: &Origin) -> Result<Arc<Handshake>, Refusal> {
    if state.readiness.is_closing() {
        return Err(Refusal::Unavailable);
    }
    let credentials = Credential::of_request(&parts.headers, state.config.frontend.secure_cookies);
    if credentials.is_empty() && matches!(origin, Origin::NoBrowser) {
        return state.handshakes.nameless().map(Arc::new).ok_or(Refusal::Unavailable);
    }
    let (credential, recognised) = look_up(state, &credentials).await?.ok_or(Refusal::Unauthorized)?;
    let user = recognised.user_id;
    if !state.handshakes.may_begin(user, Instant::now()) || !state.registry.has_room_for(user) {
        return Err(Refusal::TooMany);
    }
    Ok(Arc::new(Handshake::recognised(credential, recognised)))
}

/// A poll, a post or an upgrade of a session: whoever learns its id still has to show who they are.
async fn admit_again(
    state: &MessagingState,
    parts: &Parts,
    origin: &Origin,
    sid: Sid,
) -> Result<Arc<Handshake>, Refusal> {
    let handshake = state.handshakes.find(sid).await.ok_or(UNKNOWN_SESSION)?;
    let credentials = Credential::of_request(&parts.headers, state.config.frontend.secure_cookies);
    if handshake.is_nameless() {
        // Its id is the only secret of such a program, and no browser gets that far.
        let program = matches!(origin, Origin::NoBrowser);
        return if program { Ok(handshake) } else { Err(Refusal::Forbidden("Origin not allowed")) };
    }
    if handshake.is_shown_again(&credentials) {
        return Ok(handshake);
    }
    // The browser may have got a new cookie since.
    let (_, recognised) = look_up(state, &credentials).await?.ok_or(Refusal::Unauthorized)?;
    let same_user = handshake.owner().is_some_and(|owner| owner.user_id == recognised.user_id);
    if same_user { Ok(handshake) } else { Err(Refusal::Forbidden("Forbidden resource")) }
}

async fn look_up(
    state: &MessagingState,
    credentials: &[Credential],
) -> Result<Option<(Credential, Recognised)>, Refusal> {
    let found = recognise(&state.pool, credentials).await.map_err(|error| {
        tracing::warn!(%error, "a session could not be looked up");
        Refusal::Unavailable
    })?;
    let Some((_, recognised)) = &found else { return Ok(None) };
    match confirmation::is_good(state, recognised).await {
        Ok(true) => Ok(found),
        Ok(false) => Ok(None),
        Err(error) => {
            tracing::warn!(%error, "a session could not be confirmed");
            Err(Refusal::Unavailable)
        }
    }
}

/// Socket.IO keeps the first request for as long as the socket lives: without cookies, tokens and bulk. What stays is
/// copied, since it is a part of the buffer of kilobytes that the request was read into.
fn keep_needed_headers(parts: &mut Parts) {
    const NEEDED: [HeaderName; 7] = [
        header::CONNECTION,
        header::UPGRADE,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    let mut copied = HeaderMap::new();
    for name in NEEDED {
        let values = parts.headers.get_all(&name).into_iter();
        for value in values.filter_map(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            copied.append(&name, value);
        }
    }
    parts.headers = copied;
    if let Ok(uri) = parts.uri.to_string().parse() {
        parts.uri = uri;
    }
    // The router keeps the address a second time.
    parts.extensions.remove::<OriginalUri>();
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET,HEAD,PUT,PATCH,POST,DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type,authorization"),
        (header::VARY, "Access-Control-Request-Headers"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Unauthorized,
    Forbidden(&'static str),
    TooMany,
    Unavailable,
    Engine(request::Refusal),
}

const UNKNOWN_SESSION: Refusal = Refusal::Engine(request::Refusal::UnknownSession);

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Engine(..) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = match self {
            Self::Engine(refusal) => return refusal.answer().map(Body::new),
            Self::Unauthorized => "Cookie de session Authentik non trouvé",
            Self::TooMany => "Too many connections, try again later",
            Self::Unavailable => "Service temporarily unavailable, try again later",
            Self::Forbidden(message) => message,
        };
        let body = json!({
            "message": message,
            "error": status.canonical_reason().unwrap_or("Error"),
            "statusCode": status.as_u16(),
        });
        let mut response = (status, axum::Json(body)).into_response();
        if matches!(self, Self::TooMany | Self::Unavailable) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
