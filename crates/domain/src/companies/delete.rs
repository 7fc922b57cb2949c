//! Deleting a company: only while nothing was ever done in its name.

use sqlx::PgPool;

use super::queries;
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::CompanyId,
};

#[derive(Debug, thiserror::Error)]
pub enum DeleteCompanyError {
    #[error("there is no such company")]
    NotFound,
    #[error("the company has job postings or projects")]
    InUse,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn delete(
    pool: &PgPool,
    id: CompanyId,
    actor: AuditActor,
    client_address: Option<String>,
) -> Result<(), DeleteCompanyError> {
    let mut transaction = pool.begin().await?;
    if !queries::lock_company(&mut transaction, id).await? {
        return Err(DeleteCompanyError::NotFound);
    }
    if queries::is_company_in_use(&mut transaction, id).await? {
        return Err(DeleteCompanyError::InUse);
    }
    queries::delete_company(&mut transaction, id).await?;
    let record = AuditRecord {
        actor,
        table: "Company",
        action: "delete",
        subject_id: Some(id.to_string()),
        client_address,
        details: None,
    };
    audit::record(&mut transaction, &record).await?;
    Ok(transaction.commit().await?)
}
