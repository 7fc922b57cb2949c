//! Making a freelance's profile, with its skills.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Freelance, SaveFreelanceError, queries};
use crate::{grouping::distinct, ids::UserId, skills};

#[derive(Clone, Debug)]
pub struct NewFreelance {
    pub first_name: String,
    pub last_name: String,
    pub job_title: String,
    pub average_daily_rate: f64,
    pub seniority: i32,
    pub location: String,
    pub skill_ids: Vec<Uuid>,
}

/// Fails on the unique index `Freelance_userId_key` when the user has a profile.
pub async fn create(pool: &PgPool, owner: UserId, new: &NewFreelance) -> Result<Freelance, SaveFreelanceError> {
    let mut transaction = pool.begin().await?;
    check_skills(&mut transaction, &new.skill_ids).await?;
    let freelance = queries::insert_freelance(&mut transaction, owner, new).await?;
    queries::insert_skill_links(&mut transaction, freelance.id, &new.skill_ids).await?;
    transaction.commit().await?;
    Ok(freelance)
}

/// Every skill that is named must exist; naming one twice is harmless.
pub(super) async fn check_skills(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), SaveFreelanceError> {
    let ids = distinct(ids.iter().copied());
    let found = skills::queries::count_skills(connection, &ids).await?;
    if usize::try_from(found).is_ok_and(|found| found == ids.len()) {
        Ok(())
    } else {
        Err(SaveFreelanceError::UnknownSkills { expected: ids.len(), found })
    }
}
