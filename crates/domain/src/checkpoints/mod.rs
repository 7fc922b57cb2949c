//! Checkpoints: the paid steps of a job posting. How one is submitted, approved and paid is in `payments`.

mod create;
mod delete;
pub mod model;
pub mod queries;

pub use create::{CreateCheckpointError, NewCheckpoint, create};
pub use delete::{DeleteCheckpointError, delete};
pub(crate) use model::CheckpointRow;
pub use model::{Checkpoint, CheckpointStatus};
