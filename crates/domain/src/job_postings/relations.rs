//! What is shown with a posting: its company, skills, checkpoints and candidates, loaded for any number of postings in
//! a fixed number of statements.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{model::JobPosting, queries::PostingWithFacts};
use crate::{
    Timestamp,
    checkpoints::{self, Checkpoint},
    grouping::{distinct, grouped},
    ids::{CandidateId, CompanyId, FreelanceId, JobPostingId, UserId},
    skills::{self, Skill, SkillCatalog},
    users::{Role, User},
};

/// The company of a posting with its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingCompany {
    pub id: CompanyId,
    pub name: String,
    pub description: String,
    pub address: String,
    pub siren: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub user: User,
}

/// A posting with what everybody may see of it: the company is a name.
#[derive(Clone, Debug)]
pub struct PublicPosting {
    pub posting: JobPosting,
    pub company_name: String,
    /// Oldest first.
    pub skills: Vec<Skill>,
    /// In the order of their dates.
    pub checkpoints: Vec<Checkpoint>,
}

/// A posting with what every audience sees some of.
#[derive(Clone, Debug)]
pub struct JobPostingWithRelations {
    pub posting: JobPosting,
    pub company: PostingCompany,
    /// Oldest first.
    pub skills: Vec<Skill>,
    /// In the order of their dates.
    pub checkpoints: Vec<Checkpoint>,
}

/// An application as it is listed with its posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingCandidate {
    pub id: CandidateId,
    pub job_posting_id: JobPostingId,
    pub freelance_id: FreelanceId,
    /// As the wire has it, e.g. `PENDING`.
    pub status: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl PostingWithFacts {
    /// With its skills, which take a statement only where the catalog is too old.
    pub async fn with_skills(
        self,
        connection: &mut PgConnection,
        catalog: &SkillCatalog,
    ) -> Result<PublicPosting, sqlx::Error> {
        Ok(PublicPosting {
            skills: catalog.find(connection, &self.skill_ids).await?,
            checkpoints: self.checkpoints,
            company_name: self.company_name,
            posting: self.posting,
        })
    }
}

impl PublicPosting {
    /// With all of its company, for those who see more than everybody.
    pub async fn with_company(self, connection: &mut PgConnection) -> Result<JobPostingWithRelations, sqlx::Error> {
        let Self { posting, skills, checkpoints, .. } = self;
        let mut companies = list_companies(connection, &[posting.company_id.0]).await?;
        let company = companies.remove(&posting.company_id).ok_or(sqlx::Error::RowNotFound)?;
        Ok(JobPostingWithRelations { posting, company, skills, checkpoints })
    }
}

impl From<JobPostingWithRelations> for PublicPosting {
    fn from(loaded: JobPostingWithRelations) -> Self {
        let JobPostingWithRelations { posting, company, skills, checkpoints } = loaded;
        Self { posting, company_name: company.name, skills, checkpoints }
    }
}

/// Loads the relations of `postings`, in their order.
pub async fn load(
    connection: &mut PgConnection,
    postings: Vec<JobPosting>,
) -> Result<Vec<JobPostingWithRelations>, sqlx::Error> {
    if postings.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = postings.iter().map(|posting| posting.id.0).collect();
    let company_ids = distinct(postings.iter().map(|posting| posting.company_id.0));
    let companies = list_companies(connection, &company_ids).await?;
    let skills = skills::queries::list_job_posting_skills(connection, &ids).await?;
    let checkpoints = checkpoints::queries::list_checkpoints_of(connection, &ids).await?;
    let mut checkpoints = grouped(checkpoints, |checkpoint| checkpoint.job_posting_id);
    postings
        .into_iter()
        .map(|posting| {
            Ok(JobPostingWithRelations {
                company: companies.get(&posting.company_id).cloned().ok_or(sqlx::Error::RowNotFound)?,
                skills: skills::queries::skills_of(&skills, posting.id.0),
                checkpoints: checkpoints.remove(&posting.id).unwrap_or_default(),
                posting,
            })
        })
        .collect()
}

/// As [`load`], for one posting.
pub async fn load_one(
    connection: &mut PgConnection,
    posting: JobPosting,
) -> Result<JobPostingWithRelations, sqlx::Error> {
    load(connection, vec![posting]).await?.pop().ok_or(sqlx::Error::RowNotFound)
}

async fn list_companies(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<CompanyId, PostingCompany>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT c."id" AS "id: CompanyId", c."name", c."description", c."address", c."siren",
                  c."createdAt" AS "created_at: Timestamp", c."updatedAt" AS "updated_at: Timestamp",
                  u."id" AS "user_id: UserId", u."email", u."username", u."role" AS "role: Role",
                  u."createdAt" AS "user_created_at: Timestamp", u."updatedAt" AS "user_updated_at: Timestamp"
           FROM "Company" c JOIN "User" u ON u."id" = c."userId" WHERE c."id" = ANY($1)"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    let companies = rows.into_iter().map(|row| {
        let user = User {
            id: row.user_id,
            email: row.email,
            username: row.username,
            role: row.role,
            created_at: row.user_created_at,
            updated_at: row.user_updated_at,
        };
        let company = PostingCompany {
            id: row.id,
            name: row.name,
            description: row.description,
            address: row.address,
            siren: row.siren,
            created_at: row.created_at,
            updated_at: row.updated_at,
            user,
        };
        (company.id, company)
    });
    Ok(companies.collect())
}

/// The candidates of the postings, oldest first; only those of the user `applicant` when given.
pub async fn list_candidates(
    connection: &mut PgConnection,
    job_posting_ids: &[Uuid],
    applicant: Option<UserId>,
) -> Result<Vec<PostingCandidate>, sqlx::Error> {
    sqlx::query_as!(
        PostingCandidate,
        r#"SELECT k."id" AS "id: CandidateId", k."jobPostingId" AS "job_posting_id: JobPostingId",
                  k."freelanceId" AS "freelance_id: FreelanceId", k."status"::text AS "status!",
                  k."createdAt" AS "created_at: Timestamp", k."updatedAt" AS "updated_at: Timestamp"
           FROM "Candidate" k JOIN "Freelance" f ON f."id" = k."freelanceId"
           WHERE k."jobPostingId" = ANY($1) AND ($2::uuid IS NULL OR f."userId" = $2)
           ORDER BY k."createdAt", k."id""#,
        job_posting_ids,
        applicant.map(|applicant| applicant.0),
    )
    .fetch_all(connection)
    .await
}
