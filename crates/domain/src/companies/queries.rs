//! Statements on "Company".

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Company, CompanyChanges, NewCompany};
use crate::{
    Timestamp,
    ids::{CompanyId, UserId},
    policy::{Actor, CompanyFacts},
};

pub async fn find_company(connection: &mut PgConnection, id: CompanyId) -> Result<Option<Company>, sqlx::Error> {
    sqlx::query_as!(
        Company,
        r#"SELECT "id" AS "id: CompanyId", "userId" AS "user_id: UserId", "name", "description", "address", "siren",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Company" WHERE "id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

pub async fn find_company_of_user(
    connection: &mut PgConnection,
    user_id: UserId,
) -> Result<Option<Company>, sqlx::Error> {
    sqlx::query_as!(
        Company,
        r#"SELECT "id" AS "id: CompanyId", "userId" AS "user_id: UserId", "name", "description", "address", "siren",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Company" WHERE "userId" = $1"#,
        user_id.0,
    )
    .fetch_optional(connection)
    .await
}

/// The companies of several rows at once, in no order.
pub async fn list_companies_by_id(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Company>, sqlx::Error> {
    sqlx::query_as!(
        Company,
        r#"SELECT "id" AS "id: CompanyId", "userId" AS "user_id: UserId", "name", "description", "address", "siren",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Company" WHERE "id" = ANY($1)"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// The company, and what it is to `actor`.
pub async fn find_facts(
    connection: &mut PgConnection,
    id: CompanyId,
    actor: Option<Actor>,
) -> Result<Option<(Company, CompanyFacts)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT c."id" AS "id: CompanyId", c."userId" AS "user_id: UserId", c."name", c."description", c."address",
                  c."siren", c."createdAt" AS "created_at: Timestamp", c."updatedAt" AS "updated_at: Timestamp",
                  EXISTS (SELECT 1 FROM "JobPosting" p WHERE p."companyId" = c."id" AND p."status" = 'PUBLISHED')
                      AS "has_published_posting!",
                  EXISTS (SELECT 1 FROM "Freelance" f WHERE f."userId" = $2 AND (
                      EXISTS (SELECT 1 FROM "Candidate" a JOIN "JobPosting" p ON p."id" = a."jobPostingId"
                              WHERE a."freelanceId" = f."id" AND p."companyId" = c."id")
                      OR EXISTS (SELECT 1 FROM "Project" r JOIN "JobPosting" p ON p."id" = r."jobPostingId"
                                 WHERE r."freelanceId" = f."id" AND coalesce(r."companyId", p."companyId") = c."id")
                  )) AS "is_counterpart!"
           FROM "Company" c WHERE c."id" = $1"#,
        id.0,
        actor.map(|actor| actor.user_id.0),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let facts = CompanyFacts {
            owner: row.user_id,
            has_published_posting: row.has_published_posting,
            is_counterpart: row.is_counterpart,
        };
        let company = Company {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            description: row.description,
            address: row.address,
            siren: row.siren,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (company, facts)
    }))
}

/// Fails on the unique index `Company_userId_key` when the user has a company.
pub async fn insert_company(
    connection: &mut PgConnection,
    owner: UserId,
    company: &NewCompany,
) -> Result<Company, sqlx::Error> {
    sqlx::query_as!(
        Company,
        r#"INSERT INTO "Company" ("userId", "name", "description", "address", "siren") VALUES ($1, $2, $3, $4, $5)
           RETURNING "id" AS "id: CompanyId", "userId" AS "user_id: UserId", "name", "description", "address", "siren",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        owner.0,
        company.name,
        company.description,
        company.address,
        company.siren,
    )
    .fetch_one(connection)
    .await
}

/// `None` when there is no such company.
pub async fn update_company(
    connection: &mut PgConnection,
    id: CompanyId,
    changes: &CompanyChanges,
) -> Result<Option<Company>, sqlx::Error> {
    sqlx::query_as!(
        Company,
        r#"UPDATE "Company" SET "name" = coalesce($2, "name"), "description" = coalesce($3, "description"),
                  "address" = coalesce($4, "address"), "siren" = coalesce($5, "siren"),
                  "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1
           RETURNING "id" AS "id: CompanyId", "userId" AS "user_id: UserId", "name", "description", "address", "siren",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        id.0,
        changes.name,
        changes.description,
        changes.address,
        changes.siren,
    )
    .fetch_optional(connection)
    .await
}

/// Locks the company, so that nothing begins to refer to it; returns whether it is there.
pub async fn lock_company(connection: &mut PgConnection, id: CompanyId) -> Result<bool, sqlx::Error> {
    let row = sqlx::query_scalar!(r#"SELECT "id" FROM "Company" WHERE "id" = $1 FOR UPDATE"#, id.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Whether a job posting or a project is the company's.
pub async fn is_company_in_use(connection: &mut PgConnection, id: CompanyId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM "JobPosting" WHERE "companyId" = $1)
               OR EXISTS (SELECT 1 FROM "Project" WHERE "companyId" = $1) AS "in_use!""#,
        id.0,
    )
    .fetch_one(connection)
    .await
}

pub async fn delete_company(connection: &mut PgConnection, id: CompanyId) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"DELETE FROM "Company" WHERE "id" = $1"#, id.0).execute(connection).await?;
    Ok(())
}
