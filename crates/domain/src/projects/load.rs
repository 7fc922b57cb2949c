//! Projects with their parties and posting, in one statement.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Project, ProjectStatus};
use crate::{
    Timestamp,
    candidates::Applicant,
    companies::Company,
    conversations::Conversation,
    freelances::Freelance,
    ids::{CompanyId, ConversationId, FreelanceId, JobPostingId, ProjectId, UserId},
    job_postings::{JobPosting, JobPostingLocation, JobPostingStatus},
    policy::ProjectFacts,
    skills::{Skill, SkillCatalog},
    users::{Role, User},
};

/// A project with everything its parties are shown of it.
#[derive(Clone, Debug)]
pub struct ProjectDetails {
    pub project: Project,
    pub freelance: Option<Applicant>,
    pub job_posting: JobPosting,
    pub job_posting_company: Company,
    pub job_posting_skills: Vec<Skill>,
    /// Its own, or else its posting's.
    pub company: Option<(Company, User)>,
    pub conversation: Option<Conversation>,
}

impl ProjectDetails {
    pub fn facts(&self) -> ProjectFacts {
        ProjectFacts {
            company_user: self.company.as_ref().map(|(company, _)| company.user_id),
            freelance_user: self.freelance.as_ref().map(|applicant| applicant.freelance.user_id),
        }
    }
}

/// A statement that yields projects r with posting p, its company c, the project's company o and its user w, the
/// freelance f and its user u, and the conversation v.
macro_rules! select_details {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            r#"SELECT r."id" AS "id: ProjectId", r."name", r."description", r."amount",
                      r."startDate" AS "start_date: Timestamp", r."endDate" AS "end_date: Timestamp",
                      r."status" AS "status: ProjectStatus", r."freelanceId" AS "project_freelance_id: FreelanceId",
                      r."companyId" AS "project_company_id: CompanyId",
                      r."conversationId" AS "project_conversation_id: ConversationId",
                      r."createdAt" AS "created_at: Timestamp", r."updatedAt" AS "updated_at: Timestamp",
                      p."id" AS "posting_id: JobPostingId", p."title", p."description" AS posting_description,
                      p."location" AS "posting_location: JobPostingLocation", p."isPromoted" AS is_promoted,
                      p."averageDailyRate" AS posting_daily_rate, p."seniority" AS posting_seniority,
                      p."totalAmount" AS total_amount, p."status" AS "posting_status: JobPostingStatus",
                      p."stripeSessionId" AS stripe_session_id, p."stripeRefundId" AS stripe_refund_id,
                      p."canceledAt" AS "canceled_at: Timestamp", p."cancelReason" AS cancel_reason,
                      p."createdAt" AS "posting_created_at: Timestamp", p."updatedAt" AS "posting_updated_at: Timestamp",
                      ARRAY(SELECT link."B" FROM "_JobPostingToSkill" link WHERE link."A" = p."id") AS "posting_skill_ids!",
                      c."id" AS "company_id: CompanyId", c."userId" AS "company_user_id: UserId",
                      c."name" AS company_name, c."description" AS company_description, c."address", c."siren",
                      c."createdAt" AS "company_created_at: Timestamp", c."updatedAt" AS "company_updated_at: Timestamp",
                      o."id" AS "own_id?: CompanyId", o."userId" AS "own_user_id?: UserId", o."name" AS "own_name?",
                      o."description" AS "own_description?", o."address" AS "own_address?", o."siren" AS "own_siren?",
                      o."createdAt" AS "own_created_at?: Timestamp", o."updatedAt" AS "own_updated_at?: Timestamp",
                      w."email" AS "owner_email?", w."username" AS "owner_name?", w."role" AS "owner_role?: Role",
                      w."createdAt" AS "owner_created_at?: Timestamp", w."updatedAt" AS "owner_updated_at?: Timestamp",
                      f."id" AS "freelance_id?: FreelanceId", f."firstName" AS "first_name?", f."lastName" AS "last_name?",
                      f."jobTitle" AS "job_title?", f."averageDailyRate" AS "average_daily_rate?",
                      f."seniority" AS "seniority?", f."location" AS "location?",
                      f."stripeAccountId" AS "stripe_account_id?", f."createdAt" AS "freelance_created_at?: Timestamp",
                      f."updatedAt" AS "freelance_updated_at?: Timestamp",
                      ARRAY(SELECT link."B" FROM "_FreelanceToSkill" link WHERE link."A" = f."id") AS "skill_ids!",
                      u."id" AS "user_id?: UserId", u."email" AS "email?", u."username" AS "username?",
                      u."role" AS "role?: Role", u."createdAt" AS "user_created_at?: Timestamp",
                      u."updatedAt" AS "user_updated_at?: Timestamp",
                      v."id" AS "conversation_id?: ConversationId", v."senderId" AS "sender_id?: UserId",
                      v."receiverId" AS "receiver_id?: UserId", v."createdAt" AS "conversation_created_at?: Timestamp",
                      v."updatedAt" AS "conversation_updated_at?: Timestamp"
               FROM "Project" r
                    JOIN "JobPosting" p ON p."id" = r."jobPostingId"
                    JOIN "Company" c ON c."id" = p."companyId"
                    LEFT JOIN "Company" o ON o."id" = coalesce(r."companyId", p."companyId")
                    LEFT JOIN "User" w ON w."id" = o."userId"
                    LEFT JOIN "Freelance" f ON f."id" = r."freelanceId"
                    LEFT JOIN "User" u ON u."id" = f."userId"
                    LEFT JOIN "Conversation" v ON v."id" = r."conversationId" "# + $rest,
            $($argument),*
        )
    };
}

/// The project of a row of [`select_details`], without the skills. A join gives either a whole row or none of it, so
/// the defaults never show.
macro_rules! details_of {
    ($row:ident) => {{
        let created_at = $row.created_at;
        let job_posting = JobPosting {
            id: $row.posting_id,
            company_id: $row.company_id,
            title: $row.title,
            description: $row.posting_description,
            location: $row.posting_location,
            is_promoted: $row.is_promoted,
            average_daily_rate: $row.posting_daily_rate,
            seniority: $row.posting_seniority,
            total_amount: $row.total_amount,
            status: $row.posting_status,
            stripe_session_id: $row.stripe_session_id,
            stripe_refund_id: $row.stripe_refund_id,
            canceled_at: $row.canceled_at,
            cancel_reason: $row.cancel_reason,
            created_at: $row.posting_created_at,
            updated_at: $row.posting_updated_at,
        };
        let job_posting_company = Company {
            id: $row.company_id,
            user_id: $row.company_user_id,
            name: $row.company_name,
            description: $row.company_description,
            address: $row.address,
            siren: $row.siren,
            created_at: $row.company_created_at,
            updated_at: $row.company_updated_at,
        };
        let company = $row.own_id.zip($row.own_user_id).zip($row.owner_role).map(|((id, user_id), role)| {
            let company = Company {
                id,
                user_id,
                name: $row.own_name.unwrap_or_default(),
                description: $row.own_description.unwrap_or_default(),
                address: $row.own_address.unwrap_or_default(),
                siren: $row.own_siren.unwrap_or_default(),
                created_at: $row.own_created_at.unwrap_or(created_at),
                updated_at: $row.own_updated_at.unwrap_or(created_at),
            };
            let user = User {
                id: user_id,
                email: $row.owner_email.unwrap_or_default(),
                username: $row.owner_name.unwrap_or_default(),
                role,
                created_at: $row.owner_created_at.unwrap_or(created_at),
                updated_at: $row.owner_updated_at.unwrap_or(created_at),
            };
            (company, user)
        });
        let freelance = $row.freelance_id.zip($row.user_id).zip($row.role).map(|((id, user_id), role)| Applicant {
            freelance: Freelance {
                id,
                user_id,
                first_name: $row.first_name.unwrap_or_default(),
                last_name: $row.last_name.unwrap_or_default(),
                job_title: $row.job_title.unwrap_or_default(),
                average_daily_rate: $row.average_daily_rate.unwrap_or_default(),
                seniority: $row.seniority.unwrap_or_default(),
                location: $row.location.unwrap_or_default(),
                stripe_account_id: $row.stripe_account_id,
                created_at: $row.freelance_created_at.unwrap_or(created_at),
                updated_at: $row.freelance_updated_at.unwrap_or(created_at),
            },
            user: User {
                id: user_id,
                email: $row.email.unwrap_or_default(),
                username: $row.username.unwrap_or_default(),
                role,
                created_at: $row.user_created_at.unwrap_or(created_at),
                updated_at: $row.user_updated_at.unwrap_or(created_at),
            },
            skills: Vec::new(),
        });
        let conversation =
            $row.conversation_id.zip($row.sender_id).zip($row.receiver_id).map(|((id, sender_id), receiver_id)| {
                Conversation {
                    id,
                    sender_id,
                    receiver_id,
                    created_at: $row.conversation_created_at.unwrap_or(created_at),
                    updated_at: $row.conversation_updated_at.unwrap_or(created_at),
                }
            });
        let project = Project {
            id: $row.id,
            name: $row.name,
            description: $row.description,
            amount: $row.amount,
            start_date: $row.start_date,
            end_date: $row.end_date,
            status: $row.status,
            job_posting_id: $row.posting_id,
            freelance_id: $row.project_freelance_id,
            company_id: $row.project_company_id,
            conversation_id: $row.project_conversation_id,
            created_at,
            updated_at: $row.updated_at,
        };
        Found {
            skill_ids: $row.skill_ids,
            posting_skill_ids: $row.posting_skill_ids,
            details: ProjectDetails {
                project,
                freelance,
                job_posting,
                job_posting_company,
                job_posting_skills: Vec::new(),
                company,
                conversation,
            },
        }
    }};
}

/// A project whose skills are not filled in.
struct Found {
    skill_ids: Vec<Uuid>,
    posting_skill_ids: Vec<Uuid>,
    details: ProjectDetails,
}

/// The projects the user is a party of, newest first.
pub async fn list_details_of_user(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    user: UserId,
) -> Result<Vec<ProjectDetails>, sqlx::Error> {
    // Each part has an index; the last is for old rows without a company of their own. As an array they are found first.
    let rows = select_details!(
        r#"WHERE r."id" = ANY(ARRAY(
               SELECT a."id" FROM "Project" a JOIN "Company" m ON m."id" = a."companyId" WHERE m."userId" = $1
               UNION SELECT a."id" FROM "Project" a JOIN "Freelance" m ON m."id" = a."freelanceId" WHERE m."userId" = $1
               UNION SELECT a."id" FROM "Project" a JOIN "JobPosting" b ON b."id" = a."jobPostingId"
                                        JOIN "Company" m ON m."id" = b."companyId"
                     WHERE m."userId" = $1 AND a."companyId" IS NULL))
           ORDER BY r."createdAt" DESC, r."id""#,
        user.0,
    )
    .fetch_all(&mut *connection)
    .await?;
    add_skills(connection, catalog, rows.into_iter().map(|row| details_of!(row)).collect()).await
}

pub async fn find_details(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    id: ProjectId,
) -> Result<Option<ProjectDetails>, sqlx::Error> {
    let row = select_details!(r#"WHERE r."id" = $1"#, id.0).fetch_optional(&mut *connection).await?;
    Ok(add_skills(connection, catalog, row.into_iter().map(|row| details_of!(row)).collect()).await?.pop())
}

async fn add_skills(
    connection: &mut PgConnection,
    catalog: &SkillCatalog,
    found: Vec<Found>,
) -> Result<Vec<ProjectDetails>, sqlx::Error> {
    let lists: Vec<&[Uuid]> =
        found.iter().flat_map(|found| [found.skill_ids.as_slice(), found.posting_skill_ids.as_slice()]).collect();
    let mut skills = catalog.find_each(connection, &lists).await?.into_iter();
    Ok(found
        .into_iter()
        .map(|Found { mut details, .. }| {
            let of_freelance = skills.next().unwrap_or_default();
            if let Some(applicant) = &mut details.freelance {
                applicant.skills = of_freelance;
            }
            details.job_posting_skills = skills.next().unwrap_or_default();
            details
        })
        .collect())
}
