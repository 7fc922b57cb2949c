//! Candidates: a freelance's application to a job posting, from applying to the company's decision. Accepting one
//! makes the project, its conversation and the welcome message in the same transaction.

mod accept;
mod apply;
mod decide;
mod load;
mod model;
pub mod queries;
mod withdraw;

pub use apply::{ApplyError, NewCandidate, apply};
pub use decide::{DecideError, Decided, Decision, decide};
pub use load::{Applicant, CandidateDetails, find_details, list_details_of_company};
pub use model::{Candidate, CandidateStatus};
pub use withdraw::{WithdrawError, withdraw};
