//! What happens when a client connects or sends something.

pub mod connection;
mod messages;
mod rooms;
mod typing;

use std::sync::Arc;

use serde_json::Value;
use socketioxide::extract::AckSender;

use crate::{
    client::Client,
    events::{self, Acknowledgement, ClientEvent, Exception},
    limits::Verdict,
    state::MessagingState,
};

/// An event that waits to be handled: what was read from it, since the JSON itself may take a hundred times its length.
pub struct Incoming {
    /// Shortened.
    name: String,
    event: Result<ClientEvent, &'static str>,
    acknowledge: AckSender,
}

/// A sentence for whoever sent the event.
type Outcome = Result<(), Refusal>;

#[derive(Debug)]
enum Refusal {
    /// The acknowledgement says so, and an `exception` too.
    Exception(&'static str),
    /// Only the acknowledgement says so.
    Quiet(&'static str),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Puts the event in the client's line, unless it sends too many. Events of one client are handled one after another,
/// so that a room is joined before it is left.
pub fn receive(
    state: &MessagingState,
    client: &Arc<Client>,
    name: &str,
    payload: Option<Value>,
    acknowledge: AckSender,
) {
    match client.judge_event() {
        Verdict::Handle => {}
        Verdict::Drop => {
            metrics::counter!("freehunt_socket_events_total", "outcome" => "dropped").increment(1);
            return;
        }
        Verdict::Disconnect => {
            metrics::counter!("freehunt_socket_events_total", "outcome" => "disconnected").increment(1);
            client.expel("it sends too many events");
            return;
        }
    }
    let event = ClientEvent::parse(name, payload);
    let name = name.chars().take(ClientEvent::LONGEST_NAME).collect();
    if client.receive(Incoming { name, event, acknowledge }) {
        tokio::spawn(handle_line(state.clone(), Arc::clone(client)));
    }
}

/// Handles what waits and what comes meanwhile.
pub async fn handle_line(state: MessagingState, client: Arc<Client>) {
    while let Some(incoming) = client.next_received() {
        let Incoming { name, event, acknowledge } = incoming;
        let outcome = match event {
            Ok(event) => handle(&state, &client, event).await,
            Err(sentence) => Err(Refusal::Exception(sentence)),
        };
        answer(&client, &name, outcome, acknowledge).await;
    }
}

async fn handle(state: &MessagingState, client: &Arc<Client>, event: ClientEvent) -> Outcome {
    match event {
        ClientEvent::JoinRoom(room) => rooms::join(state, client, room).await,
        ClientEvent::LeaveRoom(room) => rooms::leave(state, client, room),
        ClientEvent::Typing(typing) => typing::typing(state, client, typing).await,
        ClientEvent::IdentifyUser(claim) if claim.contradicts(client.user_id) => {
            Err(Refusal::Exception("userId is not the session's"))
        }
        ClientEvent::IdentifyUser(_) => Ok(()),
        ClientEvent::NewMessage(hint) => messages::hint(state, client, hint.message.id).await,
        ClientEvent::Ignored => Err(Refusal::Quiet("Only the server sends this event")),
        ClientEvent::Unknown => Err(Refusal::Exception("Unknown event")),
    }
}

async fn answer(client: &Arc<Client>, name: &str, outcome: Outcome, acknowledge: AckSender) {
    let label = if outcome.is_ok() { "handled" } else { "refused" };
    metrics::counter!("freehunt_socket_events_total", "outcome" => label).increment(1);
    let refusal = match outcome {
        Ok(()) => None,
        Err(Refusal::Quiet(message)) => Some(message),
        Err(Refusal::Exception(message)) => {
            client.send_value(events::EXCEPTION, &Exception::new(name, message));
            Some(message)
        }
        Err(Refusal::Database(error)) => {
            tracing::error!(%error, event = name, "an event failed");
            let message = "Internal server error";
            client.send_value(events::EXCEPTION, &Exception::new(name, message));
            Some(message)
        }
    };
    let acknowledgement = Acknowledgement { ok: refusal.is_none(), message: refusal };
    // An acknowledgement cannot wait in the client's line, so it waits for the line to be empty.
    client.caught_up().await;
    // Nothing to do for a client that is gone or does not read.
    let _sent = acknowledge.send(&acknowledgement);
}
