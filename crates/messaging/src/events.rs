//! The only file with the names and payloads of events, those of clients and those of the server.
//!
//! [`asyncapi`](crate::asyncapi) describes what is here; tests hold the description against [`ClientEvent::NAMES`]
//! and [`SERVER_EVENTS`], and those against the kinds of events in the database.

use freehunt_domain::{
    chat_events::ChatEventKind,
    ids::{ConversationId, MessageId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// The answer to a `joinRoom`, to its sender.
pub const JOINED_ROOM: &str = "joinedRoom";
/// The answer to a `leaveRoom`, to its sender.
pub const LEFT_ROOM: &str = "leftRoom";
/// To the other participant of the conversation.
pub const USER_JOINED_ROOM: &str = "userJoinedRoom";
/// To the other participant of the conversation.
pub const USER_LEFT_ROOM: &str = "userLeftRoom";
/// To the other participant of the conversation.
pub const USER_TYPING: &str = "userTyping";
/// A failed event, to its sender.
pub const EXCEPTION: &str = "exception";

/// Every event the server sends.
pub const SERVER_EVENTS: [&str; 11] = [
    JOINED_ROOM,
    LEFT_ROOM,
    USER_JOINED_ROOM,
    USER_LEFT_ROOM,
    USER_TYPING,
    EXCEPTION,
    "newMessage",
    "updateMessage",
    "deleteMessage",
    "newConversation",
    "conversationReady",
];

/// Somebody wrote, edited or deleted a message, or began a conversation.
pub fn name_of(kind: ChatEventKind) -> &'static str {
    kind.name()
}

/// Names a conversation; clients call it a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    pub room_id: ConversationId,
}

/// What the partner learns of a joined or left room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomNotice {
    #[schema(example = "Un nouvel utilisateur a rejoint la conversation")]
    pub message: &'static str,
    pub room_id: ConversationId,
}

impl RoomNotice {
    pub fn joined(room_id: ConversationId) -> Self {
        Self { message: "Un nouvel utilisateur a rejoint la conversation", room_id }
    }

    pub fn left(room_id: ConversationId) -> Self {
        Self { message: "Un utilisateur a quitté la conversation", room_id }
    }
}

/// Somebody begins or stops to type. A `userId` is not believed: the session says who types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    #[serde(alias = "roomId")]
    pub conversation_id: ConversationId,
    #[serde(default)]
    pub is_typing: bool,
}

/// The partner begins or stops to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserTyping {
    pub user_id: UserId,
    pub is_typing: bool,
    pub conversation_id: ConversationId,
}

/// Who the client says it is; without effect, since the session says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identification {
    #[schema(value_type = Uuid)]
    pub user_id: String,
}

/// A hint that the sender wrote a message over HTTP. Only its id is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct NewMessageHint {
    pub message: MessageReference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct MessageReference {
    pub id: MessageId,
}

/// Why an event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Exception<'a> {
    #[schema(example = "error")]
    pub status: &'static str,
    #[schema(example = "Conversation not found")]
    pub message: &'a str,
    pub cause: Cause<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cause<'a> {
    /// The event that failed.
    #[schema(example = "joinRoom")]
    pub pattern: &'a str,
}

impl<'a> Exception<'a> {
    pub fn new(pattern: &'a str, message: &'a str) -> Self {
        Self { status: "error", message, cause: Cause { pattern } }
    }
}

/// The answer to a client that asked for an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Acknowledgement<'a> {
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    JoinRoom(Room),
    LeaveRoom(Room),
    Typing(Typing),
    IdentifyUser(Identification),
    NewMessage(NewMessageHint),
    /// Known to the original, without effect here: what others receive comes from the database alone.
    Ignored,
    Unknown,
}

impl ClientEvent {
    /// The events that have an effect or are accepted.
    pub const NAMES: [&'static str; 5] = ["joinRoom", "leaveRoom", "typing", "identifyUser", "newMessage"];
    /// Longest name that an answer repeats.
    pub const LONGEST_NAME: usize = 64;

    /// Reads an event; a payload of another shape is refused with a sentence.
    pub fn parse(name: &str, payload: Option<Value>) -> Result<Self, &'static str> {
        match name {
            "joinRoom" => read(payload, "roomId must be a UUID").map(Self::JoinRoom),
            "leaveRoom" => read(payload, "roomId must be a UUID").map(Self::LeaveRoom),
            "typing" => read(payload, "conversationId must be a UUID").map(Self::Typing),
            "identifyUser" => {
                read(payload, "userId must be a string").map(Identification::shortened).map(Self::IdentifyUser)
            }
            "newMessage" => read(payload, "message.id must be a UUID").map(Self::NewMessage),
            "newConversation" | "deleteMessage" | "updateMessage" | "getMessages" => Ok(Self::Ignored),
            _ => Ok(Self::Unknown),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(payload: Option<Value>, refusal: &'static str) -> Result<T, &'static str> {
    payload.and_then(|payload| serde_json::from_value(payload).ok()).ok_or(refusal)
}

impl Identification {
    /// No user's id is longer.
    const LONGEST: usize = 64;

    /// As telling, and small enough to be kept while it waits.
    fn shortened(self) -> Self {
        Self { user_id: self.user_id.chars().take(Self::LONGEST).collect() }
    }

    /// Whether the client claims to be somebody else. Before it knows its user, the frontend sends an empty id.
    pub fn contradicts(&self, user: UserId) -> bool {
        !self.user_id.is_empty() && Uuid::parse_str(&self.user_id) != Ok(user.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "6f2b3f5e-1c2d-4e5f-8a9b-0c1d2e3f4a5b";

    #[test]
    fn payloads_are_read_as_clients_send_them() {
        let room_id = ConversationId(ID.parse().unwrap());
        let parse = |name, payload| ClientEvent::parse(name, Some(payload));
        assert_eq!(parse("joinRoom", json!({ "roomId": ID })), Ok(ClientEvent::JoinRoom(Room { room_id })));
        let typing = ClientEvent::Typing(Typing { conversation_id: room_id, is_typing: true });
        let payload = json!({ "conversationId": ID, "userId": "x", "isTyping": true });
        assert_eq!(parse("typing", payload), Ok(typing.clone()));
        assert_eq!(parse("typing", json!({ "roomId": ID, "isTyping": true })), Ok(typing));
        let hint = json!({ "message": { "id": ID, "content": "x", "extra": { "kept": true } } });
        assert!(matches!(parse("newMessage", hint), Ok(ClientEvent::NewMessage(_))));
    }

    /// Fault case 127.
    #[test]
    fn other_shapes_are_refused() {
        for payload in
            [json!(null), json!({}), json!({ "roomId": 5 }), json!({ "roomId": "room1" }), json!("x"), json!([])]
        {
            assert!(ClientEvent::parse("joinRoom", Some(payload.clone())).is_err(), "{payload}");
        }
        assert!(ClientEvent::parse("joinRoom", None).is_err());
        assert_eq!(ClientEvent::parse("userConnected", None), Ok(ClientEvent::Unknown));
        assert_eq!(ClientEvent::parse("updateMessage", None), Ok(ClientEvent::Ignored));
    }

    #[test]
    fn a_claim_is_kept_short() {
        let parsed = ClientEvent::parse("identifyUser", Some(json!({ "userId": "é".repeat(60_000) })));
        let Ok(ClientEvent::IdentifyUser(claim)) = parsed else { panic!("{parsed:?}") };
        assert!(claim.user_id.capacity() <= 256 && claim.contradicts(UserId(ID.parse().unwrap())));
    }

    /// What the relay sends is on the list, and so in the description.
    #[test]
    fn every_kind_of_the_database_is_a_server_event() {
        for kind in ChatEventKind::ALL {
            assert!(SERVER_EVENTS.contains(&name_of(kind)), "{kind:?}");
        }
    }

    #[test]
    fn a_claimed_user_is_compared_with_the_session() {
        let user = UserId(ID.parse().unwrap());
        let claim = |text: &str| Identification { user_id: text.to_owned() };
        assert!(!claim("").contradicts(user) && !claim(&ID.to_uppercase()).contradicts(user));
        assert!(claim("user1").contradicts(user) && claim(&Uuid::nil().to_string()).contradicts(user));
    }
}
