//! What need not last: typing, joining, leaving. Signals of some milliseconds go out together in one notification, by
//! Redis or else by PostgreSQL, and every replica, this one too, gives them to its own sockets. No row is written.

use std::{sync::Arc, time::Duration};

use freehunt_domain::{
    ids::{ConversationId, UserId},
    live_chat,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    client::{Client, payload_of},
    events::{self, RoomNotice, UserTyping},
    state::MessagingState,
};

/// Signals in one notification; each takes some 160 bytes of 8000.
const MOST_AT_ONCE: usize = 40;
/// How long a signal waits for others. A notification takes a lock of the whole database when it commits.
const GATHERING: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalKind {
    #[serde(rename = "t")]
    Typing,
    #[serde(rename = "s")]
    Stopped,
    #[serde(rename = "j")]
    Joined,
    #[serde(rename = "l")]
    Left,
}

/// Something one user does that another may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    #[serde(rename = "k")]
    pub kind: SignalKind,
    #[serde(rename = "c")]
    pub conversation: ConversationId,
    #[serde(rename = "f")]
    pub from: UserId,
    #[serde(rename = "t")]
    pub to: UserId,
}

/// Sends what the handlers queue until the queue is dropped. What cannot be sent is lost.
pub async fn send_all(state: MessagingState, mut queue: mpsc::Receiver<Signal>) {
    let mut signals = Vec::with_capacity(MOST_AT_ONCE);
    while let Some(first) = queue.recv().await {
        signals.push(first);
        tokio::time::sleep(GATHERING).await;
        while signals.len() < MOST_AT_ONCE
            && let Ok(next) = queue.try_recv()
        {
            signals.push(next);
        }
        if let Err(error) = send(&state, &signals).await {
            tracing::debug!(%error, "signals were lost");
        }
        signals.clear();
    }
}

async fn send(state: &MessagingState, signals: &[Signal]) -> anyhow::Result<()> {
    let payload = serde_json::to_string(signals)?;
    if let Some(redis) = &state.redis
        && redis.publish(live_chat::SIGNAL_CHANNEL, &payload).await.is_ok_and(|subscribers| subscribers > 0)
    {
        return Ok(());
    }
    let mut connection = state.pool.acquire().await?;
    live_chat::queries::notify_signals(&mut connection, &payload).await?;
    Ok(())
}

/// Gives the signals of a notification to the sockets of this replica.
pub fn deliver(state: &MessagingState, payload: &str) {
    match serde_json::from_str::<Vec<Signal>>(payload) {
        Ok(signals) => signals.iter().for_each(|signal| deliver_one(state, signal)),
        Err(error) => tracing::debug!(%error, "not a list of signals"),
    }
}

fn deliver_one(state: &MessagingState, signal: &Signal) {
    let clients = state.registry.of_user(signal.to);
    let Signal { conversation, from, .. } = *signal;
    match signal.kind {
        SignalKind::Typing | SignalKind::Stopped => {
            let is_typing = signal.kind == SignalKind::Typing;
            let typing = UserTyping { user_id: from, is_typing, conversation_id: conversation };
            send_to(&clients, events::USER_TYPING, &typing);
        }
        SignalKind::Joined => send_to(&clients, events::USER_JOINED_ROOM, &RoomNotice::joined(conversation)),
        SignalKind::Left => send_to(&clients, events::USER_LEFT_ROOM, &RoomNotice::left(conversation)),
    }
}

fn send_to<T: Serialize>(clients: &[Arc<Client>], event: &'static str, value: &T) {
    let Ok(payload) = payload_of(value) else { return };
    clients.iter().for_each(|client| client.send(event, &payload));
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_full_batch_fits_into_a_notification() {
        let signal = Signal {
            kind: SignalKind::Typing,
            conversation: ConversationId(Uuid::max()),
            from: UserId(Uuid::max()),
            to: UserId(Uuid::max()),
        };
        let batch = vec![signal; MOST_AT_ONCE];
        let payload = serde_json::to_string(&batch).unwrap();
        assert!(payload.len() < 7900, "{}", payload.len());
        assert_eq!(serde_json::from_str::<Vec<Signal>>(&payload).unwrap(), batch);
    }
}
