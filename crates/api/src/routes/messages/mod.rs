//! `/messages`: the messages of conversations. Private to the two participants.

mod access;
mod bodies;

use axum::{extract::State, http::HeaderMap};
use freehunt_domain::{
    ids::{ConversationId, MessageId, UserId},
    messages::{self, ChangeMessageError, Message, MessageChange, NewMessage, SendMessageError},
    users::User,
};
use serde::Serialize;

use self::{
    access::{OwnMessage, VisibleMessage},
    bodies::{CreateMessage, UpdateMessage},
};
use crate::{
    error::{ApiError, ApiResult, ErrorBody, NOTHING_TO_UPDATE},
    extract::{Allowed, AllowedBody, Created, Json, Session, ValidBody},
    routes::{
        closed,
        conversations::access::{MessagesToRead, NO_CONVERSATION},
    },
    state::AppState,
};

const NO_DOCUMENT: &str = "Document not found";

impl From<SendMessageError> for ApiError {
    fn from(error: SendMessageError) -> Self {
        match error {
            SendMessageError::NoConversation => Self::not_found(NO_CONVERSATION),
            SendMessageError::NoDocument => Self::not_found(NO_DOCUMENT),
            SendMessageError::Database(error) => error.into(),
        }
    }
}

impl From<ChangeMessageError> for ApiError {
    fn from(error: ChangeMessageError) -> Self {
        match error {
            ChangeMessageError::NoMessage => Self::missing_dependency(NOTHING_TO_UPDATE),
            ChangeMessageError::NoDocument => Self::not_found(NO_DOCUMENT),
            ChangeMessageError::Database(error) => error.into(),
        }
    }
}

/// Sends a message to the other participant. The same `Idempotency-Key` within 24 hours answers the same message.
#[utoipa::path(post, path = "/messages", tag = "messages", request_body = CreateMessage, security(("session" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses((status = 201, description = "The message", body = Message),
        (status = 400, description = "A broken rule", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No such conversation or document for this session", body = ErrorBody),
        (status = 409, description = "The document is in another message", body = ErrorBody)))]
pub async fn create_message(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    ValidBody(body): ValidBody<CreateMessage>,
) -> ApiResult<Created<Message>> {
    let message = NewMessage {
        conversation_id: body.conversation_id,
        content: bodies::content(body.content)?,
        document_id: body.document_id,
        idempotency_key: bodies::idempotency_key(&headers)?,
    };
    let mut connection = state.connection().await?;
    let sent = messages::send(&mut connection, session.actor(), &message).await?;
    connection.finish();
    Ok(Created(sent))
}

/// Closed: nobody reads everybody's messages.
#[utoipa::path(get, path = "/messages", tag = "messages", security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn list_messages(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// One message, for the participants of its conversation.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", params(("id" = MessageId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The message", body = Message),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "There is none for this session", body = ErrorBody)))]
pub async fn get_message(Allowed(VisibleMessage(message)): Allowed<VisibleMessage>) -> ApiResult<Json<Message>> {
    Ok(Json(message))
}

/// Changes the content of an own message.
#[utoipa::path(put, path = "/messages/{id}", tag = "messages", params(("id" = MessageId, Path)),
    request_body = UpdateMessage, security(("session" = [])),
    responses((status = 200, description = "The message", body = Message),
        (status = 400, description = "A broken rule", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "To another conversation or person", body = ErrorBody),
        (status = 404, description = "No such message or document of the session's own", body = ErrorBody),
        (status = 409, description = "The document is in another message", body = ErrorBody)))]
pub async fn update_message(
    State(state): State<AppState>,
    AllowedBody(own, body): AllowedBody<OwnMessage, UpdateMessage>,
) -> ApiResult<Json<Message>> {
    body.check_ids(&own.message)?;
    let change = MessageChange { content: bodies::content(body.content)?, document_id: body.document_id };
    Ok(Json(messages::edit(&state.pool, own.session.actor(), own.message.id, &change).await?))
}

/// Deletes an own message.
#[utoipa::path(delete, path = "/messages/{id}", tag = "messages", params(("id" = MessageId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The message that was", body = Message),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "There is none of the session's own", body = ErrorBody)))]
pub async fn delete_message(
    State(state): State<AppState>,
    Allowed(own): Allowed<OwnMessage>,
) -> ApiResult<Json<Message>> {
    Ok(Json(messages::delete(&state.pool, own.session.actor(), own.message.id).await?))
}

/// A message's sender or receiver; the address is there for oneself only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Correspondent {
    id: UserId,
    #[schema(example = "alice")]
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "alice@example.com")]
    email: Option<String>,
}

impl Correspondent {
    fn find(users: &[User], id: UserId, viewer: UserId) -> Option<Self> {
        let user = users.iter().find(|user| user.id == id)?;
        let email = (id == viewer).then(|| user.email.clone());
        Some(Self { id, username: user.username.clone(), email })
    }
}

/// A message as it is listed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedMessage {
    #[serde(flatten)]
    message: Message,
    sender: Option<Correspondent>,
    receiver: Option<Correspondent>,
}

/// The messages of a conversation, oldest first, for its participants.
#[utoipa::path(get, path = "/messages/conversation/{id}", tag = "messages", params(("id" = ConversationId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The messages", body = Vec<ListedMessage>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No such conversation for this session", body = ErrorBody)))]
pub async fn list_messages_of_conversation(
    Allowed(MessagesToRead { messages, people, session }): Allowed<MessagesToRead>,
) -> Json<Vec<ListedMessage>> {
    let viewer = session.user_id;
    let listed = messages.into_iter().map(|message| ListedMessage {
        sender: Correspondent::find(&people, message.sender_id, viewer),
        receiver: Correspondent::find(&people, message.receiver_id, viewer),
        message,
    });
    Json(listed.collect())
}
