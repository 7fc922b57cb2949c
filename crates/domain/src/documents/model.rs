use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Timestamp,
    ids::{DocumentId, FreelanceId, MessageId, UserId},
};

/// Characters kept of a file's name.
const NAME_LENGTH: usize = 200;
const DEFAULT_NAME: &str = "avatar";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"DocumentType\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DocumentType {
    Avatar,
    Invoice,
    Quote,
}

impl DocumentType {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "AVATAR" => Some(Self::Avatar),
            "INVOICE" => Some(Self::Invoice),
            "QUOTE" => Some(Self::Quote),
            _ => None,
        }
    }
}

/// A row of "Document", as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub id: DocumentId,
    /// The file's name, for people to read.
    #[schema(example = "photo.png")]
    pub name: String,
    /// Where browsers find the picture.
    #[schema(example = "https://s3.eu-west-3.amazonaws.com/freehunt-avatar/avatars/…/….png")]
    pub url: String,
    pub r#type: DocumentType,
    pub freelance_id: Option<FreelanceId>,
    pub invoice_id: Option<Uuid>,
    pub quote_id: Option<Uuid>,
    pub message_id: Option<MessageId>,
    pub user_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// An object that was just put into the bucket for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    pub key: String,
    /// Where browsers find it.
    pub url: String,
}

/// What people may be shown of a file's name: its last path segment without characters that hide or turn text, cut to
/// 200 characters.
pub fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|character| !is_hidden(*character)).take(NAME_LENGTH).collect();
    let trimmed = visible.trim();
    if matches!(trimmed, "" | "." | "..") { DEFAULT_NAME.to_owned() } else { trimmed.to_owned() }
}

/// Control characters, and those that are invisible or turn the direction of the text around them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault case 70, as far as names are concerned.
    #[test]
    fn names_lose_what_misleads() {
        for (hostile, clean) in [
            ("../../etc/x.png", "x.png"),
            ("a/b", "b"),
            ("C:\\fakepath\\photo.jpg", "photo.jpg"),
            ("mon été.png", "mon été.png"),
            ("a\0b\r\n.png", "ab.png"),
            ("gpj.\u{202E}exe", "gpj.exe"),
            ("%2f..%2fx", "%2f..%2fx"),
            ("..", "avatar"),
            (" \u{200B} ", "avatar"),
            ("", "avatar"),
        ] {
            assert_eq!(clean_name(hostile), clean, "{hostile:?}");
        }
        assert_eq!(clean_name(&"é".repeat(5000)).chars().count(), 200);
    }
}
