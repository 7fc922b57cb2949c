//! Candidates as their two sides see them.

use freehunt_domain::{
    candidates::{Candidate, CandidateDetails},
    freelances::Freelance,
    ids::{ProjectId, UserId},
    job_postings::JobPosting,
};
use serde::Serialize;

use crate::routes::projects::views::{ApplicantView, FreelanceView, PostingView, PostingWithCompany};

/// An application that was just made, for the applicant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedCandidate {
    #[serde(flatten)]
    candidate: Candidate,
    job_posting: PostingView,
    freelance: FreelanceView,
}

impl CreatedCandidate {
    pub fn new(candidate: Candidate, freelance: Freelance, job_posting: JobPosting, viewer: UserId) -> Self {
        Self {
            candidate,
            job_posting: PostingView::new(job_posting, false),
            freelance: FreelanceView::new(freelance, viewer),
        }
    }
}

/// An application, for the posting's company.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateView {
    #[serde(flatten)]
    candidate: Candidate,
    freelance: ApplicantView,
    job_posting: PostingWithCompany,
}

impl CandidateView {
    pub fn new(details: CandidateDetails, viewer: UserId) -> Self {
        Self {
            candidate: details.candidate,
            freelance: ApplicantView::new(details.applicant, viewer),
            job_posting: PostingWithCompany::new(details.job_posting, details.company, viewer),
        }
    }
}

/// A decided application; an accepted one names the project that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidedCandidate {
    #[serde(flatten)]
    pub candidate: CandidateView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}
