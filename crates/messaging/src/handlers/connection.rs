//! Connecting: whose socket it is, what it listens to, and what it missed.

use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use freehunt_domain::{chat_events::ChatEventKind, live_chat, messages::MessagesOfUser, sessions};
use serde::Deserialize;
use serde_json::Value;
use socketioxide::extract::{AckSender, Event, SocketRef, State, TryData};

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
    /// The transport had its socket, or too many attempts at one.
    Over,
    /// Never seen: the transport was cut before.
    Unavailable,
}

impl fmt::Display for ConnectRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSession => "Unauthorized",
            Self::Over => "This connection is used up, begin another",
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
    if !handshake.may_connect() {
        return Err(ConnectRefusal::Over);
    }
    let token = auth.ok().and_then(|auth| auth.token);
    let recognised = owner_of(&state, &handshake, token.as_deref()).await?;
    let client = Client::new(socket.clone(), recognised, Arc::clone(&handshake), &state.config.chat);
    if state.registry.add(client).is_err() {
        // The others may be of tabs that are gone already.
        return Err(cut(&handshake).await);
    }
    handshake.has_connected();
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
            Err(cut(handshake).await)
        }
    }
}

/// For what may be otherwise soon: a refusal would be final for the client; a lost connection is not.
async fn cut(handshake: &Handshake) -> ConnectRefusal {
    handshake.end();
    tokio::time::sleep(CUT_TIME).await;
    ConnectRefusal::Unavailable
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
    while !client.is_over() && client.is_connected() {
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

/// Every event of every name comes here: one handler takes less memory a socket than one for each name. All is done when
/// it returns; what waited as a future would run in any order, and keep all that the client sent.
fn on_event(
    socket: SocketRef,
    Event(name): Event,
    TryData(payload): TryData<Value>,
    State(state): State<MessagingState>,
    acknowledge: AckSender,
) -> Ready<()> {
    if let Some(client) = state.registry.find(socket.id) {
        super::receive(&state, &client, &name, payload.ok(), acknowledge);
    }
    ready(())
}

/// The transport may still be there: only the namespace ended, or the client takes its time with what it is sent last.
async fn on_disconnect(socket: SocketRef, State(state): State<MessagingState>) {
    if let Some(client) = state.registry.remove(socket.id) {
        client.end_transport_soon();
    }
}
