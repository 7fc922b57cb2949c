//! What a client sends of a message. Who writes to whom is never taken from it.

use axum::http::HeaderMap;
use freehunt_domain::{
    ids::{ConversationId, DocumentId, UserId},
    messages::{IdempotencyKey, Message, MessageContent},
};
use serde::Deserialize;

use crate::{
    error::{ApiError, ApiResult},
    extract::{Field, Rule, Validate},
};

/// A message to send.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateMessage {
    /// 1 to 10 000 characters, not only white space.
    #[schema(example = "Bonjour, êtes-vous disponible lundi ?", max_length = 10_000)]
    pub content: String,
    /// An own document.
    pub document_id: Option<DocumentId>,
    pub conversation_id: ConversationId,
    /// Ignored: the other participant receives the message.
    #[serde(rename = "receiverId")]
    _receiver_id: Option<UserId>,
    /// Ignored: the session's user sends the message.
    #[serde(rename = "senderId")]
    _sender_id: Option<UserId>,
}

impl Validate for CreateMessage {
    const FIELDS: &'static [Field] = &[
        Field::required("content", &[Rule::IsString]),
        Field::optional("documentId", &[Rule::IsUuid]),
        Field::required("conversationId", &[Rule::IsUuid]),
        Field::optional("receiverId", &[Rule::IsUuid]),
        Field::optional("senderId", &[Rule::IsUuid]),
        // Checked and dropped: the conversation knows its project.
        Field::optional("projectId", &[Rule::IsUuid]),
    ];
}

/// A message's new content. The other ids, where given, must be the message's own.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateMessage {
    /// 1 to 10 000 characters, not only white space.
    #[schema(example = "Bonjour, êtes-vous disponible mardi ?", max_length = 10_000)]
    pub content: String,
    conversation_id: Option<ConversationId>,
    receiver_id: Option<UserId>,
    sender_id: Option<UserId>,
    /// An own document; absent or `null` keeps what there is.
    pub document_id: Option<DocumentId>,
}

impl Validate for UpdateMessage {
    const FIELDS: &'static [Field] = &[
        Field::required("content", &[Rule::IsString]),
        Field::optional("conversationId", &[Rule::IsUuid]),
        Field::optional("receiverId", &[Rule::IsUuid]),
        Field::optional("senderId", &[Rule::IsUuid]),
        Field::optional("documentId", &[Rule::IsUuid]),
    ];
}

impl UpdateMessage {
    /// A message is never moved, nor given to somebody else.
    pub fn check_ids(&self, message: &Message) -> ApiResult<()> {
        let same = self.conversation_id.is_none_or(|id| id == message.conversation_id)
            && self.receiver_id.is_none_or(|id| id == message.receiver_id)
            && self.sender_id.is_none_or(|id| id == message.sender_id);
        if same { Ok(()) } else { Err(ApiError::forbidden(crate::error::FORBIDDEN)) }
    }
}

/// The rules of a text that was found to be one.
pub fn content(text: String) -> ApiResult<MessageContent> {
    MessageContent::new(text).map_err(|error| ApiError::rules(vec![error.to_string()]))
}

/// The `Idempotency-Key` header, if there is one.
pub fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<IdempotencyKey>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(IdempotencyKey::new);
    key.map(Some).ok_or_else(|| ApiError::bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters"))
}
