//! Freelances: the profiles of users with the role FREELANCE. One for a user; public, but for its payout account.

mod create;
mod model;
pub mod queries;
mod search;
mod update;

pub use create::{NewFreelance, create};
pub use model::{Freelance, SaveFreelanceError};
pub use search::{FoundFreelance, FreelanceSearch, SearchPage, search};
pub use update::{FreelanceChanges, update};
