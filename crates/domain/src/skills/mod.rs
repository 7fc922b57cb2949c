//! Skills: the shared vocabulary of postings and profiles. Public to read; either role may add to it.

mod catalog;
mod create;
mod model;
pub mod queries;

pub use catalog::{CHANNEL, SkillCatalog};
pub use create::{CreateSkillError, NewSkill, create};
pub use model::{Skill, SkillFields, SkillType, normalize_name};
