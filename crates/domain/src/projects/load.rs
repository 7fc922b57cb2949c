//! Projects with their parties and posting, in a fixed number of statements.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Project, queries};
use crate::{
    candidates::{Applicant, load_applicants},
    companies::{self, Company},
    conversations::{self, Conversation},
    grouping::by_key,
    ids::UserId,
    job_postings::{self, JobPosting},
    skills::{self, Skill},
    users::User,
};

/// A project with everything its parties are shown of it.
#[derive(Clone, Debug)]
pub struct ProjectDetails {
    pub project: Project,
    pub freelance: Option<Applicant>,
    pub job_posting: JobPosting,
    pub job_posting_company: Company,
    pub job_posting_skills: Vec<Skill>,
    pub company: Option<(Company, User)>,
    pub conversation: Option<Conversation>,
}

/// The projects the user is a party of, newest first.
pub async fn list_details_of_user(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<ProjectDetails>, sqlx::Error> {
    let projects = queries::list_projects_of_user(connection, user).await?;
    load_details(connection, projects).await
}

/// Loads what belongs to `projects`, in their order.
pub async fn load_details(
    connection: &mut PgConnection,
    projects: Vec<Project>,
) -> Result<Vec<ProjectDetails>, sqlx::Error> {
    let ids_of = |id: fn(&Project) -> Option<Uuid>| projects.iter().filter_map(id).collect::<Vec<Uuid>>();
    let freelance_ids = ids_of(|project| project.freelance_id.map(|id| id.0));
    let posting_ids = ids_of(|project| Some(project.job_posting_id.0));
    let conversation_ids = ids_of(|project| project.conversation_id.map(|id| id.0));

    let freelances = load_applicants(connection, &freelance_ids).await?;
    let postings = job_postings::queries::list_job_postings_by_ids(connection, &posting_ids).await?;
    let postings = by_key(postings, |posting| posting.id);
    let posting_skills = skills::queries::list_job_posting_skills(connection, &posting_ids).await?;
    let mut company_ids = ids_of(|project| project.company_id.map(|id| id.0));
    company_ids.extend(postings.values().map(|posting| posting.company_id.0));
    let companies = companies::queries::list_companies_by_id(connection, &company_ids).await?;
    let companies = by_key(companies, |company| company.id);
    let user_ids: Vec<Uuid> = companies.values().map(|company| company.user_id.0).collect();
    let users = by_key(conversations::queries::list_users_by_id(connection, &user_ids).await?, |user| user.id);
    let conversations = conversations::queries::list_conversations_by_id(connection, &conversation_ids).await?;
    let conversations = by_key(conversations, |conversation| conversation.id);

    let with_user = |company: &Company| Some((company.clone(), users.get(&company.user_id)?.clone()));
    projects
        .into_iter()
        .map(|project| {
            let job_posting = postings.get(&project.job_posting_id).cloned().ok_or(sqlx::Error::RowNotFound)?;
            let company_id = project.company_id.unwrap_or(job_posting.company_id);
            Ok(ProjectDetails {
                freelance: project.freelance_id.and_then(|id| freelances.get(&id).cloned()),
                job_posting_company: companies.get(&job_posting.company_id).cloned().ok_or(sqlx::Error::RowNotFound)?,
                job_posting_skills: skills::queries::skills_of(&posting_skills, job_posting.id.0),
                company: companies.get(&company_id).and_then(with_user),
                conversation: project.conversation_id.and_then(|id| conversations.get(&id).cloned()),
                job_posting,
                project,
            })
        })
        .collect()
}
