//! What payments need of projects: whose they are, and their completion with the last checkpoint.

use sqlx::PgConnection;

use crate::ids::{FreelanceId, JobPostingId, ProjectId, UserId};

/// A posting's project, as far as payments care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectForPayment {
    pub id: ProjectId,
    pub freelance_id: Option<FreelanceId>,
    pub freelance_user: Option<UserId>,
    pub is_in_progress: bool,
}

/// Keeps the project from changing until the transaction ends; lock its posting first.
pub async fn lock_project_of_posting(
    connection: &mut PgConnection,
    posting: JobPostingId,
) -> Result<Option<ProjectForPayment>, sqlx::Error> {
    sqlx::query_as!(
        ProjectForPayment,
        r#"SELECT r."id" AS "id: ProjectId", r."freelanceId" AS "freelance_id: FreelanceId",
                  (SELECT f."userId" FROM "Freelance" f WHERE f."id" = r."freelanceId") AS "freelance_user: UserId",
                  r."status" = 'IN_PROGRESS' AS "is_in_progress!"
           FROM "Project" r WHERE r."jobPostingId" = $1 FOR UPDATE OF r"#,
        posting.0,
    )
    .fetch_optional(connection)
    .await
}

/// Completes the posting's project when nothing but done and canceled checkpoints is left (I9).
pub async fn update_completed_if_done(
    connection: &mut PgConnection,
    posting: JobPostingId,
) -> Result<Option<ProjectId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE "Project" r
           SET "status" = 'COMPLETED', "endDate" = (now() AT TIME ZONE 'UTC'), "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE r."jobPostingId" = $1 AND r."status" = 'IN_PROGRESS'
             AND NOT EXISTS (SELECT FROM "Checkpoint" c
                             WHERE c."jobPostingId" = $1 AND c."status" NOT IN ('DONE', 'CANCELED'))
           RETURNING r."id" AS "id: ProjectId""#,
        posting.0,
    )
    .fetch_optional(connection)
    .await
}

pub async fn find_posting_of_project(
    connection: &mut PgConnection,
    project: ProjectId,
) -> Result<Option<JobPostingId>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "jobPostingId" AS "id: JobPostingId" FROM "Project" WHERE "id" = $1"#, project.0)
        .fetch_optional(connection)
        .await
}

/// Ends a project that is not completed.
pub async fn update_project_canceled(connection: &mut PgConnection, project: ProjectId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Project"
           SET "status" = 'CANCELED', "endDate" = (now() AT TIME ZONE 'UTC'), "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1"#,
        project.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the posting's project was ended before it was done.
pub async fn is_project_canceled(connection: &mut PgConnection, posting: JobPostingId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Project" WHERE "jobPostingId" = $1 AND "status" = 'CANCELED') AS "exists!""#,
        posting.0,
    )
    .fetch_one(connection)
    .await
}
