//! Packets on their way to a client.

use std::collections::VecDeque;

use bytes::Bytes;
use engineioxide_core::{Packet, Str};

/// A packet for the client. [`Packet`] is twice as large, since it may also be one that opens a session.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message(Str),
    Binary(Bytes),
    Ping,
    Close,
}

impl From<Outgoing> for Packet {
    fn from(outgoing: Outgoing) -> Self {
        match outgoing {
            Outgoing::Message(text) => Self::Message(text),
            Outgoing::Binary(bytes) => Self::Binary(bytes),
            Outgoing::Ping => Self::Ping,
            Outgoing::Close => Self::Close,
        }
    }
}

/// A message and the attachments that come right after it.
pub(crate) fn with_attachments(message: Str, data: VecDeque<Bytes>) -> impl Iterator<Item = Outgoing> {
    std::iter::once(Outgoing::Message(message)).chain(data.into_iter().map(Outgoing::Binary))
}
