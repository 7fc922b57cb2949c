//! Statements on "Skill" and its two join tables.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{NewSkill, Skill, SkillFields, SkillType};
use crate::{Timestamp, ids::SkillId};

/// All skills, in the order they were made.
pub async fn list_skills(connection: &mut PgConnection) -> Result<Vec<Skill>, sqlx::Error> {
    let skills = sqlx::query_as!(
        SkillFields,
        r#"SELECT "id" AS "id: SkillId", "name", "normalizedName" AS normalized_name, coalesce("aliases", '{}') AS "aliases!",
                  "type" AS "type: SkillType", "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Skill" ORDER BY "createdAt", "id""#
    )
    .fetch_all(connection)
    .await?;
    Ok(skills.into_iter().map(Skill::from).collect())
}

pub async fn find_skill(connection: &mut PgConnection, id: SkillId) -> Result<Option<Skill>, sqlx::Error> {
    let skill = sqlx::query_as!(
        SkillFields,
        r#"SELECT "id" AS "id: SkillId", "name", "normalizedName" AS normalized_name, coalesce("aliases", '{}') AS "aliases!",
                  "type" AS "type: SkillType", "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Skill" WHERE "id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(skill.map(Skill::from))
}

pub async fn insert_skill(
    connection: &mut PgConnection,
    skill: &NewSkill,
    normalized_name: &str,
) -> Result<Skill, sqlx::Error> {
    let skill = sqlx::query_as!(
        SkillFields,
        r#"INSERT INTO "Skill" ("name", "normalizedName", "aliases", "type") VALUES ($1, $2, $3, $4)
           RETURNING "id" AS "id: SkillId", "name", "normalizedName" AS normalized_name, coalesce("aliases", '{}') AS "aliases!",
                  "type" AS "type: SkillType", "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        skill.name,
        normalized_name,
        &skill.aliases,
        skill.r#type as SkillType,
    )
    .fetch_one(connection)
    .await?;
    Ok(skill.into())
}

/// How many of `ids` exist.
pub async fn count_skills(connection: &mut PgConnection, ids: &[Uuid]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM "Skill" WHERE "id" = ANY($1)"#, ids)
        .fetch_one(connection)
        .await
}

/// The skills of several postings or profiles at once, each with the id of the row it belongs to, oldest skills
/// first.
#[derive(Clone, Debug)]
pub struct LinkedSkill {
    pub of: Uuid,
    pub skill: Skill,
}

macro_rules! list_linked {
    ($connection:expr, $sql:literal, $ids:expr) => {{
        let rows = sqlx::query!($sql, $ids).fetch_all($connection).await?;
        Ok(rows
            .into_iter()
            .map(|row| LinkedSkill {
                of: row.of,
                skill: Skill::from(SkillFields {
                    id: row.id,
                    name: row.name,
                    normalized_name: row.normalized_name,
                    aliases: row.aliases,
                    r#type: row.r#type,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                }),
            })
            .collect())
    }};
}

pub async fn list_job_posting_skills(
    connection: &mut PgConnection,
    job_posting_ids: &[Uuid],
) -> Result<Vec<LinkedSkill>, sqlx::Error> {
    list_linked!(
        connection,
        r#"SELECT link."A" AS of, s."id" AS "id: SkillId", s."name", s."normalizedName" AS normalized_name,
                  coalesce(s."aliases", '{}') AS "aliases!", s."type" AS "type: SkillType",
                  s."createdAt" AS "created_at: Timestamp", s."updatedAt" AS "updated_at: Timestamp"
           FROM "_JobPostingToSkill" link JOIN "Skill" s ON s."id" = link."B"
           WHERE link."A" = ANY($1) ORDER BY s."createdAt", s."id""#,
        job_posting_ids
    )
}

pub async fn list_freelance_skills(
    connection: &mut PgConnection,
    freelance_ids: &[Uuid],
) -> Result<Vec<LinkedSkill>, sqlx::Error> {
    list_linked!(
        connection,
        r#"SELECT link."A" AS of, s."id" AS "id: SkillId", s."name", s."normalizedName" AS normalized_name,
                  coalesce(s."aliases", '{}') AS "aliases!", s."type" AS "type: SkillType",
                  s."createdAt" AS "created_at: Timestamp", s."updatedAt" AS "updated_at: Timestamp"
           FROM "_FreelanceToSkill" link JOIN "Skill" s ON s."id" = link."B"
           WHERE link."A" = ANY($1) ORDER BY s."createdAt", s."id""#,
        freelance_ids
    )
}

/// Groups by owner: the skills of `id` are those whose `of` it is.
pub fn skills_of(linked: &[LinkedSkill], id: Uuid) -> Vec<Skill> {
    linked.iter().filter(|entry| entry.of == id).map(|entry| entry.skill.clone()).collect()
}
