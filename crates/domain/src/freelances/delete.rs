//! Deleting a freelance's profile: only while it has no application and no project.

use sqlx::PgPool;

use super::queries;
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::FreelanceId,
};

#[derive(Debug, thiserror::Error)]
pub enum DeleteFreelanceError {
    #[error("there is no such profile")]
    NotFound,
    #[error("the freelance has applications or projects")]
    InUse,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn delete(
    pool: &PgPool,
    id: FreelanceId,
    actor: AuditActor,
    client_address: Option<String>,
) -> Result<(), DeleteFreelanceError> {
    let mut transaction = pool.begin().await?;
    if queries::lock_freelance(&mut transaction, id).await?.is_none() {
        return Err(DeleteFreelanceError::NotFound);
    }
    if queries::is_freelance_in_use(&mut transaction, id).await? {
        return Err(DeleteFreelanceError::InUse);
    }
    queries::delete_freelance(&mut transaction, id).await?;
    let record = AuditRecord {
        actor,
        table: "Freelance",
        action: "delete",
        subject_id: Some(id.to_string()),
        client_address,
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    Ok(transaction.commit().await?)
}
