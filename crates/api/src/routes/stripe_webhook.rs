//! What Stripe tells: verified over the bytes as they came, stored, acknowledged, and processed afterwards.

use axum::{
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Json, Response},
};
use chrono::DateTime;
use freehunt_domain::payments::events::{self, NewEvent};
use freehunt_stripe::webhook::{self, Event, SignatureError};
use serde::Serialize;

use crate::{
    error::{ApiError, ApiResult, ErrorBody},
    state::AppState,
};

/// The largest event, in bytes. Stripe's are far smaller.
const LIMIT_BYTES: usize = 1024 * 1024;

/// Why webhooks are rejected, as the metric's label says it.
pub(crate) const REASONS: [&str; 6] = ["no_payload", "no_header", "malformed", "no_match", "time", "mode"];

/// The event is stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookReceived {
    #[schema(example = "Webhook received")]
    message: &'static str,
}

/// Takes an event from Stripe: signed over the raw body, at most five minutes old.
#[utoipa::path(post, path = "/stripe/webhook", tag = "stripe",
    params(("stripe-signature" = String, Header, description = "`t=…,v1=…`")),
    request_body(content = serde_json::Value, description = "An event of Stripe's, at most 1 MiB",
        example = json!({ "id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": { "object": {} } })),
    responses((status = 200, description = "Stored, and processed soon", body = WebhookReceived),
        (status = 400, description = "Not signed by Stripe, or too old", body = String, content_type = "text/html",
            example = "Webhook Error: Webhook signature verification failedTimestamp outside the tolerance zone"),
        (status = 413, description = "Too large", body = ErrorBody),
        (status = 503, description = "It could not be stored: send it again", body = ErrorBody)))]
pub async fn receive_webhook(State(state): State<AppState>, request: Request) -> ApiResult<Response> {
    let (parts, body) = request.into_parts();
    let payload = to_bytes(body, LIMIT_BYTES)
        .await
        .map_err(|_| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"))?;
    if let Err(error) = verify(&state, &parts.headers, &payload) {
        metrics::counter!("freehunt_webhooks_rejected_total", "reason" => reason(error)).increment(1);
        tracing::warn!(%error, "a webhook was rejected");
        return Ok(refusal(&error.to_string()));
    }
    let event = match Event::parse(&payload) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(%error, "a signed webhook is no event");
            return Ok(refusal(&error.to_string()));
        }
    };
    // One that does not say is as much ours as its signature.
    if event.livemode.is_none_or(|live| live == state.config.stripe.live_mode) {
        store(&state, &event, &payload).await?;
    } else {
        metrics::counter!("freehunt_webhooks_rejected_total", "reason" => "mode").increment(1);
        tracing::error!(event = event.id, live = ?event.livemode, "an event of the other mode was ignored");
    }
    Ok(Json(WebhookReceived { message: "Webhook received" }).into_response())
}

/// The original's framework gave only JSON bodies on; anything else counts as no body.
fn verify(state: &AppState, headers: &HeaderMap, payload: &Bytes) -> Result<(), SignatureError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    if !kind.eq_ignore_ascii_case("application/json") && signature.is_some_and(|signature| !signature.is_empty()) {
        return Err(SignatureError::NoPayload);
    }
    webhook::verify(payload, signature, &state.config.stripe.webhook_secrets, state.clock.now().timestamp())
}

/// The original's text, and its content type.
fn refusal(reason: &str) -> Response {
    let text = format!("Webhook Error: Webhook signature verification failed{reason}");
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn reason(error: SignatureError) -> &'static str {
    match error {
        SignatureError::NoPayload => "no_payload",
        SignatureError::NoHeader => "no_header",
        SignatureError::UnableToExtract | SignatureError::NoSignaturesWithExpectedScheme => "malformed",
        SignatureError::NoMatch => "no_match",
        // Many of these mean that a clock is wrong.
        SignatureError::TimestampOutsideTolerance => "time",
    }
}

/// Whatever goes wrong here must be answered so that Stripe sends the event again.
async fn store(state: &AppState, event: &Event, payload: &Bytes) -> ApiResult<()> {
    let mut value: serde_json::Value = serde_json::from_slice(payload).map_err(ApiError::unavailable)?;
    replace_nul(&mut value);
    let new = NewEvent {
        id: &event.id,
        event_type: &event.event_type,
        created_at: DateTime::from_timestamp(event.created, 0).unwrap_or_else(|| state.clock.now()),
        live_mode: event.livemode.unwrap_or(state.config.stripe.live_mode),
        payload: &value,
    };
    let mut connection = state.connection().await?;
    events::store(&mut connection, &new).await.map_err(ApiError::unavailable)?;
    connection.finish();
    state.jobs.wake();
    Ok(())
}

/// PostgreSQL cannot hold U+0000 in JSON; without it an event can be stored, and with it Stripe would resend for days.
fn replace_nul(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(replace_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                let renamed =
                    std::mem::take(fields).into_iter().map(|(name, item)| (name.replace('\0', "\u{fffd}"), item));
                *fields = renamed.collect();
            }
            fields.values_mut().for_each(replace_nul);
        }
        _ => {}
    }
}
