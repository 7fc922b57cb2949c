//! The HTTP face of `/v1`: key, form, idempotency, then the endpoint, and the answer as Stripe dresses it.
//!
//! Once received, a request is carried out to its end even if its caller goes away, as with the real Stripe.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State as Extract,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::AUTHORIZATION},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    error::StripeError,
    form::Form,
    idempotency::{Begin, StoredAnswer},
    state::{Shared, State, new_id},
    webhooks::API_VERSION,
};

type Result<T> = std::result::Result<T, StripeError>;

/// A 500 that the next request on a path stores under its key.
pub(super) struct Prepared500 {
    pub path_prefix: String,
    /// Whether the work is done all the same.
    pub performs: bool,
}

/// Requests that write on a path and wait, their keys in use, until released.
pub(super) struct Hold {
    pub path_prefix: String,
    pub arrived: watch::Sender<usize>,
    pub released: watch::Receiver<bool>,
}

/// Holds requests back. They go on when it is released or dropped.
pub struct Gate {
    arrived: watch::Receiver<usize>,
    released: watch::Sender<bool>,
}

impl Gate {
    pub(super) fn new(path_prefix: &str) -> (Self, Hold) {
        let (arrived, arrivals) = watch::channel(0);
        let (release, released) = watch::channel(false);
        let hold = Hold { path_prefix: path_prefix.to_owned(), arrived, released };
        (Self { arrived: arrivals, released: release }, hold)
    }

    /// Returns once `count` requests have come to wait here.
    pub async fn reached(&self, count: usize) {
        let mut arrived = self.arrived.clone();
        // It only fails when the stand-in is gone, and then nothing will ever arrive.
        let _gone = arrived.wait_for(|arrived| *arrived >= count).await;
    }

    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// One request to the API.
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub form: Form,
    pub key: Option<String>,
}

/// Answers any request under `/v1`.
pub(super) async fn answer(
    Extract(shared): Extract<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let task = tokio::spawn(async move {
        let request_id = new_id("req_", 14);
        match read_call(&shared, method, &uri, &headers, &body) {
            Ok(call) => carry_out(&shared, call, request_id).await,
            Err(error) => respond(&stored(Err(error), request_id), None, false),
        }
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the Stripe stand-in panicked");
        respond(&stored(Err(StripeError::internal()), new_id("req_", 14)), None, false)
    })
}

fn read_call(shared: &Shared, method: Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Call> {
    authorize(&shared.api_key, headers)?;
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if method == Method::POST && !body.is_empty() && !content_type.starts_with("application/x-www-form-urlencoded") {
        let message = "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at https://support.stripe.com/.";
        return Err(StripeError::refused(None, message));
    }
    let text = String::from_utf8_lossy(body);
    let form = Form::parse(if method == Method::POST { &text } else { uri.query().unwrap_or_default() });
    let key = if method == Method::POST { headers.get("idempotency-key") } else { None };
    let key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    Ok(Call { method, path: uri.path().trim_end_matches('/').to_owned(), form, key })
}

/// Bearer or Basic with a key that begins as expected.
fn authorize(expected: &str, headers: &HeaderMap) -> Result<()> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim().to_owned(),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = BASE64_STANDARD.decode(pair.trim()).unwrap_or_default();
            String::from_utf8_lossy(&pair).split(':').next().unwrap_or_default().to_owned()
        }
        _ => String::new(),
    };
    if key.is_empty() {
        return Err(StripeError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').".to_owned(),
        ));
    }
    if key.starts_with(expected) {
        return Ok(());
    }
    let shown: String = key.chars().take(8).collect();
    Err(StripeError::unauthorized(format!("Invalid API Key provided: {shown}{}", "*".repeat(8))))
}

async fn carry_out(shared: &Arc<Shared>, call: Call, request_id: String) -> Response {
    if let Some(key) = &call.key {
        let fingerprint = call.form.canonical();
        let begun = shared.change(|state| {
            let now = state.now();
            state.keys.begin(key, &call.path, &fingerprint, now)
        });
        match begun {
            Ok(Begin::Execute) => {}
            Ok(Begin::Replay(answer)) => return respond(&answer, call.key.as_deref(), true),
            Err(error) => return respond(&stored(Err(error), request_id), call.key.as_deref(), false),
        }
    }
    if call.method != Method::GET {
        wait_for_gate(shared, &call.path).await;
    }
    let answer = if call.method == Method::GET {
        let result = shared.read(|state| state.read_endpoint(&call));
        stored(result, request_id)
    } else {
        shared.change(|state| {
            let result = state.execute(&call);
            let keep = result.as_ref().err().is_none_or(|error| error.began);
            let answer = stored(result, request_id);
            match &call.key {
                Some(key) if keep => state.keys.finish(key, answer.clone()),
                Some(key) => state.keys.abandon(key),
                None => {}
            }
            answer
        })
    };
    respond(&answer, call.key.as_deref(), false)
}

async fn wait_for_gate(shared: &Arc<Shared>, path: &str) {
    let released = shared.read(|state| {
        let hold = state.run.holds.iter().rev().find(|hold| path.starts_with(&hold.path_prefix))?;
        if *hold.released.borrow() {
            return None;
        }
        hold.arrived.send_modify(|arrived| *arrived += 1);
        Some(hold.released.clone())
    });
    if let Some(mut released) = released {
        // An error means that the gate was dropped, which releases.
        let _dropped = released.wait_for(|released| *released).await;
    }
}

impl State {
    fn execute(&mut self, call: &Call) -> Result<Value> {
        let prepared = self.run.prepared.iter().position(|prepared| call.path.starts_with(&prepared.path_prefix));
        let prepared = prepared.map(|position| self.run.prepared.remove(position));
        if prepared.as_ref().is_some_and(|prepared| !prepared.performs) {
            return Err(StripeError::internal());
        }
        let mut value = self.write_endpoint(call)?;
        if prepared.is_some() {
            return Err(StripeError::internal());
        }
        // The object exists by now, so the refusal belongs to the key.
        self.expand(&mut value, &call.form).map_err(|error| StripeError { began: true, ..error })?;
        Ok(value)
    }

    fn write_endpoint(&mut self, call: &Call) -> Result<Value> {
        let path: Vec<&str> = call.path.split('/').skip(2).collect();
        match (call.method.as_str(), path.as_slice()) {
            ("POST", ["checkout", "sessions"]) => self.create_session(call),
            ("POST", ["checkout", "sessions", id, "expire"]) => self.expire_session(id, &call.form),
            ("POST", ["accounts"]) => self.create_account(call),
            ("POST", ["accounts", id]) => self.update_account(id, &call.form),
            ("DELETE", ["accounts", id]) => self.remove_account(id),
            ("POST", ["account_links"]) => self.create_link(&call.form),
            ("POST", ["transfers"]) => self.create_transfer(call),
            ("POST", ["transfers", id, "reversals"]) => self.reverse_transfer(id, call),
            ("POST", ["refunds"]) => self.create_refund(call),
            (method, _) => Err(StripeError::unknown_url(method, &call.path)),
        }
    }

    fn read_endpoint(&self, call: &Call) -> Result<Value> {
        let path: Vec<&str> = call.path.split('/').skip(2).collect();
        let form = &call.form;
        let mut value = match path.as_slice() {
            ["checkout", "sessions"] => self.list_sessions(form)?,
            ["payment_intents"] => self.list_intents(form)?,
            ["charges"] => self.list_charges(form)?,
            ["transfers"] => self.list_transfers(form)?,
            ["refunds"] => self.list_refunds(form)?,
            ["disputes"] => self.list_disputes(form)?,
            ["events"] => self.list_events(form)?,
            ["balance"] => self.balance(form)?,
            ["accounts", id] => self.retrieve_account(id, form)?,
            ["checkout", "sessions", id] => self.retrieve("cs", "checkout.session", id, form)?,
            ["payment_intents", id] => self.retrieve("pi", "payment_intent", id, form)?,
            ["charges", id] => self.retrieve("ch", "charge", id, form)?,
            ["transfers", id] => self.retrieve("tr", "transfer", id, form)?,
            ["refunds", id] => self.retrieve("re", "refund", id, form)?,
            ["disputes", id] => self.retrieve("dp", "dispute", id, form)?,
            _ => return Err(StripeError::unknown_url("GET", &call.path)),
        };
        self.expand(&mut value, form)?;
        Ok(value)
    }

    fn retrieve(&self, prefix: &str, what: &str, id: &str, form: &Form) -> Result<Value> {
        form.allow(&["expand[]"])?;
        let ours = id.split_once('_').is_some_and(|(start, _)| start == prefix);
        let object = if ours { self.object(id) } else { None };
        object.ok_or_else(|| StripeError::not_found(what, id))
    }
}

fn stored(result: Result<Value>, request_id: String) -> StoredAnswer {
    let (status, body) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (error.status, error.to_json()),
    };
    StoredAnswer { status: status.as_u16(), body: body.to_string(), request_id }
}

fn respond(answer: &StoredAnswer, key: Option<&str>, replayed: bool) -> Response {
    let request_id = if replayed { new_id("req_", 14) } else { answer.request_id.clone() };
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set("content-type", "application/json");
    set("request-id", &request_id);
    set("stripe-version", API_VERSION);
    if let Some(key) = key {
        set("idempotency-key", key);
        set("original-request", &answer.request_id);
    }
    if replayed {
        set("idempotent-replayed", "true");
    }
    if answer.status == 409 {
        set("stripe-should-retry", "true");
    }
    response
}
