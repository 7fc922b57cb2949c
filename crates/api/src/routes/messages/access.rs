//! Permission on messages.

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use freehunt_domain::{
    conversations,
    ids::MessageId,
    messages::{Message, queries},
    policy::{self, Decision, MessageAction},
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, Session},
    state::AppState,
};

/// With the method, which words a message that is not there.
type ById = (Session, MessageId, Method);

/// The same for a message that does not exist and for one that must look so.
fn no_message(method: &Method) -> ApiError {
    match *method {
        Method::GET => ApiError::not_found("Message not found"),
        _ => ApiError::missing_row(method),
    }
}

async fn claim_by_id(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
    let session = Session::from_request_parts(parts, state).await?;
    let PathId(id) = PathId::from_request_parts(parts, state).await?;
    Ok((session, id, parts.method.clone()))
}

async fn load((session, id, method): &ById, action: MessageAction, state: &AppState) -> ApiResult<Message> {
    let missing = || no_message(method);
    let mut connection = state.connection().await?;
    let message = queries::find_message(&mut connection, *id).await?.ok_or_else(missing)?;
    let facts = conversations::queries::find_conversation_facts(&mut connection, message.conversation_id).await?;
    let facts = facts.ok_or_else(missing)?;
    match policy::message(session.actor(), action, message.sender_id, &facts) {
        Decision::Hidden => Err(missing()),
        decision => ApiError::check(decision, "").map(|()| message),
    }
}

/// A message of a conversation that the session takes part in.
#[derive(Clone, Debug)]
pub struct VisibleMessage(pub Message);

impl Access for VisibleMessage {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant(claim: ById, state: &AppState) -> ApiResult<Self> {
        load(&claim, MessageAction::View, state).await.map(Self)
    }
}

/// A message that the session wrote.
#[derive(Clone, Debug)]
pub struct OwnMessage {
    pub message: Message,
    pub session: Session,
}

impl Access for OwnMessage {
    type Claim = ById;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<ById> {
        claim_by_id(parts, state).await
    }

    async fn grant(claim: ById, state: &AppState) -> ApiResult<Self> {
        let message = load(&claim, MessageAction::Change, state).await?;
        Ok(Self { message, session: claim.0 })
    }
}
