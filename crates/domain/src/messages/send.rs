//! Sending a message: the row, its event and its notification are one transaction.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    Message, MessageContent,
    queries::{self, MessageRow},
};
use crate::{
    conversations,
    ids::{ConversationId, DocumentId, MessageId},
    policy::{self, Actor},
};

/// A client's word that two requests are one: the second answers what the first made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub const MAXIMUM_LENGTH: usize = 255;

    /// `None` unless the text is 1 to 255 visible ASCII characters.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAXIMUM_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }
}

#[derive(Clone, Debug)]
pub struct NewMessage {
    pub conversation_id: ConversationId,
    pub content: MessageContent,
    pub document_id: Option<DocumentId>,
    /// Valid for 24 hours, for this sender in this conversation.
    pub idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// There is none, or the sender is not in it.
    #[error("no such conversation")]
    NoConversation,
    /// There is none, or it is somebody else's.
    #[error("no such document")]
    NoDocument,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Sends in the name of `actor` to the other participant.
pub async fn send(
    connection: &mut PgConnection,
    actor: Actor,
    message: &NewMessage,
) -> Result<Message, SendMessageError> {
    // The participants of a conversation never change, so this may be read before the transaction.
    let facts = conversations::queries::find_conversation_facts(&mut *connection, message.conversation_id)
        .await?
        .filter(|facts| policy::take_part(actor, facts).is_allowed())
        .ok_or(SendMessageError::NoConversation)?;
    let partner = facts.partner_of(actor.user_id).ok_or(SendMessageError::NoConversation)?;
    let row = MessageRow {
        id: MessageId(Uuid::new_v4()),
        conversation_id: message.conversation_id,
        sender_id: actor.user_id,
        receiver_id: partner,
        document_id: message.document_id,
        content: message.content.as_str(),
    };
    if message.document_id.is_none() && message.idempotency_key.is_none() {
        return Ok(queries::insert_published(&mut *connection, row).await?);
    }
    send_with_conditions(connection, message, row).await
}

/// A document has to be the sender's own, and a key decides whether this is the first request: both in one transaction
/// with the message.
async fn send_with_conditions(
    connection: &mut PgConnection,
    message: &NewMessage,
    row: MessageRow<'_>,
) -> Result<Message, SendMessageError> {
    let mut transaction = connection.begin().await?;
    if let Some(document) = row.document_id
        && !queries::owns_document(&mut transaction, row.sender_id, document).await?
    {
        return Err(SendMessageError::NoDocument);
    }
    if let Some(IdempotencyKey(key)) = &message.idempotency_key
        && !queries::claim_key(&mut transaction, row.sender_id, row.conversation_id, key, row.id).await?
        && let Some(first) =
            queries::find_message_by_key(&mut transaction, row.sender_id, row.conversation_id, key).await?
    {
        transaction.rollback().await?;
        return Ok(first);
    }
    let sent = queries::insert_published(&mut transaction, row).await?;
    transaction.commit().await?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_visible() {
        assert!(IdempotencyKey::new("8e03978e-40d5-43dd-bc93-6894a57f9324").is_some());
        assert!(IdempotencyKey::new(&"k".repeat(255)).is_some());
        for refused in ["", " ", "a b", "é", "a\nb", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::new(refused), None, "{refused:?}");
        }
    }
}
