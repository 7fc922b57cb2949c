//! Job postings: what a company offers, from the draft that waits for its payment to the search that freelances use.
//!
//! Payment, publication and cancellation are in `payments`; applications are in `candidates`.

mod create;
mod delete;
pub mod model;
pub mod queries;
pub mod relations;
pub mod search;
mod update;

pub use create::{CreateJobPostingError, NewJobPosting, create};
pub use delete::{DeleteJobPostingError, delete};
pub use model::{JobPosting, JobPostingLocation, JobPostingStatus, PaymentState};
pub use relations::{JobPostingWithRelations, PostingCandidate, PublicPosting};
pub use update::{JobPostingChanges, UpdateJobPostingError, update};

/// Notified with a posting's id when a row of what everybody sees of it changes, and with nothing when many do.
pub const CHANNEL: &str = "freehunt_job_postings";
