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
