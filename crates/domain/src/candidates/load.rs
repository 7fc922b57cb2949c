//! Candidates with their profiles and postings, in a fixed number of statements.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Candidate, queries};
use crate::{
    companies::{self, Company},
    conversations,
    freelances::{self, Freelance},
    grouping::{by_key, distinct},
    ids::{CompanyId, FreelanceId},
    job_postings::{self, JobPosting},
    skills::{self, Skill},
    users::User,
};

/// A freelance as the company that is applied to sees one.
#[derive(Clone, Debug)]
pub struct Applicant {
    pub freelance: Freelance,
    pub user: User,
    pub skills: Vec<Skill>,
}

/// An application with both its sides.
#[derive(Clone, Debug)]
pub struct CandidateDetails {
    pub candidate: Candidate,
    pub applicant: Applicant,
    pub job_posting: JobPosting,
    pub company: Company,
}

/// The candidates of all postings of a company, newest first.
pub async fn list_details_of_company(
    connection: &mut PgConnection,
    company: CompanyId,
) -> Result<Vec<CandidateDetails>, sqlx::Error> {
    let candidates = queries::list_candidates_of_company(connection, company).await?;
    load_details(connection, candidates).await
}

/// Loads what belongs to `candidates`, in their order.
pub async fn load_details(
    connection: &mut PgConnection,
    candidates: Vec<Candidate>,
) -> Result<Vec<CandidateDetails>, sqlx::Error> {
    let freelance_ids = distinct(candidates.iter().map(|candidate| candidate.freelance_id.0));
    let posting_ids = distinct(candidates.iter().map(|candidate| candidate.job_posting_id.0));
    let applicants = load_applicants(connection, &freelance_ids).await?;
    let postings = job_postings::queries::list_job_postings_by_ids(connection, &posting_ids).await?;
    let postings = by_key(postings, |posting| posting.id);
    let company_ids = distinct(postings.values().map(|posting| posting.company_id.0));
    let companies = companies::queries::list_companies_by_id(connection, &company_ids).await?;
    let companies = by_key(companies, |company| company.id);
    candidates
        .into_iter()
        .map(|candidate| {
            let job_posting = postings.get(&candidate.job_posting_id).cloned().ok_or(sqlx::Error::RowNotFound)?;
            Ok(CandidateDetails {
                applicant: applicants.get(&candidate.freelance_id).cloned().ok_or(sqlx::Error::RowNotFound)?,
                company: companies.get(&job_posting.company_id).cloned().ok_or(sqlx::Error::RowNotFound)?,
                job_posting,
                candidate,
            })
        })
        .collect()
}

/// The profiles with these ids, each with its user and skills.
pub async fn load_applicants(
    connection: &mut PgConnection,
    freelance_ids: &[Uuid],
) -> Result<HashMap<FreelanceId, Applicant>, sqlx::Error> {
    let freelances = freelances::queries::list_freelances_by_id(connection, freelance_ids).await?;
    let user_ids = distinct(freelances.iter().map(|freelance| freelance.user_id.0));
    let users = by_key(conversations::queries::list_users_by_id(connection, &user_ids).await?, |user| user.id);
    let skills = skills::queries::list_freelance_skills(connection, freelance_ids).await?;
    let applicants = freelances.into_iter().filter_map(|freelance| {
        let user = users.get(&freelance.user_id).cloned()?;
        let skills = skills::queries::skills_of(&skills, freelance.id.0);
        Some((freelance.id, Applicant { freelance, user, skills }))
    });
    Ok(applicants.collect())
}
