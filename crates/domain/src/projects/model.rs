use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Timestamp,
    ids::{CompanyId, ConversationId, FreelanceId, JobPostingId, ProjectId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"ProjectStatus\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProjectStatus {
    InProgress,
    /// Every checkpoint that was not canceled is done.
    Completed,
    Canceled,
}

/// A row of "Project", and its shape for its parties.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    pub id: ProjectId,
    /// The posting's title when its candidate was accepted.
    #[schema(example = "Développeur Rust senior")]
    pub name: String,
    pub description: String,
    /// The sum of the posting's checkpoints, in euros.
    #[serde(serialize_with = "as_euros")]
    #[schema(value_type = f64, example = 701.2)]
    pub amount: f64,
    /// The date of the first checkpoint.
    pub start_date: Timestamp,
    /// The date of the last checkpoint, then the time of completion.
    pub end_date: Option<Timestamp>,
    pub status: ProjectStatus,
    pub job_posting_id: JobPostingId,
    pub freelance_id: Option<FreelanceId>,
    pub company_id: Option<CompanyId>,
    pub conversation_id: Option<ConversationId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A number as JavaScript writes it: no fraction part on whole amounts.
fn as_euros<S: Serializer>(amount: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    if amount.fract() == 0.0 && amount.abs() < LARGEST_EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        serializer.serialize_i64(*amount as i64)
    } else {
        serializer.serialize_f64(*amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Amount(#[serde(serialize_with = "as_euros")] f64);

    #[test]
    fn amounts_are_written_as_javascript_does() {
        let text = |euros| serde_json::to_string(&Amount(euros)).unwrap();
        assert_eq!([text(701.2), text(500.0), text(-0.5), text(0.0)], ["701.2", "500", "-0.5", "0"]);
    }
}
