//! Avatars: kept in S3, and made harmless before they get there.
//!
//! [`Storage`] speaks to the bucket, [`image`] turns bytes from a stranger into a small clean picture. Nothing here
//! knows HTTP routes, users' rights or the database.

mod background;
mod bootstrap;
mod client;
mod error;
pub mod image;
mod key;

pub use secrecy::SecretString;

pub use crate::{
    background::Background,
    bootstrap::{Bootstrap, Step},
    client::{Page, Storage, StorageSettings, StoredObject},
    error::{BuildError, Failure, StorageError},
    image::{ImageError, MAX_UPLOAD_BYTES, SafeImage, Sanitiser},
    key::{InvalidKey, ObjectKey},
};
