//! Statements on "Freelance".

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Freelance, FreelanceChanges, NewFreelance};
use crate::{
    Timestamp,
    ids::{FreelanceId, UserId},
};

pub async fn find_freelance(connection: &mut PgConnection, id: FreelanceId) -> Result<Option<Freelance>, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Freelance" WHERE "id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

pub async fn find_freelance_of_user(
    connection: &mut PgConnection,
    user_id: UserId,
) -> Result<Option<Freelance>, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Freelance" WHERE "userId" = $1"#,
        user_id.0,
    )
    .fetch_optional(connection)
    .await
}

/// The profiles of several rows at once, in no order.
pub async fn list_freelances_by_id(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Freelance>, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Freelance" WHERE "id" = ANY($1)"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// The profile, locked so that nothing begins to refer to it.
pub async fn lock_freelance(connection: &mut PgConnection, id: FreelanceId) -> Result<Option<Freelance>, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Freelance" WHERE "id" = $1 FOR UPDATE"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Fails on the unique index `Freelance_userId_key` when the user has a profile.
pub async fn insert_freelance(
    connection: &mut PgConnection,
    owner: UserId,
    new: &NewFreelance,
) -> Result<Freelance, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"INSERT INTO "Freelance"
               ("userId", "firstName", "lastName", "jobTitle", "averageDailyRate", "seniority", "location")
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           RETURNING "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        owner.0,
        new.first_name,
        new.last_name,
        new.job_title,
        new.average_daily_rate,
        new.seniority,
        new.location,
    )
    .fetch_one(connection)
    .await
}

/// Changes the columns alone; skills are links of their own, and the payout account is never written here.
pub async fn update_freelance(
    connection: &mut PgConnection,
    id: FreelanceId,
    changes: &FreelanceChanges,
) -> Result<Freelance, sqlx::Error> {
    sqlx::query_as!(
        Freelance,
        r#"UPDATE "Freelance" SET "firstName" = coalesce($2, "firstName"), "lastName" = coalesce($3, "lastName"),
                  "jobTitle" = coalesce($4, "jobTitle"), "averageDailyRate" = coalesce($5, "averageDailyRate"),
                  "seniority" = coalesce($6, "seniority"), "location" = coalesce($7, "location"),
                  "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1
           RETURNING "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" AS first_name,
                  "lastName" AS last_name, "jobTitle" AS job_title, "averageDailyRate" AS average_daily_rate, "seniority",
                  "location", "stripeAccountId" AS stripe_account_id,
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        id.0,
        changes.first_name,
        changes.last_name,
        changes.job_title,
        changes.average_daily_rate,
        changes.seniority,
        changes.location,
    )
    .fetch_one(connection)
    .await
}

pub async fn insert_skill_links(
    connection: &mut PgConnection,
    id: FreelanceId,
    skill_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO "_FreelanceToSkill" ("A", "B") SELECT $1, skill FROM unnest($2::uuid[]) AS skill
           ON CONFLICT DO NOTHING"#,
        id.0,
        skill_ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn delete_skill_links(connection: &mut PgConnection, id: FreelanceId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "_FreelanceToSkill" WHERE "A" = $1"#, id.0).execute(connection).await?;
    Ok(())
}

/// Whether an application or a project is the freelance's.
pub async fn is_freelance_in_use(connection: &mut PgConnection, id: FreelanceId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM "Candidate" WHERE "freelanceId" = $1)
               OR EXISTS (SELECT 1 FROM "Project" WHERE "freelanceId" = $1) AS "in_use!""#,
        id.0,
    )
    .fetch_one(connection)
    .await
}

/// The links to skills go with it.
pub async fn delete_freelance(connection: &mut PgConnection, id: FreelanceId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Freelance" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}
