//! The people, companies and postings of projects and candidates, as whoever reads them may see them: each has a type
//! of its own for its owner and one for the other side.

use freehunt_domain::{
    Timestamp,
    candidates::Applicant,
    companies::Company,
    conversations::{Conversation, Participant},
    freelances::Freelance,
    ids::{CompanyId, FreelanceId, JobPostingId, UserId},
    job_postings::{JobPosting, JobPostingLocation, JobPostingStatus},
    projects::{Project, ProjectDetails},
    skills::Skill,
    users::{Role, User},
};
use serde::Serialize;

use crate::number::Number;

/// A user for themself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnPerson {
    id: UserId,
    #[schema(example = "alice@example.com")]
    email: String,
    #[schema(example = "alice")]
    username: String,
    role: Role,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A user; the address is there for themself only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum PersonView {
    Own(OwnPerson),
    Other(Participant),
}

impl PersonView {
    pub fn new(user: User, viewer: UserId) -> Self {
        if user.id != viewer {
            return Self::Other(Participant::of(&user));
        }
        let User { id, email, username, role, created_at, updated_at } = user;
        Self::Own(OwnPerson { id, email, username, role, created_at, updated_at })
    }
}

/// A freelance's profile for a company it has to do with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreelanceSummary {
    id: FreelanceId,
    user_id: UserId,
    #[schema(example = "Alice")]
    first_name: String,
    #[schema(example = "Martin")]
    last_name: String,
    #[schema(example = "Développeuse Rust")]
    job_title: String,
    /// Euros a day.
    #[schema(example = 450.5)]
    average_daily_rate: Number,
    /// Years.
    #[schema(example = 5)]
    seniority: i32,
    #[schema(example = "Paris")]
    location: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A freelance's profile for its owner.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnFreelanceSummary {
    #[serde(flatten)]
    summary: FreelanceSummary,
    /// The payout account at Stripe.
    stripe_account_id: Option<String>,
}

/// A freelance's profile; the payout account is there for its owner only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = FreelanceOfProject)]
pub enum FreelanceView {
    Own(OwnFreelanceSummary),
    Other(FreelanceSummary),
}

impl FreelanceView {
    pub fn new(freelance: Freelance, viewer: UserId) -> Self {
        let is_own = freelance.user_id == viewer;
        let summary = FreelanceSummary {
            id: freelance.id,
            user_id: freelance.user_id,
            first_name: freelance.first_name,
            last_name: freelance.last_name,
            job_title: freelance.job_title,
            average_daily_rate: freelance.average_daily_rate.into(),
            seniority: freelance.seniority,
            location: freelance.location,
            created_at: freelance.created_at,
            updated_at: freelance.updated_at,
        };
        if is_own {
            Self::Own(OwnFreelanceSummary { summary, stripe_account_id: freelance.stripe_account_id })
        } else {
            Self::Other(summary)
        }
    }
}

/// A freelance's profile with its user and skills.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ApplicantView {
    #[serde(flatten)]
    freelance: FreelanceView,
    user: PersonView,
    skills: Vec<Skill>,
}

impl ApplicantView {
    pub fn new(applicant: Applicant, viewer: UserId) -> Self {
        Self {
            freelance: FreelanceView::new(applicant.freelance, viewer),
            user: PersonView::new(applicant.user, viewer),
            skills: applicant.skills,
        }
    }
}

/// A company for those it has to do with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompanySummary {
    id: CompanyId,
    user_id: UserId,
    #[schema(example = "Acme SA")]
    name: String,
    description: String,
    address: String,
    #[schema(example = "123456789")]
    siren: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Company> for CompanySummary {
    fn from(company: Company) -> Self {
        let Company { id, user_id, name, description, address, siren, created_at, updated_at } = company;
        Self { id, user_id, name, description, address, siren, created_at, updated_at }
    }
}

/// A company with its user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CompanyWithUser {
    #[serde(flatten)]
    company: CompanySummary,
    user: PersonView,
}

/// A posting for applicants and the freelance of its project.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostingSummary {
    id: JobPostingId,
    company_id: CompanyId,
    #[schema(example = "Développeur Rust senior")]
    title: String,
    description: String,
    location: JobPostingLocation,
    is_promoted: bool,
    /// Euros a day.
    #[schema(example = 500)]
    average_daily_rate: Number,
    /// Years.
    #[schema(example = 3)]
    seniority: i32,
    /// In euros.
    #[schema(example = 450.5)]
    total_amount: Option<Number>,
    status: JobPostingStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A posting for its company.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnPostingSummary {
    #[serde(flatten)]
    posting: PostingSummary,
    stripe_session_id: Option<String>,
    stripe_refund_id: Option<String>,
    canceled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
}

/// A posting; how it was paid and canceled is there for its company only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum PostingView {
    Own(OwnPostingSummary),
    Other(PostingSummary),
}

impl PostingView {
    pub fn new(posting: JobPosting, is_own: bool) -> Self {
        let summary = PostingSummary {
            id: posting.id,
            company_id: posting.company_id,
            title: posting.title,
            description: posting.description,
            location: posting.location,
            is_promoted: posting.is_promoted,
            average_daily_rate: posting.average_daily_rate.into(),
            seniority: posting.seniority,
            total_amount: posting.total_amount.map(Number),
            status: posting.status,
            created_at: posting.created_at,
            updated_at: posting.updated_at,
        };
        if !is_own {
            return Self::Other(summary);
        }
        Self::Own(OwnPostingSummary {
            posting: summary,
            stripe_session_id: posting.stripe_session_id,
            stripe_refund_id: posting.stripe_refund_id,
            canceled_at: posting.canceled_at,
            cancel_reason: posting.cancel_reason,
        })
    }
}

/// A posting with its company.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PostingWithCompany {
    #[serde(flatten)]
    posting: PostingView,
    company: CompanySummary,
}

impl PostingWithCompany {
    pub fn new(posting: JobPosting, company: Company, viewer: UserId) -> Self {
        let is_own = company.user_id == viewer;
        Self { posting: PostingView::new(posting, is_own), company: company.into() }
    }
}

/// A posting with its company and skills.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PostingWithSkills {
    #[serde(flatten)]
    posting: PostingWithCompany,
    skills: Vec<Skill>,
}

/// A project with its freelance and posting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectView {
    #[serde(flatten)]
    project: Project,
    /// `null` only in old rows.
    freelance: Option<FreelanceView>,
    job_posting: PostingView,
}

impl ProjectView {
    pub fn new(details: ProjectDetails, viewer: UserId) -> Self {
        let is_own = details.job_posting_company.user_id == viewer;
        Self {
            project: details.project,
            freelance: details.freelance.map(|applicant| FreelanceView::new(applicant.freelance, viewer)),
            job_posting: PostingView::new(details.job_posting, is_own),
        }
    }
}

/// A project as it is listed, with both its parties and its conversation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedProject {
    #[serde(flatten)]
    project: Project,
    /// `null` only in old rows.
    freelance: Option<ApplicantView>,
    job_posting: PostingWithSkills,
    /// `null` only in old rows.
    company: Option<CompanyWithUser>,
    conversation: Option<Conversation>,
}

impl ListedProject {
    pub fn new(details: ProjectDetails, viewer: UserId) -> Self {
        Self {
            project: details.project,
            freelance: details.freelance.map(|applicant| ApplicantView::new(applicant, viewer)),
            job_posting: PostingWithSkills {
                posting: PostingWithCompany::new(details.job_posting, details.job_posting_company, viewer),
                skills: details.job_posting_skills,
            },
            company: details.company.map(|(company, user)| CompanyWithUser {
                company: company.into(),
                user: PersonView::new(user, viewer),
            }),
            conversation: details.conversation,
        }
    }
}
