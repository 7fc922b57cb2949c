//! Adding a skill to the shared list.

use sqlx::PgPool;

use super::{Skill, SkillType, normalize_name, queries};
use crate::{
    Violation,
    ids::UserId,
    limits::{Creation, count_creation},
};

#[derive(Clone, Debug)]
pub struct NewSkill {
    pub name: String,
    pub aliases: Vec<String>,
    pub r#type: SkillType,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateSkillError {
    /// Names the field whose value exists already: `name` or `normalizedName`.
    #[error("{field} exists already")]
    Exists { field: &'static str },
    #[error("the daily limit is reached")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn create(pool: &PgPool, author: UserId, skill: &NewSkill) -> Result<Skill, CreateSkillError> {
    let mut transaction = pool.begin().await?;
    if !count_creation(&mut transaction, author, Creation::Skill).await? {
        return Err(CreateSkillError::TooMany);
    }
    let created =
        queries::insert_skill(&mut transaction, skill, &normalize_name(&skill.name)).await.map_err(|error| {
            match Violation::of(&error) {
                Some(Violation::Unique { constraint }) if constraint == "Skill_name_key" => {
                    CreateSkillError::Exists { field: "name" }
                }
                Some(Violation::Unique { .. }) => CreateSkillError::Exists { field: "normalizedName" },
                _ => CreateSkillError::Database(error),
            }
        })?;
    transaction.commit().await?;
    Ok(created)
}
