//! Events with the rows they tell of, as they are now.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::queries;
use crate::{
    chat_events::{self, ChatEventKind},
    conversations::{self, Conversation, ConversationReady},
    ids::{MessageId, UserId},
    messages::Message,
};

/// One event, ready to be sent to its recipients' sockets.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: i64,
    pub kind: ChatEventKind,
    pub message_id: Option<MessageId>,
    pub recipients: Vec<UserId>,
    /// When the transaction that wrote the event began, by the database's clock.
    pub created_at: DateTime<Utc>,
    /// `None` when the row is gone, or when only a newer version knows the kind: then there is nothing to send.
    pub body: Option<DeliveryBody>,
}

/// The payload of an event.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum DeliveryBody {
    Message(Message),
    Conversation(Conversation),
    Ready(Box<ConversationReady>),
    /// What a deleted message was.
    Deleted(Value),
}

/// The events with these ids in the order of their ids; those that do not exist (yet) are left out. Two statements for
/// messages, however many there are, and some for each conversation, which are rare.
pub async fn list_deliveries(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Delivery>, sqlx::Error> {
    let events = queries::list_events(connection, ids).await?;
    let message_ids: Vec<Uuid> = events.iter().filter_map(|event| event.message_id).map(|id| id.0).collect();
    let mut messages = HashMap::new();
    if !message_ids.is_empty() {
        let found = queries::list_messages(connection, &message_ids).await?;
        messages.extend(found.into_iter().map(|message| (message.id, message)));
    }
    let mut deliveries = Vec::with_capacity(events.len());
    for event in events {
        let Some(kind) = chat_events::kind_named(&event.kind) else { continue };
        let body = match kind {
            ChatEventKind::NewMessage | ChatEventKind::UpdateMessage => {
                event.message_id.and_then(|id| messages.get(&id).cloned()).map(DeliveryBody::Message)
            }
            ChatEventKind::DeleteMessage => event.payload.map(DeliveryBody::Deleted),
            ChatEventKind::NewConversation => {
                conversations::queries::find_conversation(connection, event.conversation_id)
                    .await?
                    .map(DeliveryBody::Conversation)
            }
            ChatEventKind::ConversationReady => conversations::find_ready(connection, event.conversation_id)
                .await?
                .map(|ready| DeliveryBody::Ready(Box::new(ready))),
        };
        deliveries.push(Delivery {
            id: event.id,
            kind,
            message_id: event.message_id,
            recipients: event.recipients.into_iter().map(UserId).collect(),
            created_at: event.created_at,
            body,
        });
    }
    Ok(deliveries)
}
