//! Permission on conversations.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    conversations::{self, ConversationDetails, queries},
    ids::{ConversationId, ProjectId, UserId},
    messages::{self, Message},
    policy::{self, ConversationFacts, Decision},
    projects,
    users::User,
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, Session},
    state::AppState,
};

/// The same for a conversation that does not exist and for one that must look so.
pub const NO_CONVERSATION: &str = "Conversation not found";

type ById = (Session, ConversationId);

async fn claim_by_id(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
    let session = Session::from_request_parts(parts, state).await?;
    let PathId(id) = PathId::from_request_parts(parts, state).await?;
    Ok((session, id))
}

/// A conversation that the session takes part in.
#[derive(Clone, Debug)]
pub struct ConversationToRead(pub ConversationDetails);

impl Access for ConversationToRead {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant((session, id): ById, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let actor = session.actor();
        let may_read = |facts: &ConversationFacts| policy::take_part(actor, facts).is_allowed();
        let details = conversations::find_readable(&mut connection, id, may_read).await?;
        connection.finish();
        details.map(Self).ok_or_else(|| ApiError::not_found(NO_CONVERSATION))
    }
}

/// The messages of a conversation that the session takes part in, oldest first.
#[derive(Clone, Debug)]
pub struct MessagesToRead {
    pub messages: Vec<Message>,
    /// Everybody whom the messages name.
    pub people: Vec<User>,
    pub session: Session,
}

impl Access for MessagesToRead {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant((session, id): ById, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let found = queries::find_people(&mut connection, id).await?;
        let (facts, mut people) = found.ok_or_else(|| ApiError::not_found(NO_CONVERSATION))?;
        ApiError::check(policy::take_part(session.actor(), &facts), NO_CONVERSATION)?;
        let messages = messages::queries::list_messages(&mut connection, id).await?;
        // The original let senders name anybody.
        let mut named: Vec<_> = messages.iter().flat_map(|message| [message.sender_id, message.receiver_id]).collect();
        named.retain(|id| *id != facts.sender && *id != facts.receiver);
        if !named.is_empty() {
            let ids: Vec<_> = named.into_iter().map(|id| id.0).collect();
            people.extend(queries::list_users_by_id(&mut connection, &ids).await?);
        }
        connection.finish();
        Ok(Self { messages, people, session })
    }
}

/// The session's own conversations, named by its user's id.
#[derive(Clone, Debug)]
pub struct OwnConversations(pub Session);

impl Access for OwnConversations {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, _state: &AppState) -> ApiResult<Self> {
        ApiError::check(policy::is_self(session.actor(), id), "")?;
        Ok(Self(session))
    }
}

/// The conversation of a project that the session is a party of.
#[derive(Clone, Debug)]
pub struct ProjectConversation {
    pub project_id: ProjectId,
    pub session: Session,
}

impl Access for ProjectConversation {
    type Claim = (Session, ProjectId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, project_id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let facts = projects::queries::find_project_facts(&mut connection, project_id).await?;
        connection.finish();
        let facts = facts.ok_or_else(|| ApiError::not_found(NO_CONVERSATION))?;
        // A conversation is private, unlike the project's existence: others learn nothing.
        let decision = match policy::view_project(session.actor(), &facts) {
            Decision::Forbidden => Decision::Hidden,
            decision => decision,
        };
        ApiError::check(decision, NO_CONVERSATION)?;
        Ok(Self { project_id, session })
    }
}
