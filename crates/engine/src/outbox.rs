//! What waits to be sent to one client, and the transport that it goes to.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use engineioxide_core::{Packet, TransportType};
use tokio::sync::{Notify, mpsc::error::TrySendError};

use crate::{outgoing::Outgoing, permit::Permit};

/// An emptied queue with room for more than this gives it back, so that no session keeps the room of its busiest moment.
const KEPT_ROOM: usize = 8;
/// Between the packets of a payload.
const SEPARATOR: char = '\u{1e}';

/// Where a session is on its way from polls to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Polling,
    /// A WebSocket is there and has shown nothing yet; polls are answered as before.
    Upgrading,
    /// The client has probed the WebSocket, and waits for its poll to end: it gets nothing more by polls.
    Probed,
    WebSocket,
}

/// How many packets wait to be sent to a client. The extensions of its session's first request have it, so that whoever
/// sends can leave places to others.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    pub fn packets(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct State {
    queue: VecDeque<Outgoing>,
    waiting: Waiting,
    /// Places in the queue that [`Permit`]s have.
    reserved: usize,
    /// Sent when nothing else waits; the next one takes its place.
    volatile: Vec<Outgoing>,
    transport: Transport,
    /// A poll waits for packets.
    is_polled: bool,
    /// A WebSocket is open.
    is_connected: bool,
    is_closed: bool,
    /// Closed for so long that what waits is given up.
    is_abandoned: bool,
    /// Of the poll or the connection that waits for packets.
    waker: Option<Waker>,
}

pub(crate) struct Outbox {
    capacity: usize,
    state: Mutex<State>,
    /// The session was closed, or a transport let go of it.
    changed: Notify,
}

/// How a poll is served.
pub(crate) enum Polled<'a> {
    Waits(WaitingPoll<'a>),
    /// At once, with nothing.
    Noop,
}

/// Why a request does not get hold of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// It has, or is about to have, another transport.
    OtherTransport,
    /// Another poll waits.
    Polled,
}

impl Outbox {
    pub fn new(capacity: usize, transport: TransportType) -> Self {
        let is_websocket = transport == TransportType::Websocket;
        Self {
            capacity,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                waiting: Waiting::default(),
                reserved: 0,
                volatile: Vec::new(),
                transport: if is_websocket { Transport::WebSocket } else { Transport::Polling },
                is_polled: false,
                is_connected: is_websocket,
                is_closed: false,
                is_abandoned: false,
                waker: None,
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and then wakes what waits for packets.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    pub fn waiting(&self) -> Waiting {
        self.state().waiting.clone()
    }

    /// A place for one message with what belongs to it.
    pub fn reserve(&self) -> Result<Permit<'_>, TrySendError<()>> {
        let mut state = self.state();
        if state.is_closed {
            return Err(TrySendError::Closed(()));
        }
        if state.queue.len() + state.reserved >= self.capacity {
            return Err(TrySendError::Full(()));
        }
        state.reserved += 1;
        Ok(Permit { outbox: self })
    }

    /// Puts one message into a place that was reserved.
    pub fn fill_place(&self, packets: impl IntoIterator<Item = Outgoing>) {
        self.change(|state| {
            state.reserved -= 1;
            state.push(packets);
        });
    }

    pub fn give_back_place(&self) {
        self.state().reserved -= 1;
    }

    /// There is always room for it.
    pub fn push_close(&self) {
        self.change(|state| state.push([Outgoing::Close]));
    }

    /// There is always room for one; `false` when the last one is still there.
    pub fn push_ping(&self) -> bool {
        self.change(|state| {
            let is_first = !state.queue.iter().any(|packet| matches!(packet, Outgoing::Ping));
            if is_first {
                state.push([Outgoing::Ping]);
            }
            is_first
        })
    }

    /// `false` for a closed session.
    pub fn set_volatile(&self, packets: Vec<Outgoing>) -> bool {
        self.change(|state| {
            if !state.is_closed {
                state.volatile = packets;
            }
            !state.is_closed
        })
    }

    /// The next packet; `None` when the session is closed and everything was taken.
    pub fn poll_packet(&self, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        let mut state = self.state();
        match state.next() {
            None if !state.is_closed => {
                state.wait(context);
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn poll_payload(&self, context: &mut Context<'_>) -> Poll<String> {
        let mut state = self.state();
        if matches!(state.transport, Transport::Probed | Transport::WebSocket) {
            // The rest is for the WebSocket, which may wait for it already.
            return Poll::Ready(noop());
        }
        let Some(first) = state.next() else {
            if state.is_closed {
                return Poll::Ready(noop());
            }
            state.wait(context);
            return Poll::Pending;
        };
        let mut payload = String::from(Packet::from(first));
        while let Some(packet) = state.next() {
            payload.push(SEPARATOR);
            payload.push_str(&String::from(Packet::from(packet)));
        }
        Poll::Ready(payload)
    }

    pub fn begin_poll(&self) -> Result<Polled<'_>, Busy> {
        let mut state = self.state();
        match state.transport {
            Transport::WebSocket => Err(Busy::OtherTransport),
            Transport::Probed => Ok(Polled::Noop),
            _ if state.is_polled => Err(Busy::Polled),
            _ => {
                state.is_polled = true;
                Ok(Polled::Waits(WaitingPoll { outbox: self }))
            }
        }
    }

    /// Takes a WebSocket for a session that polls. One at a time is taken.
    pub fn begin_upgrade(&self) -> Result<(), Busy> {
        let mut state = self.state();
        if state.transport != Transport::Polling || state.is_closed {
            return Err(Busy::OtherTransport);
        }
        state.transport = Transport::Upgrading;
        Ok(())
    }

    /// Ends the poll that waits, so that the client can leave polling.
    pub fn mark_probed(&self) {
        self.change(|state| state.transport = Transport::Probed);
    }

    /// From now on the WebSocket is the transport; `false` for a closed session.
    pub fn finish_upgrade(&self) -> bool {
        let mut state = self.state();
        if state.is_closed {
            return false;
        }
        state.transport = Transport::WebSocket;
        state.is_connected = true;
        true
    }

    /// The session polls on.
    pub fn give_up_upgrade(&self) {
        let mut state = self.state();
        if state.transport != Transport::WebSocket {
            state.transport = Transport::Polling;
        }
    }

    /// The WebSocket is gone.
    pub fn disconnected(&self) {
        self.state().is_connected = false;
        self.changed.notify_waiters();
    }

    pub fn transport(&self) -> TransportType {
        match self.state().transport {
            Transport::WebSocket => TransportType::Websocket,
            _ => TransportType::Polling,
        }
    }

    /// Takes nothing more; what waits is still sent.
    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
        self.changed.notify_waiters();
    }

    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Wakes the connection when the session is closed or abandoned, whatever else it waits for.
    pub fn wake_at_end(&self, context: &Context<'_>) {
        self.state().wait(context);
    }

    /// Lets the connection of a closed session end, whatever it still waits for.
    pub fn abandon(&self) {
        self.change(|state| state.is_abandoned = true);
    }

    pub fn is_abandoned(&self) -> bool {
        self.state().is_abandoned
    }

    pub async fn closed(&self) {
        self.until(|state| state.is_closed).await;
    }

    /// Closed, and no transport has anything of it any more.
    pub async fn released(&self) {
        self.until(|state| state.is_closed && !state.is_polled && !state.is_connected).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking: what happens after it is not missed.
            changed.as_mut().enable();
            if is_so(&self.state()) {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    fn push(&mut self, packets: impl IntoIterator<Item = Outgoing>) {
        if !self.is_closed {
            self.queue.extend(packets);
            self.count();
        }
    }

    fn next(&mut self) -> Option<Outgoing> {
        if self.queue.is_empty() && !self.volatile.is_empty() {
            self.queue.extend(std::mem::take(&mut self.volatile));
        }
        let next = self.queue.pop_front();
        if self.queue.is_empty() && self.queue.capacity() > KEPT_ROOM {
            self.queue = VecDeque::new();
        }
        self.count();
        next
    }

    fn count(&self) {
        self.waiting.0.store(self.queue.len(), Ordering::Relaxed);
    }

    fn wait(&mut self, context: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
        }
    }
}

/// What a poll is told that has nothing to wait for.
pub(crate) fn noop() -> String {
    String::from(Packet::Noop)
}

/// The one poll that waits for packets of a session, until it is dropped.
pub(crate) struct WaitingPoll<'a> {
    outbox: &'a Outbox,
}

impl WaitingPoll<'_> {
    /// Everything that waits, as soon as there is something.
    pub async fn payload(&self) -> String {
        std::future::poll_fn(|context| self.outbox.poll_payload(context)).await
    }
}

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        self.outbox.state().is_polled = false;
        self.outbox.changed.notify_waiters();
    }
}
