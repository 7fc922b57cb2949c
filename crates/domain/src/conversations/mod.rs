//! Conversations between two users: one for each project, and one for each pair of users that belongs to no project.

mod begin;
mod load;
mod model;
pub mod queries;

pub(crate) use begin::publish;
pub use begin::{BeginConversationError, NewConversation, create, find_or_create};
pub use load::{find_details, find_readable, find_ready, list_details_of_user};
pub use model::{Conversation, ConversationDetails, ConversationReady, Participant};
