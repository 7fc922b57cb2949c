//! Conversations with their messages and projects, in a fixed number of statements.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Conversation, ConversationDetails, ConversationReady, Participant, queries};
use crate::{
    grouping::grouped,
    ids::{ConversationId, UserId},
    messages,
    projects::{self, Project},
};

/// Three statements, however many conversations there are.
pub async fn list_details_of_user(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<ConversationDetails>, sqlx::Error> {
    let conversations = queries::list_conversations_of_user(connection, user).await?;
    add_details(connection, conversations).await
}

pub async fn find_details(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<ConversationDetails>, sqlx::Error> {
    let found = queries::find_conversation(connection, id).await?;
    Ok(add_details(connection, found.into_iter().collect()).await?.pop())
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

async fn add_details(
    connection: &mut PgConnection,
    conversations: Vec<Conversation>,
) -> Result<Vec<ConversationDetails>, sqlx::Error> {
    let ids: Vec<Uuid> = conversations.iter().map(|conversation| conversation.id.0).collect();
    let messages = messages::queries::list_messages_of_conversations(connection, &ids).await?;
    let mut messages = grouped(messages, |message| message.conversation_id);
    let mut projects: HashMap<ConversationId, Project> =
        projects::queries::list_projects_of_conversations(connection, &ids)
            .await?
            .into_iter()
            .filter_map(|project| Some((project.conversation_id?, project)))
            .collect();
    Ok(conversations
        .into_iter()
        .map(|conversation| ConversationDetails {
            messages: messages.remove(&conversation.id).unwrap_or_default(),
            project: projects.remove(&conversation.id),
            conversation,
        })
        .collect())
}
