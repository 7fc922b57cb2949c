//! Typing: told to the other participant at most twice a second, and written nowhere.

use std::sync::Arc;

use super::{Outcome, Refusal, rooms};
use crate::{
    client::Client,
    events::Typing,
    signals::{Signal, SignalKind},
    state::MessagingState,
};

pub async fn typing(state: &MessagingState, client: &Arc<Client>, typing: Typing) -> Outcome {
    let Typing { conversation_id: conversation, is_typing } = typing;
    let partner = rooms::partner_in(state, client, conversation).await?;
    if !client.may_type() {
        return Err(Refusal::Quiet("Too many events"));
    }
    let kind = if is_typing { SignalKind::Typing } else { SignalKind::Stopped };
    if partner != client.user_id {
        let _queued = state.signals.try_send(Signal { kind, conversation, from: client.user_id, to: partner });
    }
    Ok(())
}
