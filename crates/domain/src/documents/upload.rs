//! Remembering what was put into the bucket and for whom.

use sqlx::PgPool;

use super::{NewObject, queries};
use crate::{
    ids::UserId,
    jobs::{self, Job},
};

/// Objects of one user that no document shows yet; of more, the oldest are removed.
const MAX_LOOSE_OBJECTS: i64 = 100;

/// Records an object that was just stored and that the user may now show with `POST /documents`.
pub async fn record_upload(pool: &PgPool, user_id: UserId, object: &NewObject) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    queries::insert_uploaded_object(&mut transaction, user_id, object).await?;
    for key in queries::delete_surplus_objects(&mut transaction, user_id, MAX_LOOSE_OBJECTS).await? {
        jobs::enqueue(&mut transaction, &Job::DeleteObject { key }).await?;
    }
    transaction.commit().await
}
