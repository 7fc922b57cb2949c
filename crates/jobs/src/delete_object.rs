//! Removes an object of the bucket that no row shows any more.

use freehunt_domain::documents::queries;
use freehunt_storage::{ObjectKey, Storage, StorageError};
use sqlx::PgPool;

/// Why an object could not be removed; trying again later may help.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Removes the object unless some row needs it after all. May be repeated; a key that names nothing is done.
pub async fn delete_object(pool: &PgPool, storage: &Storage, key: &str) -> Result<(), ObjectError> {
    let Ok(key) = ObjectKey::parse(key) else {
        tracing::warn!(key, "no object can have this key");
        return Ok(());
    };
    let mut connection = pool.acquire().await?;
    if queries::is_object_in_use(&mut connection, key.as_str(), &storage.public_url(&key)).await? {
        tracing::info!(%key, "the object is still shown and stays");
        return Ok(());
    }
    drop(connection);
    storage.delete(&key).await?;
    Ok(())
}
