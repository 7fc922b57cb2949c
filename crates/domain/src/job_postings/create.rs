//! Making a posting: a draft that waits for its payment.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{JobPosting, JobPostingLocation, queries};
use crate::{
    Cents,
    grouping::distinct,
    ids::{CompanyId, JobPostingId, UserId},
    limits::{Creation, count_creation},
    skills,
};

#[derive(Clone, Debug)]
pub struct NewJobPosting {
    pub company_id: CompanyId,
    pub title: String,
    pub description: String,
    pub location: JobPostingLocation,
    pub is_promoted: bool,
    pub average_daily_rate: Cents,
    pub seniority: i32,
    pub total_amount: Option<Cents>,
    pub skill_ids: Vec<Uuid>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateJobPostingError {
    #[error("the daily limit is reached")]
    TooMany,
    /// Some of the skills it names do not exist.
    #[error("expected {expected} skills, found {found}")]
    MissingSkills { expected: usize, found: i64 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The caller has established that the company is the author's.
pub async fn create(
    pool: &PgPool,
    author: UserId,
    posting: &NewJobPosting,
) -> Result<JobPosting, CreateJobPostingError> {
    let mut transaction = pool.begin().await?;
    let skill_ids = distinct(posting.skill_ids.iter().copied());
    let found = skills::queries::count_skills(&mut transaction, &skill_ids).await?;
    if usize::try_from(found) != Ok(skill_ids.len()) {
        return Err(CreateJobPostingError::MissingSkills { expected: skill_ids.len(), found });
    }
    if !count_creation(&mut transaction, author, Creation::JobPosting).await? {
        return Err(CreateJobPostingError::TooMany);
    }
    let id = insert_job_posting(&mut transaction, posting).await?;
    replace_skills(&mut transaction, id, &skill_ids).await?;
    let created = queries::find_job_posting(&mut transaction, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    transaction.commit().await?;
    Ok(created)
}

async fn insert_job_posting(
    connection: &mut PgConnection,
    posting: &NewJobPosting,
) -> Result<JobPostingId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO "JobPosting"
               ("companyId", "title", "description", "location", "isPromoted", "averageDailyRate", "seniority",
                "totalAmount", "status")
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'PENDING_PAYMENT')
           RETURNING "id" AS "id: JobPostingId""#,
        posting.company_id.0,
        posting.title,
        posting.description,
        posting.location as JobPostingLocation,
        posting.is_promoted,
        posting.average_daily_rate.to_euros(),
        posting.seniority,
        posting.total_amount.map(Cents::to_euros),
    )
    .fetch_one(connection)
    .await
}

pub(super) async fn replace_skills(
    connection: &mut PgConnection,
    id: JobPostingId,
    skill_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "_JobPostingToSkill" WHERE "A" = $1 AND "B" <> ALL($2)"#, id.0, skill_ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        r#"INSERT INTO "_JobPostingToSkill" ("A", "B") SELECT $1, skill FROM unnest($2::uuid[]) AS skill
           ON CONFLICT DO NOTHING"#,
        id.0,
        skill_ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}
