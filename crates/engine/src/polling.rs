//! The transport of plain requests: packets come by POST, and go with the answer to a GET that waits for them.

use std::{fmt::Debug, pin::pin, sync::Arc};

use bytes::Bytes;
use engineioxide_core::{Packet, PacketParseError, TransportType, payload};
use futures_util::StreamExt;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::Full;

use crate::{
    DisconnectReason, Socket,
    engine::{Closes, Engine},
    handler::EngineIoHandler,
    outbox::{Busy, Polled, noop},
    request::{Refusal, text},
};

type Answer = Result<Response<Full<Bytes>>, Refusal>;

/// The first request of a session. The answer's extensions have its [`Sid`](engineioxide_core::Sid), for layers around it.
pub(crate) fn open<H: EngineIoHandler, B>(engine: &Arc<Engine<H>>, request: Request<B>) -> Answer {
    let socket = engine.open(TransportType::Polling, request.into_parts().0);
    let mut answer = text(engine.opening(&socket));
    answer.extensions_mut().insert(socket.id);
    Ok(answer)
}

/// Waits for packets.
pub(crate) async fn poll<H: EngineIoHandler>(engine: &Arc<Engine<H>>, socket: &Arc<Socket<H::Data>>) -> Answer {
    match socket.outbox.begin_poll() {
        Ok(Polled::Waits(poll)) => Ok(text(poll.payload().await)),
        Ok(Polled::Noop) => Ok(text(noop())),
        Err(Busy::OtherTransport) => Err(Refusal::BadRequest),
        // Nobody could say which of them gets what.
        Err(Busy::Polled) => {
            engine.close(socket.id, DisconnectReason::MultipleHttpPollingError);
            Err(Refusal::BadRequest)
        }
    }
}

/// Takes packets.
pub(crate) async fn receive<H, B>(engine: &Arc<Engine<H>>, socket: &Arc<Socket<H::Data>>, request: Request<B>) -> Answer
where
    H: EngineIoHandler,
    B: Body<Error: Debug, Data: Send> + Send + Unpin,
{
    if socket.transport_type() != TransportType::Polling {
        return Err(Refusal::BadRequest);
    }
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE);
    let mut packets = pin!(payload::decoder(body, content_type, socket.protocol, engine.config.max_payload));
    loop {
        let packet = tokio::select! {
            biased;
            // By another request, or by the handler: it is told of nothing more, and nobody waits for a body that never ends.
            () = socket.outbox.closed() => return Err(Refusal::UnknownSession),
            packet = packets.next() => packet,
        };
        let Some(packet) = packet else { return Ok(text("ok")) };
        match packet {
            Ok(Packet::Message(message)) => engine.handler.on_message(message, Arc::clone(socket)),
            Ok(Packet::Binary(data)) => engine.handler.on_binary(data, Arc::clone(socket)),
            Ok(Packet::Ping | Packet::Pong) => socket.pong(),
            Ok(Packet::Close) => {
                engine.close(socket.id, DisconnectReason::TransportClose);
                return Ok(text("ok"));
            }
            Ok(_) | Err(_) => {
                engine.close(socket.id, DisconnectReason::PacketParsingError);
                let is_too_long = matches!(packet, Err(PacketParseError::PayloadTooLarge { .. }));
                return Err(if is_too_long { Refusal::TooLong } else { Refusal::BadRequest });
            }
        }
    }
}
