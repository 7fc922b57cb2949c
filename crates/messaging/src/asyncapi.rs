//! The description of the events for authors of clients, as an AsyncAPI 3 document: made from the event types.

use axum::{Json, response::IntoResponse};
use freehunt_domain::{
    conversations::{Conversation, ConversationReady},
    messages::Message,
};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::events::{
    self, Acknowledgement, Exception, Identification, NewMessageHint, Room, RoomNotice, Typing, UserTyping,
};

/// One event of the document.
struct Described {
    name: &'static str,
    /// Name of the payload's schema.
    payload: String,
    summary: &'static str,
}

fn described<T: ToSchema>(name: &'static str, summary: &'static str) -> Described {
    Described { name, payload: T::name().into_owned(), summary }
}

fn client_events() -> Vec<Described> {
    vec![
        described::<Room>("joinRoom", "Join the room of a conversation one takes part in"),
        described::<Room>("leaveRoom", "Leave a joined room"),
        described::<Typing>(
            "typing",
            "Tell the other participant that one begins or stops to type; `roomId` is taken for `conversationId`",
        ),
        described::<Identification>("identifyUser", "Without effect: the session says who one is"),
        described::<NewMessageHint>(
            "newMessage",
            "Hint that one wrote a message over HTTP; the stored message is sent",
        ),
    ]
}

fn server_events() -> Vec<Described> {
    vec![
        described::<Room>(events::JOINED_ROOM, "The room was joined"),
        described::<Room>(events::LEFT_ROOM, "The room was left"),
        described::<RoomNotice>(events::USER_JOINED_ROOM, "The other participant joined the room"),
        described::<RoomNotice>(events::USER_LEFT_ROOM, "The other participant left the room"),
        described::<UserTyping>(events::USER_TYPING, "The other participant begins or stops to type"),
        described::<Exception<'static>>(events::EXCEPTION, "An event failed"),
        described::<Message>("newMessage", "A message was sent; also to its sender, and again after a reconnect"),
        described::<Message>("updateMessage", "A message was edited"),
        described::<Message>("deleteMessage", "A message was deleted; what it was"),
        described::<Conversation>("newConversation", "A conversation was begun"),
        described::<ConversationReady>("conversationReady", "A conversation can be written in"),
    ]
}

/// The whole document.
pub fn document() -> Value {
    let (client, server) = (client_events(), server_events());
    let mut messages = Map::new();
    for (side, described) in [("client", &client), ("server", &server)] {
        for event in described {
            let payload = json!({ "$ref": format!("#/components/schemas/{}", event.payload) });
            let message = json!({ "name": event.name, "summary": event.summary, "payload": payload });
            messages.insert(message_key(side, event.name), message);
        }
    }
    messages.insert(
        "acknowledgement".to_owned(),
        json!({
            "name": "acknowledgement",
            "summary": "Given to the callback of a client's event",
            "payload": { "$ref": "#/components/schemas/Acknowledgement" },
        }),
    );
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "FreeHunt live chat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
        },
        "channels": { "root": { "address": "/", "messages": channel_messages(&messages) } },
        "operations": {
            "receive": operation("receive", "client", &client, true),
            "send": operation("send", "server", &server, false),
        },
        "components": { "messages": messages, "schemas": schemas() },
    })
}

const DESCRIPTION: &str = "Socket.IO 4, path /socket.io/, namespace /. A browser shows its cookies and an allowed \
     origin at every handshake; another client shows a session token as `auth.token`, or as a bearer token. Messages \
     are written over HTTP. A participant's sockets receive them whether they joined the room or not, and those of the \
     last minutes again after a reconnect: leave out ids you have.";

fn message_key(side: &str, name: &str) -> String {
    format!("{side}.{name}")
}

fn channel_messages(messages: &Map<String, Value>) -> Map<String, Value> {
    let reference = |key: &String| (key.clone(), json!({ "$ref": format!("#/components/messages/{key}") }));
    messages.keys().map(reference).collect()
}

fn operation(action: &str, side: &str, described: &[Described], acknowledged: bool) -> Value {
    let reference = |key: String| json!({ "$ref": format!("#/channels/root/messages/{key}") });
    let messages: Vec<Value> = described.iter().map(|event| reference(message_key(side, event.name))).collect();
    let channel = json!({ "$ref": "#/channels/root" });
    let mut operation = json!({ "action": action, "channel": channel, "messages": messages });
    if acknowledged {
        let answers = [reference("acknowledgement".to_owned())];
        operation["reply"] = json!({ "channel": channel, "messages": answers });
    }
    operation
}

fn schemas() -> Map<String, Value> {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
        T::schemas(schemas);
    }
    add::<Room>(&mut schemas);
    add::<RoomNotice>(&mut schemas);
    add::<Typing>(&mut schemas);
    add::<UserTyping>(&mut schemas);
    add::<Identification>(&mut schemas);
    add::<NewMessageHint>(&mut schemas);
    add::<Exception<'static>>(&mut schemas);
    add::<Acknowledgement<'static>>(&mut schemas);
    add::<Message>(&mut schemas);
    add::<Conversation>(&mut schemas);
    add::<ConversationReady>(&mut schemas);
    schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect()
}

/// `/asyncapi.json`.
pub async fn serve() -> impl IntoResponse {
    Json(document())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::events::{ClientEvent, SERVER_EVENTS};

    #[test]
    fn every_event_is_described() {
        let names = |described: Vec<Described>| described.iter().map(|event| event.name).collect::<BTreeSet<_>>();
        assert_eq!(names(client_events()), BTreeSet::from(ClientEvent::NAMES));
        assert_eq!(names(server_events()), BTreeSet::from(SERVER_EVENTS));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn payloads_have_the_fields_of_the_types() {
        let document = document();
        for (schema, field) in [
            ("Room", "roomId"),
            ("Typing", "conversationId"),
            ("UserTyping", "isTyping"),
            ("Exception", "cause"),
            ("Message", "senderId"),
            ("Acknowledgement", "ok"),
        ] {
            let fields = &document["components"]["schemas"][schema]["properties"];
            assert!(fields.get(field).is_some(), "{schema}.{field}: {fields}");
        }
    }
}
