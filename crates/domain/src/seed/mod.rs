//! Believable demo data for an empty database: skills, companies, freelances, published postings, applications and a
//! conversation. The same rows every time. Postings are marked as published without a recorded payment, with the
//! acceptance of candidates allowed, because no money stands behind them.

mod data;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    ids::{CompanyId, FreelanceId, JobPostingId, UserId},
    money::Cents,
    skills::normalize_name,
    users::{Role, queries::insert_user},
};

/// The e-mail addresses of the two accounts a visitor of the sandbox logs in with.
pub const DEMO_FREELANCE: &str = "freelance@example.com";
pub const DEMO_COMPANY: &str = "company@example.com";

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the database is not empty (it has {users} users): demo data only goes into an empty one")]
    NotEmpty { users: i64 },
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
}

/// Somebody the seed made; the identity provider has to know the same person.
#[derive(Clone, Debug)]
pub struct SeededUser {
    pub id: UserId,
    pub email: String,
    pub username: String,
}

/// Fills an empty database in one transaction, and refuses any other.
pub async fn fill(pool: &PgPool) -> Result<Vec<SeededUser>, SeedError> {
    let mut transaction = pool.begin().await?;
    // Two seeds at once would both find the table empty.
    sqlx::query!(r#"LOCK TABLE "User" IN SHARE ROW EXCLUSIVE MODE"#).execute(&mut *transaction).await?;
    let users = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM "User""#).fetch_one(&mut *transaction).await?;
    if users > 0 {
        return Err(SeedError::NotEmpty { users });
    }
    let skills = insert_skills(&mut transaction).await?;
    let mut seeded = Vec::new();
    let mut freelances = Vec::new();
    for freelance in data::FREELANCES {
        let user = insert_person(&mut transaction, freelance.email, freelance.username, Role::Freelance).await?;
        freelances.push((user.id, insert_freelance(&mut transaction, user.id, freelance, &skills).await?));
        seeded.push(user);
    }
    let mut postings = Vec::new();
    let mut owners = Vec::new();
    for company in data::COMPANIES {
        let user = insert_person(&mut transaction, company.email, company.username, Role::Company).await?;
        let company_id = insert_company(&mut transaction, user.id, company).await?;
        for posting in data::POSTINGS.iter().filter(|posting| posting.company == company.username) {
            postings.push(insert_posting(&mut transaction, company_id, posting, &skills).await?);
        }
        owners.push(user.id);
        seeded.push(user);
    }
    insert_candidates(&mut transaction, &postings, &freelances).await?;
    insert_conversation(&mut transaction, owners[0], freelances[0].0).await?;
    transaction.commit().await?;
    Ok(seeded)
}

type Skills = Vec<(&'static str, Uuid)>;

async fn insert_skills(connection: &mut PgConnection) -> Result<Skills, sqlx::Error> {
    let mut skills = Vec::new();
    for (name, aliases, kind) in data::SKILLS {
        let aliases: Vec<String> = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let id = sqlx::query_scalar!(
            r#"INSERT INTO "Skill" ("name", "normalizedName", "aliases", "type")
               VALUES ($1, $2, $3, $4::text::"SkillType") RETURNING "id""#,
            name,
            normalize_name(name),
            &aliases,
            kind,
        )
        .fetch_one(&mut *connection)
        .await?;
        skills.push((*name, id));
    }
    Ok(skills)
}

fn skill_ids(skills: &Skills, names: &[&str]) -> Vec<Uuid> {
    skills.iter().filter(|(name, _)| names.contains(name)).map(|(_, id)| *id).collect()
}

async fn insert_person(
    connection: &mut PgConnection,
    email: &str,
    username: &str,
    role: Role,
) -> Result<SeededUser, sqlx::Error> {
    let id = insert_user(connection, email, username, role).await?;
    Ok(SeededUser { id, email: email.to_owned(), username: username.to_owned() })
}

async fn insert_freelance(
    connection: &mut PgConnection,
    user_id: UserId,
    freelance: &data::DemoFreelance,
    skills: &Skills,
) -> Result<FreelanceId, sqlx::Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority")
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING "id" AS "id: FreelanceId""#,
        user_id.0,
        freelance.first_name,
        freelance.last_name,
        freelance.daily_rate,
        freelance.job_title,
        freelance.location,
        freelance.seniority,
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        r#"INSERT INTO "_FreelanceToSkill" ("A", "B") SELECT $1, unnest($2::uuid[])"#,
        id.0,
        &skill_ids(skills, freelance.skills),
    )
    .execute(connection)
    .await?;
    Ok(id)
}

async fn insert_company(
    connection: &mut PgConnection,
    user_id: UserId,
    company: &data::DemoCompany,
) -> Result<CompanyId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO "Company" ("userId", "name", "siren", "description", "address")
           VALUES ($1, $2, $3, $4, $5) RETURNING "id" AS "id: CompanyId""#,
        user_id.0,
        company.name,
        company.siren,
        company.description,
        company.address,
    )
    .fetch_one(connection)
    .await
}

async fn insert_posting(
    connection: &mut PgConnection,
    company_id: CompanyId,
    posting: &data::DemoPosting,
    skills: &Skills,
) -> Result<JobPostingId, sqlx::Error> {
    let total: i64 = posting.checkpoints.iter().map(|(_, cents)| cents).sum();
    let id = sqlx::query_scalar!(
        r#"INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate",
               "seniority", "totalAmount", "status")
           VALUES ($1, $2, $3, false, $4::text::"JobPostingLocation", $5, $6, $7, 'PUBLISHED')
           RETURNING "id" AS "id: JobPostingId""#,
        company_id.0,
        posting.title,
        posting.description,
        posting.location,
        posting.daily_rate,
        posting.seniority,
        Cents(total).to_euros(),
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        r#"INSERT INTO "_JobPostingToSkill" ("A", "B") SELECT $1, unnest($2::uuid[])"#,
        id.0,
        &skill_ids(skills, posting.skills),
    )
    .execute(&mut *connection)
    .await?;
    for (days, (name, cents)) in (30..).step_by(30).zip(posting.checkpoints) {
        sqlx::query!(
            r#"INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "amount")
               VALUES ($1, $2, date_trunc('day', now() AT TIME ZONE 'UTC') + make_interval(days => $3, hours => 11), $4, $5)"#,
            name,
            format!("{name} : livraison et validation."),
            days,
            id.0,
            Cents(*cents).to_euros(),
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query!(
        "INSERT INTO legacy_publication (job_posting_id, acceptance_allowed_at, acceptance_allowed_by) VALUES ($1, now(), 'seed')",
        id.0,
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Every second posting has an applicant or two.
async fn insert_candidates(
    connection: &mut PgConnection,
    postings: &[JobPostingId],
    freelances: &[(UserId, FreelanceId)],
) -> Result<(), sqlx::Error> {
    for (index, posting) in postings.iter().enumerate().step_by(2) {
        for offset in 1..=2 {
            let (_, freelance) = freelances[(index + offset) % freelances.len()];
            sqlx::query!(
                r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") VALUES ($1, $2)"#,
                posting.0,
                freelance.0,
            )
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

async fn insert_conversation(
    connection: &mut PgConnection,
    company_user: UserId,
    freelance_user: UserId,
) -> Result<(), sqlx::Error> {
    let conversation = sqlx::query_scalar!(
        r#"INSERT INTO "Conversation" ("senderId", "receiverId") VALUES ($1, $2) RETURNING "id""#,
        company_user.0,
        freelance_user.0,
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO direct_conversation (lower_user_id, higher_user_id, conversation_id) VALUES (least($1::uuid, $2), greatest($1, $2), $3)",
        company_user.0,
        freelance_user.0,
        conversation,
    )
    .execute(&mut *connection)
    .await?;
    for (index, text) in (0..).zip(data::MESSAGES) {
        let (sender, receiver) =
            if index % 2 == 0 { (company_user, freelance_user) } else { (freelance_user, company_user) };
        sqlx::query!(
            r#"INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content", "createdAt")
               VALUES ($1, $2, $3, $4, (now() AT TIME ZONE 'UTC') - interval '1 day' + make_interval(mins => $5))"#,
            conversation,
            sender.0,
            receiver.0,
            text,
            index,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
