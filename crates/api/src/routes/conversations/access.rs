//! Permission on conversations.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    conversations::queries,
    ids::{ConversationId, ProjectId, UserId},
    policy::{self, Decision},
    projects,
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, Session},
    state::AppState,
};

/// The same for a conversation that does not exist and for one that must look so.
pub const NO_CONVERSATION: &str = "Conversation not found";

/// A conversation that the session takes part in.
#[derive(Clone, Debug)]
pub struct ConversationParticipant {
    pub conversation_id: ConversationId,
    pub session: Session,
}

impl Access for ConversationParticipant {
    type Claim = (Session, ConversationId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, conversation_id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.pool.acquire().await?;
        let facts = queries::find_conversation_facts(&mut connection, conversation_id).await?;
        let facts = facts.ok_or_else(|| ApiError::not_found(NO_CONVERSATION))?;
        ApiError::check(policy::take_part(session.actor(), &facts), NO_CONVERSATION)?;
        Ok(Self { conversation_id, session })
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
        let mut connection = state.pool.acquire().await?;
        let facts = projects::queries::find_project_facts(&mut connection, project_id).await?;
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
