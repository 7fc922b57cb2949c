//! A checkpoint as its audiences see it. The route of a checkpoint's progress answers with these too.

use freehunt_domain::{
    Timestamp,
    checkpoints::{Checkpoint, CheckpointStatus},
    ids::{CheckpointId, JobPostingId, UserId},
};
use serde::Serialize;

use crate::number::Number;

/// What everybody sees who sees the posting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicCheckpoint {
    id: CheckpointId,
    #[schema(example = "Maquette")]
    name: String,
    #[schema(example = "Maquettes des cinq écrans")]
    description: String,
    /// In euros.
    #[schema(example = 200.5)]
    amount: Number,
    date: Timestamp,
    status: CheckpointStatus,
    job_posting_id: JobPostingId,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What the two parties of the project see: also who submitted and approved it, and when.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyCheckpoint {
    #[serde(flatten)]
    checkpoint: PublicCheckpoint,
    submitted_at: Option<Timestamp>,
    validated_at: Option<Timestamp>,
    submitted_by: Option<UserId>,
    validated_by: Option<UserId>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum CheckpointView {
    Party(PartyCheckpoint),
    Public(PublicCheckpoint),
}

impl PublicCheckpoint {
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            id: checkpoint.id,
            name: checkpoint.name.clone(),
            description: checkpoint.description.clone(),
            amount: Number(checkpoint.amount),
            date: checkpoint.date,
            status: checkpoint.status,
            job_posting_id: checkpoint.job_posting_id,
            created_at: checkpoint.created_at,
            updated_at: checkpoint.updated_at,
        }
    }
}

impl PartyCheckpoint {
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            checkpoint: PublicCheckpoint::of(checkpoint),
            submitted_at: checkpoint.submitted_at,
            validated_at: checkpoint.validated_at,
            submitted_by: checkpoint.submitted_by,
            validated_by: checkpoint.validated_by,
        }
    }
}

impl CheckpointView {
    /// `is_party`: the owner of the posting or the freelance of its project.
    pub fn of(checkpoint: &Checkpoint, is_party: bool) -> Self {
        if is_party {
            Self::Party(PartyCheckpoint::of(checkpoint))
        } else {
            Self::Public(PublicCheckpoint::of(checkpoint))
        }
    }
}
