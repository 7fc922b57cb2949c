//! The search over published postings that have a checkpoint and no accepted candidate.
//!
//! The order is the number of skills in common with the freelance who asks (so recommended ones come first), then newest
//! first, then id: stable across pages. `crate::search` says how a page is found, and how far it goes.

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{JobPosting, JobPostingLocation, JobPostingStatus, PublicPosting};
use crate::{
    Timestamp,
    checkpoints::{Checkpoint, CheckpointRow},
    ids::{CompanyId, JobPostingId, UserId},
    search::{self, Conditions, Searching, Slice, containing},
    skills::SkillCatalog,
};

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
    pub found: PublicPosting,
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
    /// How many match in all: exact unless the table is large and the matches are many, see [`search::Limits`].
    pub total: i64,
}

/// One page of results for `seeker`, whose skills decide what is recommended. Two to six statements.
pub async fn search(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    search: &JobPostingSearch,
    seeker: Option<UserId>,
    searching: &Searching,
) -> Result<FoundJobPostings, sqlx::Error> {
    let (skills, common) = resolve(connection, search, seeker).await?;
    let conditions = conditions(search, skills);
    let slice = Slice::new(search.skip, search.take);
    let page = search::find::<search::JobPostings>(connection, conditions, &common, slice, searching).await?;
    if page.ids.is_empty() {
        return Ok(FoundJobPostings { page: Vec::new(), total: page.total });
    }
    Ok(FoundJobPostings { page: list_found(connection, catalog, &page.ids, &common).await?, total: page.total })
}

fn conditions(search: &JobPostingSearch, skills: Option<Vec<Uuid>>) -> Conditions<JobPostingLocation> {
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range becomes its end")]
    let whole = |years: f64| years as i64;
    Conditions {
        text: search.title.as_deref().filter(|title| !title.is_empty()).map(containing),
        skills,
        minimum_daily_rate: search.minimum_daily_rate,
        maximum_daily_rate: search.maximum_daily_rate,
        minimum_seniority: search.minimum_seniority.map(|years| whole(years.ceil())),
        maximum_seniority: search.maximum_seniority.map(|years| whole(years.floor())),
        narrow: search.location,
    }
}

/// The skills of the names asked for, and those of the seeker.
async fn resolve(
    connection: &mut PgConnection,
    search: &JobPostingSearch,
    seeker: Option<UserId>,
) -> Result<(Option<Vec<Uuid>>, Vec<Uuid>), sqlx::Error> {
    let is_narrowed = !search.skill_names.is_empty();
    if !is_narrowed && seeker.is_none() {
        return Ok((None, Vec::new()));
    }
    let row = sqlx::query!(
        r#"SELECT ARRAY(SELECT s."id" FROM "Skill" s
                        WHERE lower(s."name") = ANY(ARRAY(SELECT lower(name) FROM unnest($1::text[]) name))) AS "named!",
                  ARRAY(SELECT link."B" FROM "_FreelanceToSkill" link JOIN "Freelance" f ON f."id" = link."A"
                        WHERE f."userId" = $2) AS "of_seeker!""#,
        &search.skill_names,
        seeker.map(|seeker| seeker.0),
    )
    .fetch_one(connection)
    .await?;
    Ok((is_narrowed.then_some(row.named), row.of_seeker))
}

/// The postings with these ids, in their order. One that was deleted since they were chosen is left out. As in
/// `crate::search`, parameters in subqueries keep the plan.
async fn list_found(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    ids: &[Uuid],
    common: &[Uuid],
) -> Result<Vec<FoundJobPosting>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT p."id" AS "id: JobPostingId", p."companyId" AS "company_id: CompanyId", p."title", p."description",
                  p."location" AS "location: JobPostingLocation", p."isPromoted" AS is_promoted,
                  p."averageDailyRate" AS average_daily_rate, p."seniority", p."totalAmount" AS total_amount,
                  p."status" AS "status: JobPostingStatus", p."createdAt" AS "created_at: Timestamp",
                  p."updatedAt" AS "updated_at: Timestamp", c."name" AS company_name,
                  ARRAY(SELECT link."B" FROM "_JobPostingToSkill" link WHERE link."A" = p."id") AS "skills!",
                  (SELECT json_agg(s ORDER BY s."date", s."createdAt", s."id") FROM "Checkpoint" s
                   WHERE s."jobPostingId" = p."id") AS "checkpoints: Json<Vec<CheckpointRow>>"
           FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS chosen (id, place)
                JOIN "JobPosting" p ON p."id" = chosen.id JOIN "Company" c ON c."id" = p."companyId"
           ORDER BY chosen.place"#,
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let lists: Vec<&[Uuid]> = rows.iter().map(|row| row.skills.as_slice()).collect();
    let skills = catalog.find_each(connection, &lists).await?;
    let found = rows.into_iter().zip(skills).map(|(row, skills)| {
        let common_skills = row.skills.iter().map(|skill| i64::from(common.contains(skill))).sum();
        let posting = JobPosting {
            id: row.id,
            company_id: row.company_id,
            title: row.title,
            description: row.description,
            location: row.location,
            is_promoted: row.is_promoted,
            average_daily_rate: row.average_daily_rate,
            seniority: row.seniority,
            total_amount: row.total_amount,
            status: row.status,
            // Of no concern to those who search.
            stripe_session_id: None,
            stripe_refund_id: None,
            canceled_at: None,
            cancel_reason: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        let checkpoints = row.checkpoints.map(|rows| rows.0.into_iter().map(Checkpoint::from).collect());
        FoundJobPosting {
            found: PublicPosting {
                posting,
                company_name: row.company_name,
                skills,
                checkpoints: checkpoints.unwrap_or_default(),
            },
            common_skills,
        }
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_years_narrow_to_whole_ones() {
        let search = JobPostingSearch {
            title: Some(String::new()),
            minimum_seniority: Some(0.5),
            maximum_seniority: Some(1e300),
            ..JobPostingSearch::default()
        };
        let conditions = conditions(&search, None);
        assert!(conditions.text.is_none());
        assert_eq!((conditions.minimum_seniority, conditions.maximum_seniority), (Some(1), Some(i64::MAX)));
    }
}
