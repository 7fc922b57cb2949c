//! Projects: what an accepted application becomes. Made only by `candidates::decide`, read by its two parties.

mod load;
mod model;
pub mod queries;

pub use load::{ProjectDetails, find_details, list_details_of_user};
pub use model::{Project, ProjectStatus};
