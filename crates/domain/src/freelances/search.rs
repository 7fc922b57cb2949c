//! The public search of freelances, newest first; `crate::search` says how a page is found, and how far it goes.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Freelance;
use crate::{
    Timestamp,
    ids::{FreelanceId, UserId},
    search::{self, Conditions, Searching, Slice, containing},
    skills::{Skill, SkillCatalog},
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
    /// How many there are on all pages: exact unless the table is large and the matches are many, see [`search::Limits`].
    pub total: i64,
}

/// One page of results. Two to six statements.
pub async fn search(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    search: &FreelanceSearch,
    searching: &Searching,
) -> Result<SearchPage, sqlx::Error> {
    let skills = match search.skill_names.as_deref() {
        Some(names) if !names.is_empty() => Some(list_named_skills(connection, names).await?),
        _ => None,
    };
    let slice = Slice::new(search.skip, search.take);
    let conditions = conditions(search, skills);
    let page = search::find::<search::Freelances>(connection, conditions, &[], slice, searching).await?;
    let found = if page.ids.is_empty() { Vec::new() } else { list_found(connection, catalog, &page.ids).await? };
    Ok(SearchPage { found, total: page.total })
}

fn conditions(search: &FreelanceSearch, skills: Option<Vec<Uuid>>) -> Conditions<String> {
    let pattern = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(containing);
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range becomes its end")]
    let whole = |years: f64| years as i64;
    let job_title = pattern(&search.job_title);
    Conditions {
        // The text has the job title in it, so that its index helps to find one.
        text: pattern(&search.query).or_else(|| job_title.clone()),
        skills,
        minimum_daily_rate: search.min_daily_rate,
        maximum_daily_rate: search.max_daily_rate,
        minimum_seniority: search.min_seniority.map(whole),
        maximum_seniority: search.max_seniority.map(whole),
        narrow: job_title,
    }
}

async fn list_named_skills(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT s."id" FROM "Skill" s
           WHERE lower(s."name") = ANY(ARRAY(SELECT lower(name) FROM unnest($1::text[]) name))"#,
        names,
    )
    .fetch_all(connection)
    .await
}

/// The profiles with these ids, in their order. One that was deleted since they were chosen is left out. As in
/// `crate::search`, parameters in subqueries keep the plan.
async fn list_found(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    ids: &[Uuid],
) -> Result<Vec<FoundFreelance>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT f."id" AS "id: FreelanceId", f."userId" AS "user_id: UserId", f."firstName" AS first_name,
                  f."lastName" AS last_name, f."jobTitle" AS job_title, f."averageDailyRate" AS average_daily_rate,
                  f."seniority", f."location", f."createdAt" AS "created_at: Timestamp",
                  f."updatedAt" AS "updated_at: Timestamp", u."username",
                  ARRAY(SELECT link."B" FROM "_FreelanceToSkill" link WHERE link."A" = f."id") AS "skills!"
           FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS chosen (id, place)
                JOIN "Freelance" f ON f."id" = chosen.id JOIN "User" u ON u."id" = f."userId"
           ORDER BY chosen.place"#,
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let lists: Vec<&[Uuid]> = rows.iter().map(|row| row.skills.as_slice()).collect();
    let skills = catalog.find_each(connection, &lists).await?;
    let found = rows.into_iter().zip(skills).map(|(row, skills)| FoundFreelance {
        freelance: Freelance {
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
        },
        username: row.username,
        skills,
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_conditions_do_not_matter() {
        let search = FreelanceSearch {
            query: Some(String::new()),
            job_title: Some("dev".to_owned()),
            min_seniority: Some(2.9),
            ..FreelanceSearch::default()
        };
        let conditions = conditions(&search, None);
        assert_eq!((conditions.text.as_deref(), conditions.narrow.as_deref()), (Some("%dev%"), Some("%dev%")));
        assert_eq!(conditions.minimum_seniority, Some(2));
    }
}
