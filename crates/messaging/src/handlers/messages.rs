//! `newMessage` from a client: a hint that it wrote a message over HTTP. What others receive is the row, and it comes
//! to them by its event; the hint changes nothing, except for a row of a program that writes no events.

use std::sync::Arc;

use freehunt_domain::{
    chat_events::{self, ChatEventKind},
    conversations,
    ids::MessageId,
    live_chat, messages,
    policy::{self, ConversationFacts, MessageAction},
};

use super::{Outcome, Refusal};
use crate::{client::Client, state::MessagingState};

const NO_MESSAGE: &str = "Message not found";

pub async fn hint(state: &MessagingState, client: &Arc<Client>, id: MessageId) -> Outcome {
    if let Some(sender) = state.recent_messages.sender_of(id) {
        return if sender == client.user_id { Ok(()) } else { Err(Refusal::Exception(NO_MESSAGE)) };
    }
    let mut transaction = state.pool.begin().await?;
    let message = messages::queries::lock_message(&mut transaction, id).await?;
    let message = message.ok_or(Refusal::Exception(NO_MESSAGE))?;
    let conversation = message.conversation_id;
    let facts = conversations::queries::find_conversation_facts(&mut transaction, conversation).await?;
    let may_tell = |facts: &ConversationFacts| {
        policy::message(client.actor(), MessageAction::Change, message.sender_id, facts).is_allowed()
    };
    let facts = facts.filter(may_tell).ok_or(Refusal::Exception(NO_MESSAGE))?;
    let mut written = None;
    if live_chat::queries::lacks_event(&mut transaction, id, state.config.chat.replay_window).await? {
        // The conversation's: the original stores the receiver that the frontend names, which may be the sender.
        let recipients = [facts.sender, facts.receiver];
        let kind = ChatEventKind::NewMessage;
        let event = chat_events::publish(&mut transaction, kind, conversation, Some(id), &recipients).await?;
        written = Some(event);
    }
    transaction.commit().await?;
    if let Some(event) = written
        && state.redis.is_some()
    {
        // What does not fit is found by the relays themselves.
        let _queued = state.written_events.try_send(event);
    }
    Ok(())
}
