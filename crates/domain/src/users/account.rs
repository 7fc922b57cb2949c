//! Everything a user may know of their own account: the row, and the profile of their role with its skills.

use sqlx::PgConnection;

use super::{Role, User};
use crate::{
    Timestamp,
    ids::{CompanyId, FreelanceId, UserId},
    skills::{Skill, SkillCatalog},
};

/// Notified with a user's id when a row of their account changes, and with nothing when many do.
pub const CHANNEL: &str = "freehunt_accounts";

/// A user with their own profile.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: User,
    pub company: Option<CompanyProfile>,
    pub freelance: Option<FreelanceProfile>,
}

/// A row of "Company", as its owner sees it.
#[derive(Clone, Debug)]
pub struct CompanyProfile {
    pub id: CompanyId,
    pub name: String,
    pub description: String,
    pub address: String,
    pub siren: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A row of "Freelance" with its skills, as its owner sees it.
#[derive(Clone, Debug)]
pub struct FreelanceProfile {
    pub id: FreelanceId,
    pub first_name: String,
    pub last_name: String,
    pub job_title: String,
    /// Euros a day.
    pub average_daily_rate: f64,
    /// Years.
    pub seniority: i32,
    pub location: String,
    pub stripe_account_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub skills: Vec<Skill>,
}

/// One statement.
pub async fn find_account(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    id: UserId,
) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT u."id" AS "id: UserId", u."email", u."username", u."role" AS "role: Role",
                  u."createdAt" AS "created_at: Timestamp", u."updatedAt" AS "updated_at: Timestamp",
                  c."id" AS "company_id?: CompanyId", c."name" AS "company_name?", c."description" AS "description?",
                  c."address" AS "address?", c."siren" AS "siren?",
                  c."createdAt" AS "company_created_at?: Timestamp", c."updatedAt" AS "company_updated_at?: Timestamp",
                  f."id" AS "freelance_id?: FreelanceId", f."firstName" AS "first_name?", f."lastName" AS "last_name?",
                  f."jobTitle" AS "job_title?", f."averageDailyRate" AS "average_daily_rate?",
                  f."seniority" AS "seniority?", f."location" AS "location?",
                  f."stripeAccountId" AS "stripe_account_id?",
                  f."createdAt" AS "freelance_created_at?: Timestamp", f."updatedAt" AS "freelance_updated_at?: Timestamp",
                  ARRAY(SELECT link."B" FROM "_FreelanceToSkill" link WHERE link."A" = f."id") AS "skill_ids!"
           FROM "User" u
                LEFT JOIN "Company" c ON c."userId" = u."id"
                LEFT JOIN "Freelance" f ON f."userId" = u."id"
           WHERE u."id" = $1"#,
        id.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let user = User {
        id: row.id,
        email: row.email,
        username: row.username,
        role: row.role,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    let created_at = user.created_at;
    // The join gives either the whole row of a profile or none of it, so the defaults never show.
    let company = row.company_id.map(|id| CompanyProfile {
        id,
        name: row.company_name.unwrap_or_default(),
        description: row.description.unwrap_or_default(),
        address: row.address.unwrap_or_default(),
        siren: row.siren.unwrap_or_default(),
        created_at: row.company_created_at.unwrap_or(created_at),
        updated_at: row.company_updated_at.unwrap_or(created_at),
    });
    let mut freelance = row.freelance_id.map(|id| FreelanceProfile {
        id,
        first_name: row.first_name.unwrap_or_default(),
        last_name: row.last_name.unwrap_or_default(),
        job_title: row.job_title.unwrap_or_default(),
        average_daily_rate: row.average_daily_rate.unwrap_or_default(),
        seniority: row.seniority.unwrap_or_default(),
        location: row.location.unwrap_or_default(),
        stripe_account_id: row.stripe_account_id,
        created_at: row.freelance_created_at.unwrap_or(created_at),
        updated_at: row.freelance_updated_at.unwrap_or(created_at),
        skills: Vec::new(),
    });
    if let Some(profile) = &mut freelance {
        profile.skills = catalog.find(connection, &row.skill_ids).await?;
    }
    Ok(Some(Account { user, company, freelance }))
}
