//! An Engine.IO server: sessions that are reached by HTTP polling or a WebSocket, and go over from the one to the other.
//!
//! It has the interface that socketioxide 0.18 asks of `engineioxide`, and stands in its place (`[patch.crates-io]` of the
//! workspace), for two reasons. A session is light: one queue that is as long as what waits in it, one task that reads and
//! writes a WebSocket, and one that sleeps until the next ping; an idle session of the published crate reserves room for
//! 32 packets and has three larger tasks. And an upgrade takes no place in that queue, so that it also succeeds while the
//! queue is full, and a session whose upgrade fails goes on polling.
//!
//! The protocol is Engine.IO 4 (<https://socket.io/docs/v4/engine-io-protocol>) alone, whose packets and payloads are read
//! and written by `engineioxide-core`.

pub mod config;
mod connection;
mod engine;
pub mod handler;
mod heartbeat;
mod outbox;
mod outgoing;
mod permit;
mod polling;
pub mod request;
pub mod service;
pub mod socket;
mod websocket;

pub use engineioxide_core::{ProtocolVersion, Str, TransportType};
pub use socket::{DisconnectReason, Socket};
