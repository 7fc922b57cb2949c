//! Events: recorded once, signed, and delivered to every target with retries, each delivery on its own, in no order.
//!
//! It does not know what an event means.

use std::{sync::Arc, time::Duration};

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    books::Row,
    error::StripeError,
    form::Form,
    lists::{LIST_PARAMETERS, page},
    state::{Shared, State, new_id},
};

/// The API version that events carry.
pub const API_VERSION: &str = "2026-09-30.endive";

/// How often and how fast a webhook is tried again.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Wait before the second attempt; it doubles up to `max_delay`.
    pub first_delay: Duration,
    pub max_delay: Duration,
    /// Attempts in all.
    pub attempts: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
            attempts: 40,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Types that one query for events may name.
const MOST_TYPES: usize = 20;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// Every attempt failed.
    GaveUp,
    /// Webhooks were switched off.
    NotSent,
}

/// One event on its way to one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub url: String,
    pub attempts: u32,
    /// Status of the last answer, if there was one.
    pub last_status: Option<u16>,
    pub state: DeliveryState,
}

/// A recorded event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    /// `type` in the JSON.
    pub kind: String,
    pub created: i64,
    /// Exactly what is posted, at every attempt.
    pub body: String,
    pub deliveries: Vec<Delivery>,
}

impl Event {
    /// The id of the object it is about.
    pub fn object_id(&self) -> Option<String> {
        let event: Value = serde_json::from_str(&self.body).ok()?;
        event.pointer("/data/object/id")?.as_str().map(str::to_owned)
    }
}

impl Row for Event {
    fn id(&self) -> &str {
        &self.id
    }
}

/// An event with whatever a test wants to be unusual about it.
#[derive(Clone, Debug)]
pub struct CustomEvent {
    pub kind: String,
    pub object: Value,
    /// None: a new id.
    pub id: Option<String>,
    /// None: the stand-in's mode.
    pub livemode: Option<bool>,
    /// None: [`API_VERSION`].
    pub api_version: Option<String>,
    /// Seconds; None: now.
    pub created: Option<i64>,
    /// The connected account it concerns.
    pub account: Option<String>,
}

impl CustomEvent {
    pub fn new(kind: impl Into<String>, object: Value) -> Self {
        let (id, livemode, api_version, created, account) = (None, None, None, None, None);
        Self { kind: kind.into(), object, id, livemode, api_version, created, account }
    }
}

/// The value of `Stripe-Signature` for this body at this time (seconds).
pub fn sign(body: &str, secret: &str, timestamp: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    format!("t={timestamp},v1={}", hex::encode(signature))
}

impl State {
    pub(super) fn emit(&mut self, kind: &str, object: Value) {
        self.emit_custom(CustomEvent::new(kind, object));
    }

    /// Records the event and starts its deliveries, if webhooks are on. Returns its id.
    pub(super) fn emit_custom(&mut self, event: CustomEvent) -> String {
        let id = event.id.unwrap_or_else(|| new_id("evt_1", 23));
        let created = event.created.unwrap_or_else(|| self.now());
        let mut body = json!({
            "id": id,
            "object": "event",
            "api_version": event.api_version.as_deref().unwrap_or(API_VERSION),
            "created": created,
            "data": {"object": event.object},
            "livemode": event.livemode.unwrap_or(self.run.livemode),
            "pending_webhooks": self.run.webhook_targets.len(),
            "request": {"id": null, "idempotency_key": null},
            "type": event.kind,
        });
        if let Some(account) = event.account {
            body["account"] = json!(account);
        }
        let body = body.to_string();
        self.events.insert(Event { id: id.clone(), kind: event.kind, created, body, deliveries: Vec::new() });
        self.add_deliveries(&id, self.run.webhooks_enabled);
        id
    }

    /// Delivers a recorded event once more. False when there is none with this id.
    pub(super) fn resend(&mut self, event: &str) -> bool {
        self.add_deliveries(event, true)
    }

    pub(super) fn list_events(&self, form: &Form) -> Result<Value, StripeError> {
        form.allow(&[&["types[]", "type", "delivery_success"][..], &LIST_PARAMETERS[..]].concat())?;
        let types = form.list("types")?;
        if types.len() > MOST_TYPES {
            let message = format!("You may only specify up to {MOST_TYPES} event types.");
            return Err(StripeError::invalid_without_code("types", message));
        }
        let kind = form.text("type")?;
        let keep = |event: &Event| {
            (types.is_empty() || types.contains(&event.kind)) && kind.is_none_or(|kind| event.kind == kind)
        };
        // The body is what was posted, so it is JSON.
        let show = |event: &Event| serde_json::from_str(&event.body).unwrap_or_default();
        page(&self.events, form, "/v1/events", |row| row.created, keep, show)
    }

    fn add_deliveries(&mut self, event: &str, send: bool) -> bool {
        let Some(record) = self.events.get_mut(event) else { return false };
        for url in &self.run.webhook_targets {
            let state = if send { DeliveryState::Pending } else { DeliveryState::NotSent };
            if send {
                self.run.outgoing.push((event.to_owned(), record.deliveries.len()));
            }
            record.deliveries.push(Delivery { url: url.clone(), attempts: 0, last_status: None, state });
        }
        true
    }

    /// Takes up the deliveries that the last run left pending.
    pub(super) fn resume_deliveries(&mut self) {
        let mut outgoing = Vec::new();
        for event in self.events.rows() {
            let pending = event.deliveries.iter().enumerate();
            let pending = pending.filter(|(_, delivery)| delivery.state == DeliveryState::Pending);
            outgoing.extend(pending.map(|(number, _)| (event.id.clone(), number)));
        }
        self.run.outgoing = outgoing;
    }

    fn delivery_mut(&mut self, event: &str, number: usize) -> Option<&mut Delivery> {
        self.events.get_mut(event)?.deliveries.get_mut(number)
    }

    /// Notes the outcome of an attempt. True when there will be no other.
    fn record_attempt(&mut self, event: &str, number: usize, status: Option<u16>, limit: u32) -> bool {
        let enabled = self.run.webhooks_enabled;
        let Some(delivery) = self.delivery_mut(event, number) else { return true };
        delivery.attempts += 1;
        delivery.last_status = status;
        delivery.state = match status {
            Some(200..=299) => DeliveryState::Delivered,
            _ if delivery.attempts >= limit => DeliveryState::GaveUp,
            _ if !enabled => DeliveryState::NotSent,
            _ => DeliveryState::Pending,
        };
        delivery.state != DeliveryState::Pending
    }
}

/// Tries until a 2xx, the last attempt, or the stop of the stand-in.
pub(super) async fn deliver(shared: Arc<Shared>, event: String, number: usize) {
    let message = shared.read(|state| {
        let record = state.events.get(&event)?;
        Some((record.deliveries.get(number)?.url.clone(), record.body.clone()))
    });
    if let Some((url, body)) = message {
        let mut delay = shared.retry.first_delay;
        loop {
            let status = tokio::select! {
                status = attempt(&shared, &url, &body) => status,
                () = shared.stop.cancelled() => break,
            };
            if shared.change(|state| state.record_attempt(&event, number, status, shared.retry.attempts)) {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = shared.stop.cancelled() => break,
            }
            delay = (delay * 2).min(shared.retry.max_delay);
        }
    }
    shared.pending.send_modify(|pending| *pending -= 1);
}

async fn attempt(shared: &Shared, url: &str, body: &str) -> Option<u16> {
    // By the real clock: the receiver compares it with its own.
    let signature = sign(body, &shared.webhook_secret, chrono::Utc::now().timestamp());
    let request = shared
        .client
        .post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature)
        .body(body.to_owned());
    match request.send().await {
        Ok(response) => Some(response.status().as_u16()),
        Err(error) => {
            tracing::debug!(%url, %error, "a webhook could not be delivered");
            None
        }
    }
}
