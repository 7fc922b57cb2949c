//! Changing one's own user name.

use sqlx::PgPool;

use super::{User, queries};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::UserId,
    sessions,
};

#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    #[error("the user name is taken")]
    Taken,
    #[error("there is no such user")]
    NotFound,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Names are unique here whatever their case.
pub async fn rename(
    pool: &PgPool,
    id: UserId,
    username: &str,
    client_address: Option<String>,
) -> Result<User, RenameError> {
    let mut transaction = pool.begin().await?;
    queries::lock_text(&mut transaction, username).await?;
    if queries::is_username_taken(&mut transaction, username, Some(id)).await? {
        return Err(RenameError::Taken);
    }
    queries::update_username(&mut transaction, id, username).await?;
    let user = queries::find_user(&mut transaction, id).await?.ok_or(RenameError::NotFound)?;
    sessions::announce_user(&mut transaction, id).await?;
    let record = AuditRecord {
        actor: AuditActor::User(id),
        table: "User",
        action: "rename",
        subject_id: Some(id.to_string()),
        client_address,
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(user)
}
