//! Changing a freelance's profile.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Freelance, SaveFreelanceError, create::check_skills, queries};
use crate::{ids::FreelanceId, payments::accounts::find_account};

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
    if let Some(account) = &changes.stripe_account_id {
        check_payout_account(&mut transaction, &current, account).await?;
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

/// What the profile carries, or carried when the client read it: its own account, which is hidden while its form is
/// unfinished.
async fn check_payout_account(
    connection: &mut PgConnection,
    current: &Freelance,
    account: &str,
) -> Result<(), SaveFreelanceError> {
    if account == current.stripe_account_id.as_deref().unwrap_or_default() {
        return Ok(());
    }
    let own = find_account(connection, current.id).await?.and_then(|own| own.stripe_account_id);
    if own.as_deref() == Some(account) { Ok(()) } else { Err(SaveFreelanceError::PayoutAccountChanged) }
}
