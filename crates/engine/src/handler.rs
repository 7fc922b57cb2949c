//! What is told of sessions and of what their clients send.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Str,
    socket::{DisconnectReason, Socket},
};

/// None of these may block: they run between two packets of a client.
pub trait EngineIoHandler: std::fmt::Debug + Send + Sync + 'static {
    /// Kept with each session.
    type Data: Default + Send + Sync + 'static;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<Self::Data>>);

    /// Once for each session, whichever side ended it.
    fn on_disconnect(&self, socket: Arc<Socket<Self::Data>>, reason: DisconnectReason);

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<Self::Data>>);

    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<Self::Data>>);
}
