//! Freelances: the profiles of users with the role FREELANCE. One for a user; public, but for its payout account.

mod model;
pub mod queries;

pub use model::Freelance;
