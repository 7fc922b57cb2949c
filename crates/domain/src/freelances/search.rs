//! The public search of freelances: one statement for the page, one for the total, one for the page's skills.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Freelance;
use crate::{
    Timestamp,
    ids::{FreelanceId, UserId},
    skills::{
        Skill,
        queries::{list_freelance_skills, skills_of},
    },
};

/// What is looked for; what is `None` does not matter. All conditions that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct FreelanceSearch {
    /// Part of a name, the job title, the place or a skill's name, whatever its case.
    pub query: Option<String>,
    /// Part of the job title, whatever its case.
    pub job_title: Option<String>,
    /// Names of skills, whatever their case; one of them is enough.
    pub skill_names: Option<Vec<String>>,
    /// Euros a day.
    pub min_daily_rate: Option<f64>,
    pub max_daily_rate: Option<f64>,
    /// Years; a fraction is cut off, as the original does.
    pub min_seniority: Option<f64>,
    pub max_seniority: Option<f64>,
    pub skip: i64,
    pub take: i64,
}

#[derive(Clone, Debug)]
pub struct FoundFreelance {
    /// Without its payout account, which a search does not load.
    pub freelance: Freelance,
    pub username: String,
    pub skills: Vec<Skill>,
}

#[derive(Clone, Debug)]
pub struct SearchPage {
    /// Newest first, then by id.
    pub found: Vec<FoundFreelance>,
    /// How many there are on all pages.
    pub total: i64,
}

pub async fn search(connection: &mut PgConnection, search: &FreelanceSearch) -> Result<SearchPage, sqlx::Error> {
    let conditions = Conditions::of(search);
    let page = list_page(connection, &conditions, search.skip, search.take).await?;
    let total = count_found(connection, &conditions).await?;
    let ids: Vec<Uuid> = page.iter().map(|(freelance, _)| freelance.id.0).collect();
    let skills = list_freelance_skills(connection, &ids).await?;
    let found = page
        .into_iter()
        .map(|(freelance, username)| {
            let skills = skills_of(&skills, freelance.id.0);
            FoundFreelance { freelance, username, skills }
        })
        .collect();
    Ok(SearchPage { found, total })
}

/// The search as the statements take it.
struct Conditions {
    query: Option<String>,
    job_title: Option<String>,
    skill_names: Option<Vec<String>>,
    min_daily_rate: Option<f64>,
    max_daily_rate: Option<f64>,
    min_seniority: Option<f64>,
    max_seniority: Option<f64>,
}

impl Conditions {
    fn of(search: &FreelanceSearch) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(containing);
        Self {
            query: pattern(&search.query),
            job_title: pattern(&search.job_title),
            skill_names: search.skill_names.clone().filter(|names| !names.is_empty()),
            min_daily_rate: search.min_daily_rate,
            max_daily_rate: search.max_daily_rate,
            min_seniority: search.min_seniority.map(f64::trunc),
            max_seniority: search.max_seniority.map(f64::trunc),
        }
    }
}

/// The `LIKE` pattern of everything that contains `text`, in which no character has a meaning of its own.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

async fn list_page(
    connection: &mut PgConnection,
    conditions: &Conditions,
    skip: i64,
    take: i64,
) -> Result<Vec<(Freelance, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT f."id" AS "id: FreelanceId", f."userId" AS "user_id: UserId", f."firstName" AS first_name,
                  f."lastName" AS last_name, f."jobTitle" AS job_title, f."averageDailyRate" AS average_daily_rate,
                  f."seniority", f."location", f."createdAt" AS "created_at: Timestamp",
                  f."updatedAt" AS "updated_at: Timestamp", u."username"
           FROM "Freelance" f JOIN "User" u ON u."id" = f."userId"
           WHERE ($1::text IS NULL OR f."firstName" ILIKE $1 OR f."lastName" ILIKE $1 OR f."jobTitle" ILIKE $1
                  OR f."location" ILIKE $1
                  OR f."id" IN (SELECT l."A" FROM "_FreelanceToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                WHERE s."name" ILIKE $1))
             AND ($2::text IS NULL OR f."jobTitle" ILIKE $2)
             AND ($3::text[] IS NULL
                  OR f."id" IN (SELECT l."A" FROM "_FreelanceToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                WHERE lower(s."name") IN (SELECT lower(name) FROM unnest($3) AS name)))
             AND ($4::float8 IS NULL OR f."averageDailyRate" >= $4)
             AND ($5::float8 IS NULL OR f."averageDailyRate" <= $5)
             AND ($6::float8 IS NULL OR f."seniority" >= $6)
             AND ($7::float8 IS NULL OR f."seniority" <= $7)
           ORDER BY f."createdAt" DESC, f."id" OFFSET $8 LIMIT $9"#,
        conditions.query,
        conditions.job_title,
        conditions.skill_names.as_deref(),
        conditions.min_daily_rate,
        conditions.max_daily_rate,
        conditions.min_seniority,
        conditions.max_seniority,
        skip,
        take,
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().map(|row| {
        let freelance = Freelance {
            id: row.id,
            user_id: row.user_id,
            first_name: row.first_name,
            last_name: row.last_name,
            job_title: row.job_title,
            average_daily_rate: row.average_daily_rate,
            seniority: row.seniority,
            location: row.location,
            stripe_account_id: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (freelance, row.username)
    });
    Ok(found.collect())
}

/// The conditions are those of [`list_page`].
async fn count_found(connection: &mut PgConnection, conditions: &Conditions) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
           FROM "Freelance" f
           WHERE ($1::text IS NULL OR f."firstName" ILIKE $1 OR f."lastName" ILIKE $1 OR f."jobTitle" ILIKE $1
                  OR f."location" ILIKE $1
                  OR f."id" IN (SELECT l."A" FROM "_FreelanceToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                WHERE s."name" ILIKE $1))
             AND ($2::text IS NULL OR f."jobTitle" ILIKE $2)
             AND ($3::text[] IS NULL
                  OR f."id" IN (SELECT l."A" FROM "_FreelanceToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                WHERE lower(s."name") IN (SELECT lower(name) FROM unnest($3) AS name)))
             AND ($4::float8 IS NULL OR f."averageDailyRate" >= $4)
             AND ($5::float8 IS NULL OR f."averageDailyRate" <= $5)
             AND ($6::float8 IS NULL OR f."seniority" >= $6)
             AND ($7::float8 IS NULL OR f."seniority" <= $7)"#,
        conditions.query,
        conditions.job_title,
        conditions.skill_names.as_deref(),
        conditions.min_daily_rate,
        conditions.max_daily_rate,
        conditions.min_seniority,
        conditions.max_seniority,
    )
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_literal() {
        assert_eq!(containing(r"100%_\x"), r"%100\%\_\\x%");
    }

    #[test]
    fn empty_conditions_do_not_matter() {
        let search = FreelanceSearch {
            query: Some(String::new()),
            skill_names: Some(Vec::new()),
            min_seniority: Some(2.9),
            ..FreelanceSearch::default()
        };
        let conditions = Conditions::of(&search);
        assert!(conditions.query.is_none() && conditions.skill_names.is_none());
        assert_eq!(conditions.min_seniority, Some(2.0));
    }
}
