//! Statements on "Candidate".

use sqlx::PgConnection;

use super::{Candidate, CandidateStatus};
use crate::{
    Timestamp,
    ids::{CandidateId, FreelanceId, JobPostingId, UserId},
    policy::CandidateFacts,
};

/// Reads candidates with the columns every query of this file has.
macro_rules! select_candidates {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Candidate,
            r#"SELECT k."id" AS "id: CandidateId", k."jobPostingId" AS "job_posting_id: JobPostingId",
                      k."freelanceId" AS "freelance_id: FreelanceId", k."status" AS "status: CandidateStatus",
                      k."createdAt" AS "created_at: Timestamp", k."updatedAt" AS "updated_at: Timestamp"
               FROM "Candidate" k "# + $rest,
            $($argument),*
        )
    };
}

pub async fn find_candidate(connection: &mut PgConnection, id: CandidateId) -> Result<Option<Candidate>, sqlx::Error> {
    select_candidates!(r#"WHERE k."id" = $1"#, id.0).fetch_optional(connection).await
}

/// The users on the two sides of an application.
pub async fn find_candidate_facts(
    connection: &mut PgConnection,
    id: CandidateId,
) -> Result<Option<CandidateFacts>, sqlx::Error> {
    sqlx::query_as!(
        CandidateFacts,
        r#"SELECT f."userId" AS "applicant: UserId", c."userId" AS "posting_owner: UserId"
           FROM "Candidate" k
           JOIN "Freelance" f ON f."id" = k."freelanceId"
           JOIN "JobPosting" p ON p."id" = k."jobPostingId"
           JOIN "Company" c ON c."id" = p."companyId"
           WHERE k."id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// A freelance's application to a posting; the newest where the original let several be made.
pub async fn find_candidate_of_freelance(
    connection: &mut PgConnection,
    freelance: FreelanceId,
    job_posting: JobPostingId,
) -> Result<Option<Candidate>, sqlx::Error> {
    select_candidates!(
        r#"WHERE k."freelanceId" = $1 AND k."jobPostingId" = $2 ORDER BY k."createdAt" DESC, k."id" LIMIT 1"#,
        freelance.0,
        job_posting.0,
    )
    .fetch_optional(connection)
    .await
}

/// The candidates of a posting, oldest first.
pub async fn list_candidates_of_job_posting(
    connection: &mut PgConnection,
    job_posting: JobPostingId,
) -> Result<Vec<Candidate>, sqlx::Error> {
    select_candidates!(r#"WHERE k."jobPostingId" = $1 ORDER BY k."createdAt", k."id""#, job_posting.0)
        .fetch_all(connection)
        .await
}

/// Holds all candidates of a posting until the transaction ends; lock the posting first.
pub async fn lock_candidates_of_job_posting(
    connection: &mut PgConnection,
    job_posting: JobPostingId,
) -> Result<Vec<Candidate>, sqlx::Error> {
    select_candidates!(r#"WHERE k."jobPostingId" = $1 ORDER BY k."id" FOR UPDATE"#, job_posting.0)
        .fetch_all(connection)
        .await
}

/// Holds one candidate until the transaction ends; lock its posting first.
pub async fn lock_candidate(connection: &mut PgConnection, id: CandidateId) -> Result<Option<Candidate>, sqlx::Error> {
    select_candidates!(r#"WHERE k."id" = $1 FOR UPDATE"#, id.0).fetch_optional(connection).await
}

pub async fn insert_candidate(
    connection: &mut PgConnection,
    freelance: FreelanceId,
    job_posting: JobPostingId,
) -> Result<Candidate, sqlx::Error> {
    sqlx::query_as!(
        Candidate,
        r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status") VALUES ($1, $2, 'PENDING')
           RETURNING "id" AS "id: CandidateId", "jobPostingId" AS "job_posting_id: JobPostingId",
                     "freelanceId" AS "freelance_id: FreelanceId", "status" AS "status: CandidateStatus",
                     "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        job_posting.0,
        freelance.0,
    )
    .fetch_one(connection)
    .await
}

pub async fn update_status(
    connection: &mut PgConnection,
    id: CandidateId,
    status: CandidateStatus,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Candidate" SET "status" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        status as CandidateStatus,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Rejects every candidate of the posting that still waits, but for one; returns how many.
pub async fn reject_others(
    connection: &mut PgConnection,
    job_posting: JobPostingId,
    chosen: CandidateId,
) -> Result<u64, sqlx::Error> {
    let rejected = sqlx::query!(
        r#"UPDATE "Candidate" SET "status" = 'REJECTED', "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "jobPostingId" = $1 AND "id" <> $2 AND "status" = 'PENDING'"#,
        job_posting.0,
        chosen.0,
    )
    .execute(connection)
    .await?;
    Ok(rejected.rows_affected())
}

pub async fn delete_candidate(connection: &mut PgConnection, id: CandidateId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Candidate" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}

/// The user behind a freelance's profile.
pub async fn get_user_of_freelance(
    connection: &mut PgConnection,
    freelance: FreelanceId,
) -> Result<UserId, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "userId" AS "user_id: UserId" FROM "Freelance" WHERE "id" = $1"#, freelance.0)
        .fetch_one(connection)
        .await
}
