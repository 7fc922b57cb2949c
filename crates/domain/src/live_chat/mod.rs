//! What the messaging servers ask the database: events to deliver with what they tell of, sessions that sockets
//! depend on, and signals between replicas that write no row. Nothing here knows a socket.

mod load;
pub mod queries;

pub use load::{Delivery, DeliveryBody, list_deliveries};

/// The channel for what need not last (typing, joining a room): read by the replicas that listen now, or by nobody.
pub const SIGNAL_CHANNEL: &str = "freehunt_signals";
