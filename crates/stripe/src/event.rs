//! Events as Stripe keeps them for 30 days: what a webhook should have said can be read again.

use serde_json::{Value, json};
use stripe_core::event::ListEvent;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use crate::{
    client::{PAGE_SIZE, Stripe, check_id},
    error::StripeError,
    webhook::Event,
};

/// Which events are read.
#[derive(Debug, Clone, Copy)]
pub struct EventQuery<'a> {
    /// Event types, at most 20.
    pub types: &'a [&'a str],
    /// The first second, in Unix seconds.
    pub created_from: i64,
    /// The last second, in Unix seconds.
    pub created_until: i64,
    /// The last event of the page before, `evt_…`.
    pub after: Option<&'a str>,
}

/// A page of events, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// Events, with the object as it was when each happened.
    pub events: Vec<Event>,
    /// Whether older ones of the query follow.
    pub has_more: bool,
}

impl Stripe {
    /// Reads one page of at most a hundred events.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_events(&self, query: EventQuery<'_>) -> Result<EventPage, StripeError> {
        let types: Vec<String> = query.types.iter().map(|kind| (*kind).to_owned()).collect();
        let created = RangeQueryTs::Bounds(RangeBoundsTs {
            gte: Some(query.created_from),
            lte: Some(query.created_until),
            ..RangeBoundsTs::default()
        });
        let mut request = ListEvent::new().types(types).created(created).limit(PAGE_SIZE);
        if let Some(after) = query.after {
            check_id("the event", after)?;
            request = request.starting_after(after);
        }
        let page = self.call("list events", || request.send(self.client())).await?;
        let has_more = page.has_more && !page.data.is_empty();
        Ok(EventPage { events: page.data.into_iter().map(Event::from).collect(), has_more })
    }
}

impl Event {
    /// The event in the form in which a webhook brings it.
    #[must_use]
    pub fn to_payload(&self) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": self.api_version,
            "created": self.created,
            "data": { "object": self.object },
            "livemode": self.livemode,
            "type": self.event_type,
        })
    }
}

impl From<stripe_shared::Event> for Event {
    fn from(event: stripe_shared::Event) -> Self {
        // Two libraries' trees of the same JSON, without U+0000, which PostgreSQL cannot hold.
        let object = miniserde::json::to_string(&event.data.object).replace("\\u0000", "\\ufffd");
        let object = serde_json::from_str(&object).unwrap_or_default();
        Self {
            id: event.id.to_string(),
            event_type: event.type_.to_string(),
            created: event.created,
            livemode: Some(event.livemode),
            api_version: event.api_version,
            object,
        }
    }
}
