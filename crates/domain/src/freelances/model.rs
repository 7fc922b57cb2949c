use crate::{
    Timestamp,
    ids::{FreelanceId, UserId},
};

/// A row of "Freelance", without its skills (see [`crate::skills::queries::list_freelance_skills`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Freelance {
    pub id: FreelanceId,
    /// The owner; a user owns one profile at most.
    pub user_id: UserId,
    pub first_name: String,
    pub last_name: String,
    pub job_title: String,
    /// Euros a day.
    pub average_daily_rate: f64,
    /// Years.
    pub seniority: i32,
    pub location: String,
    /// The payout account at Stripe; for its owner's eyes only.
    pub stripe_account_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Why a profile could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveFreelanceError {
    #[error("there is no such profile")]
    NotFound,
    /// Some of the skills that were named do not exist.
    #[error("{found} of {expected} skills exist")]
    UnknownSkills { expected: usize, found: i64 },
    /// The payout account is set by the onboarding at Stripe alone.
    #[error("the payout account cannot be changed here")]
    PayoutAccountChanged,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
