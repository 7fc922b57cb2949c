//! Connecting: whose socket it is, what it listens to, and what it missed.

use std::{fmt, sync::Arc, time::Duration};

use chrono::TimeDelta;
use freehunt_domain::{chat_events::ChatEventKind, live_chat, messages::MessagesOfUser, sessions};
use serde::Deserialize;
use serde_json::Value;
use socketioxide::{
    extract::{AckSender, Event, SocketRef, State, TryData},
    socket::DisconnectReason,
};

use crate::{
    auth::{Handshake, Recognised, recognise_token},
    client::{BUFFERED_PACKETS, Client},
    confirmation::{self, ConfirmationError},
    events,
    state::MessagingState,
};

/// How long a connection that was cut gets to notice, before it is refused.
const CUT_TIME: Duration = Duration::from_secs(5);
/// Missed messages that are read together.
const REPLAY_PAGE: usize = BUFFERED_PACKETS / 2;
/// A message's time is rounded, and so may be later than the clock.
const ROUNDING: TimeDelta = TimeDelta::milliseconds(1);

/// The `auth` object of a CONNECT packet.
#[derive(Deserialize)]
pub struct ConnectAuth {
    token: Option<String>,
}

/// The sentence of a refused CONNECT. A client does not try again after one.
#[derive(Debug)]
pub enum ConnectRefusal {
    NoSession,
    TooManySockets,
    /// Never seen: the transport was cut before.
    Unavailable,
}

impl fmt::Display for ConnectRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSession => "Unauthorized",
            Self::TooManySockets => "Too many connections",
            Self::Unavailable => "Service temporarily unavailable",
        })
    }
}

/// Before the socket is connected: finds its user and prepares it for events, so that none comes too early.
pub async fn admit(
    socket: SocketRef,
    TryData(auth): TryData<ConnectAuth>,
    State(state): State<MessagingState>,
) -> Result<(), ConnectRefusal> {
    let handshake = socket.req_parts().extensions.get::<Arc<Handshake>>().cloned();
    let handshake = handshake.ok_or(ConnectRefusal::NoSession)?;
    let token = auth.ok().and_then(|auth| auth.token);
    let recognised = owner_of(&state, &handshake, token.as_deref()).await?;
    let client = Client::new(socket.clone(), recognised, handshake, &state.config.chat);
    state.registry.add(client).map_err(|_| ConnectRefusal::TooManySockets)?;
    socket.on_fallback(on_event);
    socket.on_disconnect(on_disconnect);
    Ok(())
}

async fn owner_of(
    state: &MessagingState,
    handshake: &Handshake,
    token: Option<&str>,
) -> Result<Recognised, ConnectRefusal> {
    if let Some(owner) = handshake.owner() {
        return Ok(owner);
    }
    match recognise_good_token(state, token.unwrap_or_default()).await {
        Ok(Some(recognised)) => Ok(handshake.name(recognised)),
        Ok(None) => Err(ConnectRefusal::NoSession),
        Err(error) => {
            tracing::warn!(%error, "a session could not be looked up or confirmed");
            // A refusal would be final for the client; a lost connection is not.
            handshake.end();
            tokio::time::sleep(CUT_TIME).await;
            Err(ConnectRefusal::Unavailable)
        }
    }
}

async fn recognise_good_token(state: &MessagingState, token: &str) -> Result<Option<Recognised>, ConfirmationError> {
    let Some(recognised) = recognise_token(&state.pool, token).await? else { return Ok(None) };
    Ok(confirmation::is_good(state, &recognised).await?.then_some(recognised))
}

/// Once the socket is connected: its session may have ended since the handshake, and it may have missed messages. What
/// it sends meanwhile is handled after that.
pub async fn welcome(socket: SocketRef, State(state): State<MessagingState>) {
    let Some(client) = state.registry.find(socket.id) else { return };
    if let Err(error) = replay(&state, &client).await {
        tracing::warn!(%error, "a socket could not be given what it missed");
        client.cut("what it missed could not be read");
    }
    super::handle_line(state, client).await;
}

async fn replay(state: &MessagingState, client: &Arc<Client>) -> Result<(), sqlx::Error> {
    let mut connection = state.pool.acquire().await?;
    if !sessions::queries::is_live(&mut connection, client.session_id).await? {
        client.expel("its session has ended");
        return Ok(());
    }
    let window = state.config.chat.replay_window;
    if window.is_zero() {
        return Ok(());
    }
    let now = live_chat::queries::read_clock(&mut connection).await?;
    let since = now - TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
    let mut missed = MessagesOfUser::between(client.user_id, since, now + ROUNDING);
    let event = events::name_of(ChatEventKind::NewMessage);
    // However many and however long they are: no more of them are in memory than the socket's own buffer takes.
    while client.is_connected() {
        let page = missed.next_page(&mut connection, REPLAY_PAGE).await?;
        drop(connection);
        metrics::counter!("freehunt_replayed_messages_total").increment(page.len() as u64);
        let is_last = page.len() < REPLAY_PAGE;
        for message in page {
            client.send_value(event, &message);
        }
        client.caught_up().await;
        if is_last {
            break;
        }
        connection = state.pool.acquire().await?;
    }
    Ok(())
}

/// Every event of every name comes here: one handler takes less memory a socket than one for each name.
async fn on_event(
    socket: SocketRef,
    Event(name): Event,
    TryData(payload): TryData<Value>,
    State(state): State<MessagingState>,
    acknowledge: AckSender,
) {
    if let Some(client) = state.registry.find(socket.id) {
        super::receive(&state, &client, name, payload.ok(), acknowledge);
    }
}

async fn on_disconnect(socket: SocketRef, reason: DisconnectReason, State(state): State<MessagingState>) {
    let Some(client) = state.registry.remove(socket.id) else { return };
    // The namespace ended, not the transport.
    if matches!(reason, DisconnectReason::ClientNSDisconnect | DisconnectReason::ServerNSDisconnect) {
        client.end_transport_soon();
    }
}
