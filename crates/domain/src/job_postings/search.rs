//! The search over published postings: filters and order are PostgreSQL's work, a page at a time.
//!
//! Found are postings that have a checkpoint and no accepted candidate. The order is the number of skills in common
//! with the freelance who asks (so recommended ones come first), then newest first, then id: stable across pages.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    JobPosting, JobPostingLocation, queries,
    relations::{self, JobPostingWithRelations},
};
use crate::ids::{JobPostingId, UserId};

/// From how many skills in common a posting is recommended.
pub const RECOMMENDED_FROM: i64 = 3;

/// What to look for; `None` does not narrow the search.
#[derive(Clone, Debug, Default)]
pub struct JobPostingSearch {
    /// A part of the title or of a skill's name, in any case, taken literally.
    pub title: Option<String>,
    /// Names of skills, in any case; the posting has at least one of them. Empty does not narrow the search.
    pub skill_names: Vec<String>,
    pub location: Option<JobPostingLocation>,
    /// In euros.
    pub minimum_daily_rate: Option<f64>,
    pub maximum_daily_rate: Option<f64>,
    /// In years.
    pub minimum_seniority: Option<f64>,
    pub maximum_seniority: Option<f64>,
    pub skip: i64,
    pub take: i64,
}

/// A posting on a page of results.
#[derive(Clone, Debug)]
pub struct FoundJobPosting {
    pub job_posting: JobPostingWithRelations,
    /// Skills that both the posting and the freelance who asks have.
    pub common_skills: i64,
}

impl FoundJobPosting {
    pub fn is_recommended(&self) -> bool {
        self.common_skills >= RECOMMENDED_FROM
    }
}

#[derive(Clone, Debug)]
pub struct FoundJobPostings {
    pub page: Vec<FoundJobPosting>,
    /// How many match in all.
    pub total: i64,
}

/// The search with names resolved to skills.
struct Criteria<'a> {
    search: &'a JobPostingSearch,
    /// A pattern for `ILIKE`.
    title: Option<String>,
    skills_of_title: Vec<Uuid>,
    skill_ids: Option<Vec<Uuid>>,
}

/// One page of results for `seeker`, whose skills decide what is recommended. Nine statements at most.
pub async fn search(
    connection: &mut PgConnection,
    search: &JobPostingSearch,
    seeker: Option<UserId>,
) -> Result<FoundJobPostings, sqlx::Error> {
    let criteria = resolve(connection, search).await?;
    let skills_of_seeker = match seeker {
        Some(seeker) => list_skills_of_user(connection, seeker).await?,
        None => Vec::new(),
    };
    let total = count_matches(connection, &criteria).await?;
    let ranked = if skills_of_seeker.is_empty() {
        list_newest(connection, &criteria).await?
    } else {
        list_by_common_skills(connection, &criteria, &skills_of_seeker).await?
    };
    let ids: Vec<Uuid> = ranked.iter().map(|(id, _)| id.0).collect();
    let mut rows: HashMap<JobPostingId, JobPosting> = HashMap::new();
    if !ids.is_empty() {
        rows.extend(queries::list_job_postings_by_ids(connection, &ids).await?.into_iter().map(|row| (row.id, row)));
    }
    // A posting deleted since the page was chosen is left out.
    let (postings, common): (Vec<_>, Vec<_>) =
        ranked.into_iter().filter_map(|(id, common)| rows.remove(&id).map(|posting| (posting, common))).unzip();
    let page = relations::load(connection, postings)
        .await?
        .into_iter()
        .zip(common)
        .map(|(job_posting, common_skills)| FoundJobPosting { job_posting, common_skills })
        .collect();
    Ok(FoundJobPostings { page, total })
}

async fn resolve<'a>(connection: &mut PgConnection, search: &'a JobPostingSearch) -> Result<Criteria<'a>, sqlx::Error> {
    let title = search.title.as_deref().filter(|title| !title.is_empty()).map(containing);
    let skills_of_title = match &title {
        Some(pattern) => {
            sqlx::query_scalar!(r#"SELECT "id" FROM "Skill" WHERE "name" ILIKE $1"#, pattern)
                .fetch_all(&mut *connection)
                .await?
        }
        None => Vec::new(),
    };
    let skill_ids = if search.skill_names.is_empty() {
        None
    } else {
        let found = sqlx::query_scalar!(
            r#"SELECT "id" FROM "Skill" WHERE lower("name") IN (SELECT lower(name) FROM unnest($1::text[]) AS name)"#,
            &search.skill_names,
        )
        .fetch_all(connection)
        .await?;
        Some(found)
    };
    Ok(Criteria { search, title, skills_of_title, skill_ids })
}

/// The pattern for `ILIKE` that matches texts with `text` in them; `%`, `_` and `\` have no meaning in it.
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

async fn list_skills_of_user(connection: &mut PgConnection, user_id: UserId) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT link."B" FROM "_FreelanceToSkill" link JOIN "Freelance" f ON f."id" = link."A"
           WHERE f."userId" = $1"#,
        user_id.0,
    )
    .fetch_all(connection)
    .await
}

/// A statement over the matching postings p: a head, the filters as parameters 1 to 8, a tail.
macro_rules! matching {
    ($query:ident, $criteria:expr, $head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::$query!(
            $head + r#" WHERE p."status" = 'PUBLISHED'
               AND ($1::text IS NULL OR p."title" ILIKE $1
                    OR EXISTS (SELECT FROM "_JobPostingToSkill" link WHERE link."A" = p."id" AND link."B" = ANY($2)))
               AND ($3::uuid[] IS NULL
                    OR EXISTS (SELECT FROM "_JobPostingToSkill" link WHERE link."A" = p."id" AND link."B" = ANY($3)))
               AND ($4::"JobPostingLocation" IS NULL OR p."location" = $4)
               AND ($5::float8 IS NULL OR p."averageDailyRate" >= $5)
               AND ($6::float8 IS NULL OR p."averageDailyRate" <= $6)
               AND ($7::float8 IS NULL OR p."seniority" >= $7)
               AND ($8::float8 IS NULL OR p."seniority" <= $8)
               AND EXISTS (SELECT FROM "Checkpoint" s WHERE s."jobPostingId" = p."id")
               AND NOT EXISTS (SELECT FROM "Candidate" k WHERE k."jobPostingId" = p."id" AND k."status" = 'ACCEPTED')
               "# + $tail,
            $criteria.title,
            &$criteria.skills_of_title,
            $criteria.skill_ids.as_deref(),
            $criteria.search.location as Option<JobPostingLocation>,
            $criteria.search.minimum_daily_rate,
            $criteria.search.maximum_daily_rate,
            $criteria.search.minimum_seniority,
            $criteria.search.maximum_seniority
            $(, $argument)*
        )
    };
}

async fn count_matches(connection: &mut PgConnection, criteria: &Criteria<'_>) -> Result<i64, sqlx::Error> {
    matching!(query_scalar, criteria, r#"SELECT count(*) AS "count!" FROM "JobPosting" p"#, "")
        .fetch_one(connection)
        .await
}

type Ranked = Vec<(JobPostingId, i64)>;

/// The page for somebody without skills: newest first, straight from the index.
async fn list_newest(connection: &mut PgConnection, criteria: &Criteria<'_>) -> Result<Ranked, sqlx::Error> {
    let ids = matching!(
        query_scalar,
        criteria,
        r#"SELECT p."id" AS "id: JobPostingId" FROM "JobPosting" p"#,
        r#"ORDER BY p."createdAt" DESC, p."id" LIMIT $9 OFFSET $10"#,
        criteria.search.take,
        criteria.search.skip
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(|id| (id, 0)).collect())
}

async fn list_by_common_skills(
    connection: &mut PgConnection,
    criteria: &Criteria<'_>,
    skills_of_seeker: &[Uuid],
) -> Result<Ranked, sqlx::Error> {
    let rows = matching!(
        query,
        criteria,
        r#"SELECT p."id" AS "id: JobPostingId", coalesce(common.count, 0) AS "common!"
           FROM "JobPosting" p
           LEFT JOIN (SELECT link."A" AS id, count(*) AS count FROM "_JobPostingToSkill" link
                      WHERE link."B" = ANY($9) GROUP BY link."A") common ON common.id = p."id""#,
        r#"ORDER BY coalesce(common.count, 0) DESC, p."createdAt" DESC, p."id" LIMIT $10 OFFSET $11"#,
        skills_of_seeker,
        criteria.search.take,
        criteria.search.skip
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.common)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault case 53.
    #[test]
    fn wildcards_are_literal() {
        assert_eq!(containing(r"50 %_\ a"), r"%50 \%\_\\ a%");
        assert_eq!(containing("';--"), "%';--%");
    }
}
