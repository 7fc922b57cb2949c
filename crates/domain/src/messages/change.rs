//! Editing and deleting one's own message.

use sqlx::{PgConnection, PgPool};

use super::{Message, MessageContent, queries};
use crate::{
    chat_events::{self, ChatEventKind},
    conversations,
    ids::{DocumentId, MessageId, UserId},
    policy::{self, Actor, MessageAction},
};

#[derive(Clone, Debug)]
pub struct MessageChange {
    pub content: MessageContent,
    /// `None` keeps the document.
    pub document_id: Option<DocumentId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeMessageError {
    /// There is none, or it is somebody else's.
    #[error("no such message")]
    NoMessage,
    /// There is none, or it is somebody else's.
    #[error("no such document")]
    NoDocument,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn edit(
    pool: &PgPool,
    actor: Actor,
    id: MessageId,
    change: &MessageChange,
) -> Result<Message, ChangeMessageError> {
    let mut transaction = pool.begin().await?;
    let (_, participants) = lock_own_message(&mut transaction, actor, id).await?;
    if let Some(document) = change.document_id
        && !queries::owns_document(&mut transaction, actor.user_id, document).await?
    {
        return Err(ChangeMessageError::NoDocument);
    }
    let edited = queries::update_message(&mut transaction, id, &change.content, change.document_id).await?;
    let kind = ChatEventKind::UpdateMessage;
    chat_events::publish(&mut transaction, kind, edited.conversation_id, Some(id), &participants).await?;
    transaction.commit().await?;
    Ok(edited)
}

/// Deletes the message and returns what it was.
pub async fn delete(pool: &PgPool, actor: Actor, id: MessageId) -> Result<Message, ChangeMessageError> {
    let mut transaction = pool.begin().await?;
    let (message, participants) = lock_own_message(&mut transaction, actor, id).await?;
    queries::delete_message(&mut transaction, id).await?;
    chat_events::publish_deletion(&mut transaction, &message, &participants).await?;
    transaction.commit().await?;
    Ok(message)
}

/// The message and the conversation's participants; a row of the original may name others as its sender or receiver.
async fn lock_own_message(
    connection: &mut PgConnection,
    actor: Actor,
    id: MessageId,
) -> Result<(Message, [UserId; 2]), ChangeMessageError> {
    let message = queries::lock_message(connection, id).await?.ok_or(ChangeMessageError::NoMessage)?;
    conversations::queries::find_conversation_facts(connection, message.conversation_id)
        .await?
        .filter(|facts| policy::message(actor, MessageAction::Change, message.sender_id, facts).is_allowed())
        .map(|facts| (message, [facts.sender, facts.receiver]))
        .ok_or(ChangeMessageError::NoMessage)
}
