//! Removes an object that no row refers to any more.

use freehunt_domain::documents::queries::is_object_in_use;
use freehunt_storage::ObjectKey;

use crate::{JobContext, Setback};

pub async fn run(context: &JobContext, key: &str) -> Result<(), Setback> {
    let key = ObjectKey::parse(key).map_err(|error| Setback::Broken(error.into()))?;
    let in_use = {
        let mut connection = context.pool.acquire().await?;
        is_object_in_use(&mut connection, key.as_str(), &context.storage.public_url(&key)).await?
    };
    if !in_use {
        context.storage.delete(&key).await?;
    }
    Ok(())
}
