use serde::Serialize;

use crate::{
    Timestamp,
    ids::{ConversationId, DocumentId, MessageId, UserId},
};

/// A row of "Message", and its shape in every answer and in the events `newMessage`, `updateMessage` and
/// `deleteMessage`: the client sends an answer back over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_id: UserId,
    pub receiver_id: UserId,
    pub document_id: Option<DocumentId>,
    pub timestamp: Timestamp,
    #[schema(example = "Bonjour, êtes-vous disponible lundi ?")]
    pub content: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The longest content of a message, in characters.
pub const MAXIMUM_CONTENT_CHARACTERS: usize = 10_000;

/// A message's text: not blank, at most [`MAXIMUM_CONTENT_CHARACTERS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageContent(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("content should not be empty")]
    Blank,
    #[error("content must be shorter than or equal to {MAXIMUM_CONTENT_CHARACTERS} characters")]
    TooLong,
}

impl MessageContent {
    pub fn new(text: String) -> Result<Self, ContentError> {
        if text.trim().is_empty() {
            return Err(ContentError::Blank);
        }
        // A character has at most four bytes, so long texts need no counting.
        if text.len() > 4 * MAXIMUM_CONTENT_CHARACTERS || text.chars().count() > MAXIMUM_CONTENT_CHARACTERS {
            return Err(ContentError::TooLong);
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault case 62.
    #[test]
    fn blank_messages_are_refused() {
        for text in ["", " ", "\n\t ", "\u{2003}"] {
            assert_eq!(MessageContent::new(text.to_owned()), Err(ContentError::Blank), "{text:?}");
        }
    }

    /// Fault case 60.
    #[test]
    fn length_is_counted_in_characters() {
        let longest = "😀".repeat(MAXIMUM_CONTENT_CHARACTERS);
        assert!(MessageContent::new(longest.clone()).is_ok());
        assert_eq!(MessageContent::new(longest + "x"), Err(ContentError::TooLong));
        assert_eq!(MessageContent::new("x".repeat(MAXIMUM_CONTENT_CHARACTERS + 1)), Err(ContentError::TooLong));
    }

    #[test]
    fn text_is_kept_as_it_is() {
        let text = " <b>doc</b> 😀\n";
        assert_eq!(MessageContent::new(text.to_owned()).unwrap().as_str(), text);
    }
}
