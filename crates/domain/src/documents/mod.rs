//! Documents: in practice the avatars of users, kept as objects that this server issued. Invoices and quotes are rows
//! of the original that are only read.
//!
//! Objects are named by key and address here; nothing knows how they are stored.

mod attach;
mod delete;
mod model;
pub mod orphans;
pub mod queries;
mod upload;

pub use attach::{AttachError, Attached, attach_issued_object, replace_avatar};
pub use delete::delete;
pub use model::{Document, DocumentType, NewObject, clean_name};
pub use upload::record_upload;
