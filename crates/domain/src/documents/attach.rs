//! Making an object the avatar of its user. The row and the removal of what it replaces are one transaction, so that
//! whatever fails, either the old picture or the new one is shown and none is lost.

use sqlx::{PgConnection, PgPool};

use super::{Document, DocumentType, NewObject, clean_name, queries};
use crate::{
    ids::UserId,
    jobs::{self, Job},
};

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The address is not that of an object this server issued to this user.
    #[error("this server issued no such object to this user")]
    NotIssued,
    /// The user's one document is an invoice or a quote.
    #[error("the user has another document")]
    OtherDocument,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The avatar's document, and whether there was one before.
#[derive(Clone, Debug)]
pub struct Attached {
    pub document: Document,
    pub replaced: bool,
}

/// Shows an object that was just stored. `key_of_url` finds the key behind an address of the former server.
pub async fn replace_avatar(
    pool: &PgPool,
    user_id: UserId,
    object: &NewObject,
    file_name: &str,
    key_of_url: impl Fn(&str) -> Option<String>,
) -> Result<Attached, AttachError> {
    let mut transaction = pool.begin().await?;
    queries::lock_owner(&mut transaction, user_id).await?;
    queries::insert_uploaded_object(&mut transaction, user_id, object).await?;
    let attached = attach(&mut transaction, user_id, &object.url, file_name, key_of_url).await?;
    transaction.commit().await?;
    Ok(attached)
}

/// Shows an object that was uploaded before. May be repeated. `key_of_url` is as for [`replace_avatar`].
pub async fn attach_issued_object(
    pool: &PgPool,
    user_id: UserId,
    url: &str,
    file_name: &str,
    key_of_url: impl Fn(&str) -> Option<String>,
) -> Result<Attached, AttachError> {
    let mut transaction = pool.begin().await?;
    queries::lock_owner(&mut transaction, user_id).await?;
    let attached = attach(&mut transaction, user_id, url, file_name, key_of_url).await?;
    transaction.commit().await?;
    Ok(attached)
}

async fn attach(
    connection: &mut PgConnection,
    user_id: UserId,
    url: &str,
    file_name: &str,
    key_of_url: impl Fn(&str) -> Option<String>,
) -> Result<Attached, AttachError> {
    if !queries::attach_uploaded_object(connection, user_id, url).await? {
        return Err(AttachError::NotIssued);
    }
    let old = queries::lock_document_of_user(connection, user_id).await?;
    if old.as_ref().is_some_and(|old| old.r#type != DocumentType::Avatar) {
        return Err(AttachError::OtherDocument);
    }
    let document = queries::upsert_avatar(connection, user_id, &clean_name(file_name), url).await?;
    let replaced = old.is_some();
    if let Some(old) = old.filter(|old| old.url != url) {
        release_object(connection, user_id, &old.url, key_of_url).await?;
    }
    Ok(Attached { document, replaced })
}

/// Orders the removal of an object that its document no longer shows. The job looks again whether another row needs
/// the object: documents of the original may show pictures of others.
pub(super) async fn release_object(
    connection: &mut PgConnection,
    user_id: UserId,
    url: &str,
    key_of_url: impl Fn(&str) -> Option<String>,
) -> Result<(), sqlx::Error> {
    let issued = queries::delete_uploaded_object(connection, user_id, url).await?;
    if let Some(key) = issued.or_else(|| key_of_url(url)) {
        jobs::enqueue(connection, &Job::DeleteObject { key }).await?;
    }
    Ok(())
}
