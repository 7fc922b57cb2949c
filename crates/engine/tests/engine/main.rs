//! The engine as its clients meet it: requests to the service, and WebSockets in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod heartbeat;
mod polling;
mod queue;
mod races;
mod server;
mod websocket;
