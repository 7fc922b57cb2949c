//! Changing a freelance's profile.

use sqlx::PgPool;
use uuid::Uuid;

use super::{Freelance, SaveFreelanceError, create::check_skills, queries};
use crate::ids::FreelanceId;

/// What changes about a profile; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct FreelanceChanges {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub job_title: Option<String>,
    pub average_daily_rate: Option<f64>,
    pub seniority: Option<i32>,
    pub location: Option<String>,
    /// All skills from now on.
    pub skill_ids: Option<Vec<Uuid>>,
    /// Clients send back what they read; anything else is refused. Empty stands for none.
    pub stripe_account_id: Option<String>,
}

pub async fn update(
    pool: &PgPool,
    id: FreelanceId,
    changes: &FreelanceChanges,
) -> Result<Freelance, SaveFreelanceError> {
    let mut transaction = pool.begin().await?;
    let current = queries::lock_freelance(&mut transaction, id).await?.ok_or(SaveFreelanceError::NotFound)?;
    if let Some(account) = &changes.stripe_account_id
        && account != current.stripe_account_id.as_deref().unwrap_or_default()
    {
        return Err(SaveFreelanceError::PayoutAccountChanged);
    }
    if let Some(skill_ids) = &changes.skill_ids {
        check_skills(&mut transaction, skill_ids).await?;
        queries::delete_skill_links(&mut transaction, id).await?;
        queries::insert_skill_links(&mut transaction, id, skill_ids).await?;
    }
    let freelance = queries::update_freelance(&mut transaction, id, changes).await?;
    transaction.commit().await?;
    Ok(freelance)
}
