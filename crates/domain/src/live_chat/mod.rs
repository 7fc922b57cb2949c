//! What the messaging servers ask the database: events to deliver with what they tell of, sessions that sockets
//! depend on, and signals between replicas that write no row. Nothing here knows a socket.

mod load;
pub mod queries;

use chrono::TimeDelta;

pub use load::{Delivery, DeliveryBody, list_deliveries};

/// Events of transactions that took longer are not looked for: what they tell of is not even sent again any more.
pub const LONGEST_TRANSACTION: TimeDelta = TimeDelta::minutes(10);

/// The channel for what need not last (typing, joining a room): read by the replicas that listen now, or by nobody.
pub const SIGNAL_CHANNEL: &str = "freehunt_signals";
