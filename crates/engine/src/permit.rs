//! A place for a message, taken before the message is made.

use std::collections::VecDeque;

use bytes::Bytes;
use engineioxide_core::Str;

use crate::{
    outbox::Outbox,
    outgoing::{Outgoing, with_attachments},
};

/// A place in the queue of a session, for one message.
pub struct Permit<'a> {
    pub(crate) outbox: &'a Outbox,
}

impl Permit<'_> {
    pub fn emit(self, message: Str) {
        self.send([Outgoing::Message(message)]);
    }

    pub fn emit_binary(self, data: Bytes) {
        self.send([Outgoing::Binary(data)]);
    }

    /// A message with its attachments, between which nothing else is sent.
    pub fn emit_many(self, message: Str, data: VecDeque<Bytes>) {
        self.send(with_attachments(message, data));
    }

    fn send(self, packets: impl IntoIterator<Item = Outgoing>) {
        self.outbox.fill_place(packets);
        // The place is no longer this one's to give back.
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.outbox.give_back_place();
    }
}
