//! Statements on "User" and `identity`.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{PendingRegistration, Registrant, Role, User};
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

/// The account that somebody means who fills in `identifier`, an address or a user name.
pub async fn find_user_by_identifier(
    connection: &mut PgConnection,
    identifier: &str,
) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT "id" AS "id: UserId" FROM "User"
           WHERE lower("email") = lower($1) OR lower("username") = lower($1) ORDER BY "createdAt", "id" LIMIT 1"#,
        identifier,
    )
    .fetch_optional(connection)
    .await
}

/// Everybody with this address, in any case; more than one only in old rows.
pub async fn list_users_by_email(connection: &mut PgConnection, email: &str) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT "id" AS "id: UserId", "email", "username", "role" AS "role: Role",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "User" WHERE lower("email") = lower($1) ORDER BY "createdAt", "id""#,
        email,
    )
    .fetch_all(connection)
    .await
}

/// Whether somebody other than `except` has this user name, in any case.
pub async fn is_username_taken(
    connection: &mut PgConnection,
    username: &str,
    except: Option<UserId>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "User" WHERE lower("username") = lower($1) AND ($2::uuid IS NULL OR "id" <> $2))
           AS "taken!""#,
        username,
        except.map(|id| id.0),
    )
    .fetch_one(connection)
    .await
}

pub async fn find_user_by_authentik_uid(connection: &mut PgConnection, uid: &str) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT u."id" AS "id: UserId", u."email", u."username", u."role" AS "role: Role",
                  u."createdAt" AS "created_at: Timestamp", u."updatedAt" AS "updated_at: Timestamp"
           FROM identity i JOIN "User" u ON u."id" = i.user_id WHERE i.authentik_uid = $1"#,
        uid,
    )
    .fetch_optional(connection)
    .await
}

pub async fn has_identity(connection: &mut PgConnection, id: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM identity WHERE user_id = $1) AS "bound!""#, id.0)
        .fetch_one(connection)
        .await
}

/// Binds a user to an account at Authentik. `bound_by` is `registration`, `operator` or `first_use`.
pub async fn insert_identity(
    connection: &mut PgConnection,
    id: UserId,
    authentik_uid: &str,
    bound_by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO identity (user_id, authentik_uid, bound_by) VALUES ($1, $2, $3)",
        id.0,
        authentik_uid,
        bound_by,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Users that are bound to no account at Authentik, oldest first.
pub async fn list_unbound_users(connection: &mut PgConnection) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT u."id" AS "id: UserId", u."email", u."username", u."role" AS "role: Role",
                  u."createdAt" AS "created_at: Timestamp", u."updatedAt" AS "updated_at: Timestamp"
           FROM "User" u WHERE NOT EXISTS (SELECT FROM identity i WHERE i.user_id = u."id")
           ORDER BY u."createdAt", u."id""#
    )
    .fetch_all(connection)
    .await
}

pub async fn count_bound_users(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM identity"#).fetch_one(connection).await
}

/// One at a time for each address (or user name), until the transaction ends: PostgreSQL has no unique index that
/// ignores case on the original's table.
pub async fn lock_text(connection: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('user:' || lower($1), 0))", text)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Writes an attempt to register, or finds the unfinished one with the same address and user name, whose life begins
/// anew. `resumed` says which, `repeated` whether this proof was given for it before. The role is kept for whoever gives the same proof again.
pub async fn upsert_pending_registration(
    connection: &mut PgConnection,
    registrant: Registrant<'_>,
    proof: &[u8],
    lifetime: Duration,
) -> Result<PendingRegistration, sqlx::Error> {
    sqlx::query_as!(
        PendingRegistration,
        r#"WITH pending AS (
               INSERT INTO pending_registration (email, username, role, expires_at)
               VALUES ($1, $2, $3, now() + $4::float8 * interval '1 second')
               ON CONFLICT (lower(email), lower(username)) DO UPDATE SET expires_at = excluded.expires_at
               RETURNING id, expires_at, (xmax <> 0) AS resumed
           ), attempt AS (
               INSERT INTO registration_attempt (pending_id, proof, role) SELECT id, $5, $3 FROM pending
               ON CONFLICT (pending_id, proof) DO UPDATE SET role = excluded.role
               RETURNING proof, (xmax <> 0) AS repeated
           )
           SELECT pending.id, pending.expires_at, pending.resumed AS "resumed!", attempt.proof,
                  attempt.repeated AS "repeated!"
           FROM pending, attempt"#,
        registrant.email,
        registrant.username,
        registrant.role as Role,
        lifetime.as_secs_f64(),
        proof,
    )
    .fetch_one(connection)
    .await
}

pub async fn is_registration_pending(
    connection: &mut PgConnection,
    email: &str,
    username: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pending_registration
                          WHERE lower(email) = lower($1) AND lower(username) = lower($2) AND expires_at > now())
           AS "pending!""#,
        email,
        username,
    )
    .fetch_one(connection)
    .await
}

/// The role that whoever gives this proof asked for, in an unfinished registration.
pub async fn find_attempted_role(
    connection: &mut PgConnection,
    email: &str,
    username: &str,
    proof: &[u8],
) -> Result<Option<Role>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT a.role AS "role: Role"
           FROM pending_registration p JOIN registration_attempt a ON a.pending_id = p.id
           WHERE lower(p.email) = lower($1) AND lower(p.username) = lower($2) AND p.expires_at > now() AND a.proof = $3"#,
        email,
        username,
        proof,
    )
    .fetch_optional(connection)
    .await
}

/// Removes what one maker asked for.
pub async fn delete_registration_attempt(
    connection: &mut PgConnection,
    pending: &PendingRegistration,
) -> Result<(), sqlx::Error> {
    let id: Uuid = pending.id;
    sqlx::query!("DELETE FROM registration_attempt WHERE pending_id = $1 AND proof = $2", id, &pending.proof)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes an attempt, unless it was resumed meanwhile.
pub async fn delete_pending_registration(
    connection: &mut PgConnection,
    pending: &PendingRegistration,
) -> Result<(), sqlx::Error> {
    let id: Uuid = pending.id;
    sqlx::query!("DELETE FROM pending_registration WHERE id = $1 AND expires_at = $2", id, pending.expires_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes all attempts of an address: its user exists now.
pub async fn delete_pending_registrations(connection: &mut PgConnection, email: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM pending_registration WHERE lower(email) = lower($1)", email).execute(connection).await?;
    Ok(())
}
