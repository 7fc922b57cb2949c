//! Projects: what an accepted application becomes. Made only by `candidates::decide`, read by its two parties.

mod load;
mod model;
pub mod queries;

pub use load::{ProjectDetails, list_details_of_user, load_details};
pub use model::{Project, ProjectStatus};
