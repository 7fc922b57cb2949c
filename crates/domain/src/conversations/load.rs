//! Conversations with their messages and projects, in a fixed number of statements.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Conversation, ConversationDetails, ConversationReady, Participant, queries};
use crate::{
    grouping::grouped,
    ids::{ConversationId, UserId},
    messages,
    policy::ConversationFacts,
    projects::Project,
};

/// Two statements, however many conversations there are.
pub async fn list_details_of_user(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<ConversationDetails>, sqlx::Error> {
    let conversations = queries::list_with_projects_of_user(connection, user).await?;
    add_messages(connection, conversations).await
}

/// Two statements.
pub async fn find_details(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<ConversationDetails>, sqlx::Error> {
    find_readable(connection, id, |_| true).await
}

/// As [`find_details`], unless `may_read` says no; then the messages are not read.
pub async fn find_readable(
    connection: &mut PgConnection,
    id: ConversationId,
    may_read: impl FnOnce(&ConversationFacts) -> bool + Send,
) -> Result<Option<ConversationDetails>, sqlx::Error> {
    let found = queries::find_with_project(connection, id).await?;
    let Some((conversation, project)) = found.filter(|(conversation, _)| may_read(&conversation.facts())) else {
        return Ok(None);
    };
    let messages = messages::queries::list_messages(connection, id).await?;
    Ok(Some(ConversationDetails { conversation, messages, project }))
}

/// The payload of `conversationReady`; `None` when the conversation is gone.
pub async fn find_ready(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<ConversationReady>, sqlx::Error> {
    let Some(details) = find_details(connection, id).await? else { return Ok(None) };
    let (sender_id, receiver_id) = (details.conversation.sender_id, details.conversation.receiver_id);
    let users = queries::list_users_by_id(connection, &[sender_id.0, receiver_id.0]).await?;
    let person = |id| users.iter().find(|user| user.id == id).map(Participant::of);
    Ok(match (person(sender_id), person(receiver_id)) {
        (Some(sender), Some(receiver)) => Some(ConversationReady { details, sender, receiver }),
        _ => None,
    })
}

async fn add_messages(
    connection: &mut PgConnection,
    conversations: Vec<(Conversation, Option<Project>)>,
) -> Result<Vec<ConversationDetails>, sqlx::Error> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = conversations.iter().map(|(conversation, _)| conversation.id.0).collect();
    let messages = messages::queries::list_messages_of_conversations(connection, &ids).await?;
    let mut messages = grouped(messages, |message| message.conversation_id);
    Ok(conversations
        .into_iter()
        .map(|(conversation, project)| ConversationDetails {
            messages: messages.remove(&conversation.id).unwrap_or_default(),
            project,
            conversation,
        })
        .collect())
}
