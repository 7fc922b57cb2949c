//! Candidates with their profiles and postings, in one statement.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Candidate, CandidateStatus};
use crate::{
    Timestamp,
    companies::Company,
    freelances::Freelance,
    ids::{CandidateId, CompanyId, FreelanceId, JobPostingId, UserId},
    job_postings::{JobPosting, JobPostingLocation, JobPostingStatus},
    skills::{Skill, SkillCatalog},
    users::{Role, User},
};

/// A freelance as the company that is applied to sees one.
#[derive(Clone, Debug)]
pub struct Applicant {
    pub freelance: Freelance,
    pub user: User,
    pub skills: Vec<Skill>,
}

/// An application with both its sides.
#[derive(Clone, Debug)]
pub struct CandidateDetails {
    pub candidate: Candidate,
    pub applicant: Applicant,
    pub job_posting: JobPosting,
    pub company: Company,
}

/// A statement that yields candidates k with their profile f and user u, posting p and company c.
macro_rules! select_details {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            r#"SELECT k."id" AS "id: CandidateId", k."status" AS "status: CandidateStatus",
                      k."createdAt" AS "created_at: Timestamp", k."updatedAt" AS "updated_at: Timestamp",
                      f."id" AS "freelance_id: FreelanceId", f."firstName" AS first_name, f."lastName" AS last_name,
                      f."jobTitle" AS job_title, f."averageDailyRate" AS average_daily_rate, f."seniority", f."location",
                      f."stripeAccountId" AS stripe_account_id, f."createdAt" AS "freelance_created_at: Timestamp",
                      f."updatedAt" AS "freelance_updated_at: Timestamp",
                      ARRAY(SELECT link."B" FROM "_FreelanceToSkill" link WHERE link."A" = f."id") AS "skill_ids!",
                      u."id" AS "user_id: UserId", u."email", u."username", u."role" AS "role: Role",
                      u."createdAt" AS "user_created_at: Timestamp", u."updatedAt" AS "user_updated_at: Timestamp",
                      p."id" AS "posting_id: JobPostingId", p."title", p."description" AS posting_description,
                      p."location" AS "posting_location: JobPostingLocation", p."isPromoted" AS is_promoted,
                      p."averageDailyRate" AS posting_daily_rate, p."seniority" AS posting_seniority,
                      p."totalAmount" AS total_amount, p."status" AS "posting_status: JobPostingStatus",
                      p."stripeSessionId" AS stripe_session_id, p."stripeRefundId" AS stripe_refund_id,
                      p."canceledAt" AS "canceled_at: Timestamp", p."cancelReason" AS cancel_reason,
                      p."createdAt" AS "posting_created_at: Timestamp", p."updatedAt" AS "posting_updated_at: Timestamp",
                      c."id" AS "company_id: CompanyId", c."userId" AS "company_user_id: UserId",
                      c."name" AS company_name, c."description" AS company_description, c."address", c."siren",
                      c."createdAt" AS "company_created_at: Timestamp", c."updatedAt" AS "company_updated_at: Timestamp"
               FROM "Candidate" k
                    JOIN "Freelance" f ON f."id" = k."freelanceId"
                    JOIN "User" u ON u."id" = f."userId"
                    JOIN "JobPosting" p ON p."id" = k."jobPostingId"
                    JOIN "Company" c ON c."id" = p."companyId" "# + $rest,
            $($argument),*
        )
    };
}

/// The candidate of a row of [`select_details`], without the skills.
macro_rules! details_of {
    ($row:ident) => {
        CandidateDetails {
            candidate: Candidate {
                id: $row.id,
                job_posting_id: $row.posting_id,
                freelance_id: $row.freelance_id,
                status: $row.status,
                created_at: $row.created_at,
                updated_at: $row.updated_at,
            },
            applicant: Applicant {
                freelance: Freelance {
                    id: $row.freelance_id,
                    user_id: $row.user_id,
                    first_name: $row.first_name,
                    last_name: $row.last_name,
                    job_title: $row.job_title,
                    average_daily_rate: $row.average_daily_rate,
                    seniority: $row.seniority,
                    location: $row.location,
                    stripe_account_id: $row.stripe_account_id,
                    created_at: $row.freelance_created_at,
                    updated_at: $row.freelance_updated_at,
                },
                user: User {
                    id: $row.user_id,
                    email: $row.email,
                    username: $row.username,
                    role: $row.role,
                    created_at: $row.user_created_at,
                    updated_at: $row.user_updated_at,
                },
                skills: Vec::new(),
            },
            job_posting: JobPosting {
                id: $row.posting_id,
                company_id: $row.company_id,
                title: $row.title,
                description: $row.posting_description,
                location: $row.posting_location,
                is_promoted: $row.is_promoted,
                average_daily_rate: $row.posting_daily_rate,
                seniority: $row.posting_seniority,
                total_amount: $row.total_amount,
                status: $row.posting_status,
                stripe_session_id: $row.stripe_session_id,
                stripe_refund_id: $row.stripe_refund_id,
                canceled_at: $row.canceled_at,
                cancel_reason: $row.cancel_reason,
                created_at: $row.posting_created_at,
                updated_at: $row.posting_updated_at,
            },
            company: Company {
                id: $row.company_id,
                user_id: $row.company_user_id,
                name: $row.company_name,
                description: $row.company_description,
                address: $row.address,
                siren: $row.siren,
                created_at: $row.company_created_at,
                updated_at: $row.company_updated_at,
            },
        }
    };
}

/// The candidates of all postings of a company, newest first.
pub async fn list_details_of_company(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    company: CompanyId,
) -> Result<Vec<CandidateDetails>, sqlx::Error> {
    let rows = select_details!(r#"WHERE p."companyId" = $1 ORDER BY k."createdAt" DESC, k."id""#, company.0)
        .fetch_all(&mut *connection)
        .await?;
    let found = rows.into_iter().map(|mut row| (std::mem::take(&mut row.skill_ids), details_of!(row)));
    add_skills(connection, catalog, found.collect()).await
}

pub async fn find_details(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    id: CandidateId,
) -> Result<Option<CandidateDetails>, sqlx::Error> {
    let row = select_details!(r#"WHERE k."id" = $1"#, id.0).fetch_optional(&mut *connection).await?;
    let found = row.into_iter().map(|mut row| (std::mem::take(&mut row.skill_ids), details_of!(row)));
    Ok(add_skills(connection, catalog, found.collect()).await?.pop())
}

async fn add_skills(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    found: Vec<(Vec<Uuid>, CandidateDetails)>,
) -> Result<Vec<CandidateDetails>, sqlx::Error> {
    let (ids, mut details): (Vec<Vec<Uuid>>, Vec<CandidateDetails>) = found.into_iter().unzip();
    let lists: Vec<&[Uuid]> = ids.iter().map(Vec::as_slice).collect();
    let skills = catalog.find_each(connection, &lists).await?;
    for (details, skills) in details.iter_mut().zip(skills) {
        details.applicant.skills = skills;
    }
    Ok(details)
}
