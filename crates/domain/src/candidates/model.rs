use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    ids::{CandidateId, FreelanceId, JobPostingId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"CandidateStatus\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CandidateStatus {
    Pending,
    Accepted,
    Rejected,
}

impl CandidateStatus {
    pub const NAMES: &[&str] = &["PENDING", "ACCEPTED", "REJECTED"];
}

/// A row of "Candidate", and its shape for the applicant and the posting's company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    pub id: CandidateId,
    pub job_posting_id: JobPostingId,
    pub freelance_id: FreelanceId,
    pub status: CandidateStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
