//! Statements on "Freelance".

use sqlx::PgConnection;
use uuid::Uuid;

use super::Freelance;
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
pub async fn list_freelances_by_id(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Freelance>, sqlx::Error> {
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
