//! A posting as its audiences see it: everybody, its counterpart (an applicant, the project's freelance), its owner.

use freehunt_domain::{
    Timestamp,
    ids::{CandidateId, CompanyId, FreelanceId, JobPostingId, ProjectId, UserId},
    job_postings::{
        JobPosting, JobPostingLocation, JobPostingStatus, JobPostingWithRelations, PostingCandidate, PublicPosting,
        search::FoundJobPosting,
    },
    skills::Skill,
    users::Role,
};
use serde::Serialize;

use super::access::Audience;
use crate::{
    number::Number,
    routes::checkpoints::views::{CheckpointView, PartyCheckpoint, PublicCheckpoint},
};

/// What every audience sees.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPostingCore {
    id: JobPostingId,
    company_id: CompanyId,
    #[schema(example = "Développeur Rust")]
    title: String,
    #[schema(example = "Refaire le moteur")]
    description: String,
    location: JobPostingLocation,
    is_promoted: bool,
    /// In euros.
    #[schema(example = 500)]
    average_daily_rate: Number,
    /// In years.
    #[schema(example = 3)]
    seniority: i32,
    /// In euros.
    #[schema(example = 450.5)]
    total_amount: Option<Number>,
    status: JobPostingStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
    skills: Vec<Skill>,
}

/// A company as everybody sees it with its postings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PublicPostingCompany {
    id: CompanyId,
    #[schema(example = "Acme SA")]
    name: String,
}

/// A company as its counterparts see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CounterpartPostingCompany {
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
    user: CounterpartPostingUser,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CounterpartPostingUser {
    id: UserId,
    #[schema(example = "acme")]
    username: String,
    role: Role,
}

/// A company as its own user sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnPostingCompany {
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
    user: OwnPostingUser,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnPostingUser {
    id: UserId,
    #[schema(example = "acme@example.com")]
    email: String,
    #[schema(example = "acme")]
    username: String,
    role: Role,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A published posting as anybody sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PublicJobPosting {
    #[serde(flatten)]
    core: JobPostingCore,
    company: PublicPostingCompany,
    checkpoints: Vec<PublicCheckpoint>,
}

/// A posting as an applicant or the freelance of its project sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CounterpartJobPosting {
    #[serde(flatten)]
    core: JobPostingCore,
    company: CounterpartPostingCompany,
    checkpoints: Vec<CheckpointView>,
}

/// A posting as its company sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnJobPosting {
    #[serde(flatten)]
    core: JobPostingCore,
    stripe_session_id: Option<String>,
    stripe_refund_id: Option<String>,
    canceled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    company: OwnPostingCompany,
    checkpoints: Vec<PartyCheckpoint>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum JobPostingView {
    Own(Box<OwnJobPosting>),
    Counterpart(Box<CounterpartJobPosting>),
    Public(Box<PublicJobPosting>),
}

/// A posting with the applications to it that the reader may see.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedJobPosting {
    #[serde(flatten)]
    job_posting: JobPostingView,
    candidates: Vec<ListedCandidate>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedCandidate {
    id: CandidateId,
    job_posting_id: JobPostingId,
    freelance_id: FreelanceId,
    #[schema(example = "PENDING")]
    status: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A result of the search.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundJobPostingView {
    #[serde(flatten)]
    job_posting: PublicJobPosting,
    /// From three skills in common with the profile of the freelance who searches.
    recommended: bool,
    #[schema(example = 3)]
    common_skills_count: i64,
}

/// A page of results.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundJobPostingsView {
    pub data: Vec<FoundJobPostingView>,
    /// How many match in all; above 25 000 postings, an estimate where more than some thousands match.
    #[schema(example = 42)]
    pub total: i64,
}

/// Which project came of a posting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectOfJobPosting {
    /// `null` while there is none.
    pub project_id: Option<ProjectId>,
}

impl JobPostingCore {
    fn split(posting: JobPosting, skills: Vec<Skill>) -> (Self, OwnerFields) {
        let core = Self {
            id: posting.id,
            company_id: posting.company_id,
            title: posting.title,
            description: posting.description,
            location: posting.location,
            is_promoted: posting.is_promoted,
            average_daily_rate: Number(posting.average_daily_rate),
            seniority: posting.seniority,
            total_amount: posting.total_amount.map(Number),
            status: posting.status,
            created_at: posting.created_at,
            updated_at: posting.updated_at,
            skills,
        };
        let owner = OwnerFields {
            stripe_session_id: posting.stripe_session_id,
            stripe_refund_id: posting.stripe_refund_id,
            canceled_at: posting.canceled_at,
            cancel_reason: posting.cancel_reason,
        };
        (core, owner)
    }
}

/// The columns of a posting that only its owner sees.
struct OwnerFields {
    stripe_session_id: Option<String>,
    stripe_refund_id: Option<String>,
    canceled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
}

impl PublicJobPosting {
    pub fn of(public: PublicPosting) -> Self {
        let PublicPosting { posting, company_name, skills, checkpoints } = public;
        let company = PublicPostingCompany { id: posting.company_id, name: company_name };
        let (core, _) = JobPostingCore::split(posting, skills);
        Self { core, company, checkpoints: checkpoints.iter().map(PublicCheckpoint::of).collect() }
    }
}

impl CounterpartJobPosting {
    fn of(loaded: JobPostingWithRelations, is_project_party: bool) -> Self {
        let JobPostingWithRelations { posting, company, skills, checkpoints } = loaded;
        let (core, _) = JobPostingCore::split(posting, skills);
        let user = company.user;
        Self {
            core,
            company: CounterpartPostingCompany {
                id: company.id,
                user_id: user.id,
                name: company.name,
                description: company.description,
                address: company.address,
                siren: company.siren,
                created_at: company.created_at,
                updated_at: company.updated_at,
                user: CounterpartPostingUser { id: user.id, username: user.username, role: user.role },
            },
            checkpoints: checkpoints
                .iter()
                .map(|checkpoint| CheckpointView::of(checkpoint, is_project_party))
                .collect(),
        }
    }
}

impl OwnJobPosting {
    pub fn of(loaded: JobPostingWithRelations) -> Self {
        let JobPostingWithRelations { posting, company, skills, checkpoints } = loaded;
        let (core, owner) = JobPostingCore::split(posting, skills);
        let user = company.user;
        Self {
            core,
            stripe_session_id: owner.stripe_session_id,
            stripe_refund_id: owner.stripe_refund_id,
            canceled_at: owner.canceled_at,
            cancel_reason: owner.cancel_reason,
            company: OwnPostingCompany {
                id: company.id,
                user_id: user.id,
                name: company.name,
                description: company.description,
                address: company.address,
                siren: company.siren,
                created_at: company.created_at,
                updated_at: company.updated_at,
                user: OwnPostingUser {
                    id: user.id,
                    email: user.email,
                    username: user.username,
                    role: user.role,
                    created_at: user.created_at,
                    updated_at: user.updated_at,
                },
            },
            checkpoints: checkpoints.iter().map(PartyCheckpoint::of).collect(),
        }
    }
}

impl JobPostingView {
    pub fn public(posting: PublicPosting) -> Self {
        Self::Public(Box::new(PublicJobPosting::of(posting)))
    }

    pub fn of(loaded: JobPostingWithRelations, audience: Audience) -> Self {
        match audience {
            Audience::Public => Self::public(loaded.into()),
            Audience::Counterpart { is_project_party } => {
                Self::Counterpart(Box::new(CounterpartJobPosting::of(loaded, is_project_party)))
            }
            Audience::Owner => Self::Own(Box::new(OwnJobPosting::of(loaded))),
        }
    }
}

impl ListedJobPosting {
    /// As the freelance sees it who made `candidates`: with an application, as a counterpart.
    pub fn for_freelance(loaded: JobPostingWithRelations, candidates: Vec<PostingCandidate>) -> Self {
        let audience = if candidates.is_empty() {
            Audience::Public
        } else {
            // The accepted candidate is the freelance of the posting's project.
            Audience::Counterpart {
                is_project_party: candidates.iter().any(|candidate| candidate.status == "ACCEPTED"),
            }
        };
        Self::new(loaded, audience, candidates)
    }

    pub fn for_owner(loaded: JobPostingWithRelations, candidates: Vec<PostingCandidate>) -> Self {
        Self::new(loaded, Audience::Owner, candidates)
    }

    fn new(loaded: JobPostingWithRelations, audience: Audience, candidates: Vec<PostingCandidate>) -> Self {
        Self {
            job_posting: JobPostingView::of(loaded, audience),
            candidates: candidates.into_iter().map(ListedCandidate::of).collect(),
        }
    }
}

impl ListedCandidate {
    fn of(candidate: PostingCandidate) -> Self {
        Self {
            id: candidate.id,
            job_posting_id: candidate.job_posting_id,
            freelance_id: candidate.freelance_id,
            status: candidate.status,
            created_at: candidate.created_at,
            updated_at: candidate.updated_at,
        }
    }
}

impl FoundJobPostingView {
    pub fn of(found: FoundJobPosting) -> Self {
        Self {
            recommended: found.is_recommended(),
            common_skills_count: found.common_skills,
            job_posting: PublicJobPosting::of(found.found),
        }
    }
}
