//! Deleting a document, and the object it showed.

use sqlx::PgPool;

use super::{Document, attach::release_object, queries};
use crate::ids::{DocumentId, UserId};

/// Deletes a document of this owner; `None` when the owner has no such document. `key_of_url` finds the key behind an
/// address of the former server.
pub async fn delete(
    pool: &PgPool,
    id: DocumentId,
    owner: UserId,
    key_of_url: impl Fn(&str) -> Option<String>,
) -> Result<Option<Document>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    queries::lock_owner(&mut transaction, owner).await?;
    let Some(document) = queries::delete_document(&mut transaction, id, owner).await? else { return Ok(None) };
    release_object(&mut transaction, owner, &document.url, key_of_url).await?;
    transaction.commit().await?;
    Ok(Some(document))
}
