//! One open WebSocket and its session: what comes goes to the handler, what waits goes to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use engineioxide_core::{Packet, Str};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use crate::{
    DisconnectReason, Socket,
    engine::{Closes, Engine},
    handler::EngineIoHandler,
    outgoing::Outgoing,
};

/// Reads and writes until one side has enough, and then to the proper end. One future for both directions, which wait
/// together.
pub(crate) struct Connection<H: EngineIoHandler, C> {
    engine: Arc<Engine<H>>,
    socket: Arc<Socket<H::Data>>,
    websocket: WebSocketStream<C>,
    /// Something was written that may not be on its way yet.
    must_flush: bool,
    /// Among it the answer to a ping of WebSocket's own.
    owes_pong: bool,
    /// The session has ended, and everything was written, this side's Close frame too.
    has_said_goodbye: bool,
}

impl<H: EngineIoHandler, C> Connection<H, C> {
    pub fn new(engine: Arc<Engine<H>>, socket: Arc<Socket<H::Data>>, websocket: WebSocketStream<C>) -> Self {
        Self { engine, socket, websocket, must_flush: true, owes_pong: false, has_said_goodbye: false }
    }
}

impl<H: EngineIoHandler, C> Drop for Connection<H, C> {
    /// However it ended, also by a panic of the handler.
    fn drop(&mut self) {
        self.engine.close(self.socket.id, DisconnectReason::TransportError);
        self.socket.outbox.disconnected();
    }
}

impl<H, C> Future for Connection<H, C>
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.socket.outbox.wake_at_end(context);
        while !this.has_said_goodbye {
            match this.poll_write(context) {
                Poll::Ready(Ok(())) => {
                    this.has_said_goodbye = true;
                    break;
                }
                // Nothing can be read either, or it comes from nobody who would hear the answer.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending if this.socket.outbox.is_abandoned() => return Poll::Ready(()),
                // Its last packets first.
                Poll::Pending if this.socket.outbox.is_closed() => return Poll::Pending,
                // Those answers are read before more is asked, or they would pile up.
                Poll::Pending if this.owes_pong => return Poll::Pending,
                Poll::Pending => {}
            }
            let reason = match ready!(Pin::new(&mut this.websocket).poll_next(context)) {
                Some(Ok(message)) => this.receive(message),
                Some(Err(Error::Io(_))) => return Poll::Ready(()),
                None => Err(DisconnectReason::TransportClose),
                Some(Err(_)) => Err(DisconnectReason::TransportError),
            };
            if let Err(reason) = reason {
                this.engine.close(this.socket.id, reason);
                // Another thread may have closed it, and be about to do this.
                this.socket.shut();
            }
        }
        // A connection that is closed while something of the client is unread takes what was written last with it.
        while !this.socket.outbox.is_abandoned() {
            if !matches!(ready!(Pin::new(&mut this.websocket).poll_next(context)), Some(Ok(_))) {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<H, C> Connection<H, C>
where
    H: EngineIoHandler,
    C: AsyncRead + AsyncWrite + Unpin,
{
    /// Writes what waits; ready when the session is closed and everything was written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            // First, so that no more is taken than what was taken together.
            if self.must_flush {
                ready!(Pin::new(&mut self.websocket).poll_flush(context))?;
                self.must_flush = false;
                self.owes_pong = false;
            }
            loop {
                ready!(Pin::new(&mut self.websocket).poll_ready(context))?;
                match self.socket.outbox.poll_packet(context) {
                    Poll::Ready(Some(packet)) => Pin::new(&mut self.websocket).start_send(message_of(packet))?,
                    Poll::Ready(None) if !self.must_flush => return Pin::new(&mut self.websocket).poll_close(context),
                    Poll::Pending if !self.must_flush => return Poll::Pending,
                    Poll::Ready(None) | Poll::Pending => break,
                }
                self.must_flush = true;
            }
        }
    }

    fn receive(&mut self, message: Message) -> Result<(), DisconnectReason> {
        match message {
            Message::Text(text) => match Packet::parse(self.socket.protocol, copied(&text)) {
                Ok(Packet::Message(message)) => self.engine.handler.on_message(message, Arc::clone(&self.socket)),
                Ok(Packet::Ping | Packet::Pong) => self.socket.pong(),
                Ok(Packet::Close) => return Err(DisconnectReason::TransportClose),
                Ok(_) | Err(_) => return Err(DisconnectReason::PacketParsingError),
            },
            Message::Binary(data) => {
                self.engine.handler.on_binary(Bytes::copy_from_slice(&data), Arc::clone(&self.socket));
            }
            Message::Close(_) => return Err(DisconnectReason::TransportClose),
            // tungstenite answers it by itself.
            Message::Ping(_) => (self.must_flush, self.owes_pong) = (true, true),
            _ => {}
        }
        Ok(())
    }
}

fn message_of(packet: Outgoing) -> Message {
    match packet {
        Outgoing::Binary(data) => Message::Binary(data),
        other => Message::text(String::from(Packet::from(other))),
    }
}

/// A message keeps the whole buffer that it was read into; a copy does not.
pub(crate) fn copied(text: &str) -> Str {
    Str::copy_from_slice(text)
}
