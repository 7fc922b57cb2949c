//! What companies and freelances have in common as profiles of a user: one is deleted only while nothing was ever done
//! in its name.

use sqlx::{PgConnection, PgPool};

use crate::{
    audit::{self, AuditActor, AuditRecord},
    companies, freelances,
    ids::{CompanyId, FreelanceId},
};

/// A profile of either role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileId {
    Company(CompanyId),
    Freelance(FreelanceId),
}

#[derive(Debug, thiserror::Error)]
pub enum DeleteProfileError {
    #[error("there is no such profile")]
    NotFound,
    /// It has postings, applications or projects.
    #[error("the profile is in use")]
    InUse(ProfileId),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn delete(
    pool: &PgPool,
    profile: ProfileId,
    actor: AuditActor,
    client_address: Option<String>,
) -> Result<(), DeleteProfileError> {
    let mut transaction = pool.begin().await?;
    if !profile.lock(&mut transaction).await? {
        return Err(DeleteProfileError::NotFound);
    }
    if profile.is_in_use(&mut transaction).await? {
        return Err(DeleteProfileError::InUse(profile));
    }
    profile.delete_row(&mut transaction).await?;
    let (table, subject_id) = match profile {
        ProfileId::Company(id) => ("Company", id.to_string()),
        ProfileId::Freelance(id) => ("Freelance", id.to_string()),
    };
    let subject_id = Some(subject_id);
    let record = AuditRecord { actor, table, action: "delete", subject_id, client_address, details: None };
    audit::record(&mut transaction, &record).await?;
    Ok(transaction.commit().await?)
}

impl ProfileId {
    /// Whether it is there; if so, nobody else changes it until the transaction ends.
    async fn lock(self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        match self {
            Self::Company(id) => companies::queries::lock_company(connection, id).await,
            Self::Freelance(id) => Ok(freelances::queries::lock_freelance(connection, id).await?.is_some()),
        }
    }

    async fn is_in_use(self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        match self {
            Self::Company(id) => companies::queries::is_company_in_use(connection, id).await,
            Self::Freelance(id) => freelances::queries::is_freelance_in_use(connection, id).await,
        }
    }

    async fn delete_row(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Company(id) => companies::queries::delete_company(connection, id).await,
            Self::Freelance(id) => freelances::queries::delete_freelance(connection, id).await,
        }
    }
}
