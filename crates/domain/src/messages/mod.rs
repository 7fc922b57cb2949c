//! Messages of a conversation. Sender and receiver always come from the session and the conversation, never from a
//! client. Each change writes its chat event in its own transaction.

mod change;
mod model;
pub mod queries;
mod send;
mod walk;

pub use change::{ChangeMessageError, MessageChange, delete, edit};
pub use model::{ContentError, MAXIMUM_CONTENT_CHARACTERS, Message, MessageContent};
pub use send::{IdempotencyKey, NewMessage, SendMessageError, send};
pub use walk::MessagesOfUser;
