//! Joining and leaving a conversation's room. Messages reach a participant's sockets whether they joined or not; a room
//! tells the other participant who is looking.

use std::sync::Arc;

use freehunt_domain::{conversations, ids::ConversationId, ids::UserId, policy};

use super::{Outcome, Refusal};
use crate::{
    client::Client,
    events::{self, Room},
    signals::{Signal, SignalKind},
    state::MessagingState,
};

/// A refused room looks the same whether it exists or not.
const NO_CONVERSATION: &str = "Conversation not found";

pub async fn join(state: &MessagingState, client: &Arc<Client>, room: Room) -> Outcome {
    let partner = partner_in(state, client, room.room_id).await?;
    if !client.join(room.room_id, partner) {
        return Err(Refusal::Exception("Too many rooms"));
    }
    client.send_value(events::JOINED_ROOM, &room);
    notify(state, client, partner, SignalKind::Joined, room.room_id);
    Ok(())
}

pub fn leave(state: &MessagingState, client: &Arc<Client>, room: Room) -> Outcome {
    let partner = client.leave(room.room_id).ok_or(Refusal::Exception("Not in this room"))?;
    client.send_value(events::LEFT_ROOM, &room);
    notify(state, client, partner, SignalKind::Left, room.room_id);
    Ok(())
}

/// The other participant, for somebody who takes part. Participants never change, so a joined room is not asked again.
pub async fn partner_in(
    state: &MessagingState,
    client: &Client,
    conversation: ConversationId,
) -> Result<UserId, Refusal> {
    if let Some(partner) = client.partner_in(conversation) {
        return Ok(partner);
    }
    let mut connection = state.pool.acquire().await?;
    let facts = conversations::queries::find_conversation_facts(&mut connection, conversation).await?;
    facts
        .filter(|facts| policy::take_part(client.actor(), facts).is_allowed())
        .and_then(|facts| facts.partner_of(client.user_id))
        .ok_or(Refusal::Exception(NO_CONVERSATION))
}

fn notify(state: &MessagingState, client: &Client, partner: UserId, kind: SignalKind, conversation: ConversationId) {
    if partner != client.user_id && client.may_notify() {
        // A signal that does not fit is one that need not arrive.
        let _queued = state.signals.try_send(Signal { kind, conversation, from: client.user_id, to: partner });
    }
}
