//! Companies: the profiles of users with the role COMPANY. One for a user; seen by the public once it has a published
//! job posting.

mod model;
pub mod queries;

pub use model::{Company, CompanyChanges, NewCompany};
