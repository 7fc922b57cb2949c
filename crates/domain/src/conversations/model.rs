use serde::Serialize;

use crate::{
    Timestamp,
    ids::{ConversationId, UserId},
    messages::Message,
    policy::ConversationFacts,
    projects::Project,
    users::{Role, User},
};

/// A row of "Conversation", and the payload of the event `newConversation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    pub id: ConversationId,
    /// Who began it; says nothing about who may write.
    pub sender_id: UserId,
    pub receiver_id: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Conversation {
    pub fn facts(&self) -> ConversationFacts {
        ConversationFacts { sender: self.sender_id, receiver: self.receiver_id }
    }
}

/// A conversation as its participants read it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationDetails {
    #[serde(flatten)]
    pub conversation: Conversation,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// The project whose two parties talk here; `null` for any other conversation.
    pub project: Option<Project>,
}

/// What the participants of a conversation see of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Participant {
    pub id: UserId,
    #[schema(example = "alice")]
    pub username: String,
    pub role: Role,
}

impl Participant {
    pub fn of(user: &User) -> Self {
        Self { id: user.id, username: user.username.clone(), role: user.role }
    }
}

/// The payload of the event `conversationReady`.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationReady {
    #[serde(flatten)]
    pub details: ConversationDetails,
    pub sender: Participant,
    pub receiver: Participant,
}
