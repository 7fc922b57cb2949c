//! Statements on "User" and `identity`.

use sqlx::PgConnection;

use super::{Role, User};
use crate::{Timestamp, ids::UserId};

pub async fn find_user(connection: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT "id" AS "id: UserId", "email", "username", "role" AS "role: Role",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "User" WHERE "id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Addresses differ by case in old rows and at Authentik; they name the same person.
pub async fn find_user_by_email(connection: &mut PgConnection, email: &str) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT "id" AS "id: UserId", "email", "username", "role" AS "role: Role",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "User" WHERE lower("email") = lower($1) ORDER BY "createdAt" LIMIT 1"#,
        email,
    )
    .fetch_optional(connection)
    .await
}

pub async fn insert_user(
    connection: &mut PgConnection,
    email: &str,
    username: &str,
    role: Role,
) -> Result<UserId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO "User" ("email", "username", "role") VALUES ($1, $2, $3) RETURNING "id" AS "id: UserId""#,
        email,
        username,
        role as Role,
    )
    .fetch_one(connection)
    .await
}

pub async fn update_username(connection: &mut PgConnection, id: UserId, username: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "User" SET "username" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        username,
    )
    .execute(connection)
    .await?;
    Ok(())
}
