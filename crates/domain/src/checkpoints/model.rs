//! A checkpoint's types and the pure rules over them.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::{
    Cents, Timestamp,
    ids::{CheckpointId, JobPostingId, UserId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"CheckpointStatus\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointStatus {
    Todo,
    InProgress,
    PendingCompanyApproval,
    Done,
    Delayed,
    Canceled,
}

impl CheckpointStatus {
    /// In the order in which the original's refusal names them.
    pub const NAMES: &[&str] = &["TODO", "IN_PROGRESS", "PENDING_COMPANY_APPROVAL", "DONE", "DELAYED", "CANCELED"];

    pub fn from_name(name: &str) -> Option<Self> {
        use CheckpointStatus::{Canceled, Delayed, Done, InProgress, PendingCompanyApproval, Todo};
        let statuses = [Todo, InProgress, PendingCompanyApproval, Done, Delayed, Canceled];
        Self::NAMES.iter().position(|known| *known == name).and_then(|index| statuses.get(index).copied())
    }

    /// The state a new checkpoint gets when its author asks for this one: nothing begins submitted or done.
    pub fn at_creation(self) -> Self {
        if self == Self::InProgress { self } else { Self::Todo }
    }
}

/// A row of "Checkpoint".
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub id: CheckpointId,
    pub name: String,
    pub description: String,
    /// In euros, as the column has it; see [`Checkpoint::cents`].
    pub amount: f64,
    pub date: Timestamp,
    pub status: CheckpointStatus,
    pub submitted_at: Option<Timestamp>,
    pub validated_at: Option<Timestamp>,
    pub submitted_by: Option<UserId>,
    pub validated_by: Option<UserId>,
    pub job_posting_id: JobPostingId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A row of "Checkpoint" as PostgreSQL's `json_agg` writes it: times have no zone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckpointRow {
    id: CheckpointId,
    name: String,
    description: String,
    amount: f64,
    date: NaiveDateTime,
    status: CheckpointStatus,
    submitted_at: Option<NaiveDateTime>,
    validated_at: Option<NaiveDateTime>,
    submitted_by: Option<UserId>,
    validated_by: Option<UserId>,
    job_posting_id: JobPostingId,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<CheckpointRow> for Checkpoint {
    fn from(row: CheckpointRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            amount: row.amount,
            date: Timestamp(row.date),
            status: row.status,
            submitted_at: row.submitted_at.map(Timestamp),
            validated_at: row.validated_at.map(Timestamp),
            submitted_by: row.submitted_by,
            validated_by: row.validated_by,
            job_posting_id: row.job_posting_id,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        }
    }
}

impl Checkpoint {
    pub fn cents(&self) -> Cents {
        Cents::from_column(self.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive_their_names() {
        for name in CheckpointStatus::NAMES {
            let status = CheckpointStatus::from_name(name).unwrap();
            assert_eq!(serde_json::to_value(status).unwrap(), *name);
        }
        assert_eq!(CheckpointStatus::from_name("todo"), None);
    }

    #[test]
    fn nothing_begins_submitted_or_done() {
        use CheckpointStatus::{Canceled, Delayed, Done, InProgress, PendingCompanyApproval, Todo};
        for (asked, given) in [
            (Todo, Todo),
            (InProgress, InProgress),
            (PendingCompanyApproval, Todo),
            (Done, Todo),
            (Delayed, Todo),
            (Canceled, Todo),
        ] {
            assert_eq!(asked.at_creation(), given, "{asked:?}");
        }
    }
}
