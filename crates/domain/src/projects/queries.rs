//! Statements on "Project".

use sqlx::PgConnection;

use super::{Project, ProjectStatus};
use crate::{
    Cents, Timestamp,
    ids::{CompanyId, ConversationId, FreelanceId, JobPostingId, ProjectId, UserId},
    policy::ProjectFacts,
};

/// Reads projects with the columns every query of this file has.
macro_rules! select_projects {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Project,
            r#"SELECT p."id" AS "id: ProjectId", p."name", p."description", p."amount",
                      p."startDate" AS "start_date: Timestamp", p."endDate" AS "end_date: Timestamp",
                      p."status" AS "status: ProjectStatus", p."jobPostingId" AS "job_posting_id: JobPostingId",
                      p."freelanceId" AS "freelance_id: FreelanceId", p."companyId" AS "company_id: CompanyId",
                      p."conversationId" AS "conversation_id: ConversationId",
                      p."createdAt" AS "created_at: Timestamp", p."updatedAt" AS "updated_at: Timestamp"
               FROM "Project" p "# + $rest,
            $($argument),*
        )
    };
}

/// Holds the project until the transaction ends; lock its posting first where both are needed.
pub async fn lock_project(connection: &mut PgConnection, id: ProjectId) -> Result<Option<Project>, sqlx::Error> {
    select_projects!(r#"WHERE p."id" = $1 FOR UPDATE"#, id.0).fetch_optional(connection).await
}

/// The two users of the project. A project without a company of its own belongs to its posting's.
pub async fn find_project_facts(
    connection: &mut PgConnection,
    id: ProjectId,
) -> Result<Option<ProjectFacts>, sqlx::Error> {
    sqlx::query_as!(
        ProjectFacts,
        r#"SELECT c."userId" AS "company_user: UserId", f."userId" AS "freelance_user?: UserId"
           FROM "Project" p
           JOIN "JobPosting" j ON j."id" = p."jobPostingId"
           LEFT JOIN "Company" c ON c."id" = coalesce(p."companyId", j."companyId")
           LEFT JOIN "Freelance" f ON f."id" = p."freelanceId"
           WHERE p."id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

pub async fn exists_for_job_posting(
    connection: &mut PgConnection,
    job_posting: JobPostingId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Project" WHERE "jobPostingId" = $1) AS "exists!""#,
        job_posting.0,
    )
    .fetch_one(connection)
    .await
}

/// The columns of a project to write.
#[derive(Clone, Debug)]
pub struct ProjectRow<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub amount: Cents,
    pub start_date: Timestamp,
    pub end_date: Timestamp,
    pub job_posting_id: JobPostingId,
    pub freelance_id: FreelanceId,
    pub company_id: CompanyId,
    pub conversation_id: ConversationId,
}

pub async fn insert_project(connection: &mut PgConnection, row: &ProjectRow<'_>) -> Result<ProjectId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO "Project" ("name", "description", "amount", "startDate", "endDate", "jobPostingId",
                                  "freelanceId", "companyId", "conversationId")
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING "id" AS "id: ProjectId""#,
        row.name,
        row.description,
        row.amount.to_euros(),
        row.start_date.0,
        row.end_date.0,
        row.job_posting_id.0,
        row.freelance_id.0,
        row.company_id.0,
        row.conversation_id.0,
    )
    .fetch_one(connection)
    .await
}

/// Links the project to its conversation.
pub async fn update_conversation(
    connection: &mut PgConnection,
    id: ProjectId,
    conversation: ConversationId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Project" SET "conversationId" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        conversation.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}
