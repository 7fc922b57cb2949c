//! Changing a posting: amounts until somebody could have paid them, texts until a candidate was accepted.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    JobPosting, JobPostingLocation,
    create::replace_skills,
    model::{is_money_frozen, is_text_frozen},
    queries,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    grouping::distinct,
    ids::JobPostingId,
    skills,
};

/// What to change; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct JobPostingChanges {
    pub title: Option<String>,
    pub description: Option<String>,
    pub location: Option<JobPostingLocation>,
    pub is_promoted: Option<bool>,
    pub average_daily_rate: Option<Cents>,
    pub seniority: Option<i32>,
    pub total_amount: Option<Cents>,
    pub skill_ids: Option<Vec<Uuid>>,
}

impl JobPostingChanges {
    /// Whether an amount would differ from what is stored; sending the stored one again is harmless.
    fn touches_money(&self, posting: &JobPosting) -> bool {
        self.average_daily_rate.is_some_and(|rate| rate != Cents::from_column(posting.average_daily_rate))
            || self.total_amount.is_some_and(|total| Some(total) != posting.total())
    }

    fn touches_text(&self) -> bool {
        self.title.is_some()
            || self.description.is_some()
            || self.location.is_some()
            || self.is_promoted.is_some()
            || self.seniority.is_some()
            || self.skill_ids.is_some()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum UpdateJobPostingError {
    #[error("the posting does not exist any more")]
    Gone,
    #[error("the amounts of a posting are frozen once its payment has begun")]
    MoneyFrozen,
    #[error("a posting cannot be changed after a candidate was accepted or it was given up")]
    TextFrozen,
    #[error("expected {expected} skills, found {found}")]
    MissingSkills { expected: usize, found: i64 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The caller has established that the posting is the actor's.
pub async fn update(
    pool: &PgPool,
    actor: AuditActor,
    client_address: String,
    id: JobPostingId,
    changes: &JobPostingChanges,
) -> Result<JobPosting, UpdateJobPostingError> {
    let mut transaction = pool.begin().await?;
    let posting = queries::lock_job_posting(&mut transaction, id).await?.ok_or(UpdateJobPostingError::Gone)?;
    let payment = queries::get_payment_state(&mut transaction, id).await?;
    let touches_money = changes.touches_money(&posting);
    if touches_money && is_money_frozen(&posting, payment) {
        return Err(UpdateJobPostingError::MoneyFrozen);
    }
    let has_accepted = queries::has_accepted_candidate(&mut transaction, id).await?;
    if changes.touches_text() && is_text_frozen(posting.status, has_accepted) {
        return Err(UpdateJobPostingError::TextFrozen);
    }
    if let Some(skill_ids) = &changes.skill_ids {
        let skill_ids = distinct(skill_ids.iter().copied());
        let found = skills::queries::count_skills(&mut transaction, &skill_ids).await?;
        if usize::try_from(found) != Ok(skill_ids.len()) {
            return Err(UpdateJobPostingError::MissingSkills { expected: skill_ids.len(), found });
        }
        replace_skills(&mut transaction, id, &skill_ids).await?;
    }
    update_columns(&mut transaction, id, changes).await?;
    if touches_money {
        record_amounts(&mut transaction, actor, client_address, id, changes).await?;
    }
    let updated = queries::find_job_posting(&mut transaction, id).await?.ok_or(UpdateJobPostingError::Gone)?;
    transaction.commit().await?;
    Ok(updated)
}

async fn update_columns(
    connection: &mut PgConnection,
    id: JobPostingId,
    changes: &JobPostingChanges,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "JobPosting"
           SET "title" = coalesce($2, "title"), "description" = coalesce($3, "description"),
               "location" = coalesce($4, "location"), "isPromoted" = coalesce($5, "isPromoted"),
               "averageDailyRate" = coalesce($6, "averageDailyRate"), "seniority" = coalesce($7, "seniority"),
               "totalAmount" = coalesce($8, "totalAmount"), "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1"#,
        id.0,
        changes.title,
        changes.description,
        changes.location as Option<JobPostingLocation>,
        changes.is_promoted,
        changes.average_daily_rate.map(Cents::to_euros),
        changes.seniority,
        changes.total_amount.map(Cents::to_euros),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn record_amounts(
    connection: &mut PgConnection,
    actor: AuditActor,
    client_address: String,
    id: JobPostingId,
    changes: &JobPostingChanges,
) -> Result<(), sqlx::Error> {
    let details = serde_json::json!({
        "averageDailyRateCents": changes.average_daily_rate.map(|rate| rate.0),
        "totalAmountCents": changes.total_amount.map(|total| total.0),
    });
    let record = AuditRecord {
        actor,
        table: "JobPosting",
        action: "update_amounts",
        subject_id: Some(id.to_string()),
        client_address: Some(client_address),
        details: Some(details),
    };
    audit::record(connection, &record).await
}
