//! Applying to a job posting.

use sqlx::{PgConnection, PgPool};

use super::{Candidate, queries};
use crate::{
    Violation, checkpoints,
    freelances::{self, Freelance},
    ids::{FreelanceId, JobPostingId},
    job_postings::{self, JobPosting, JobPostingStatus},
    payments::accounts::find_account,
    policy::{self, Actor, JobPostingAction},
    projects,
    users::Role,
};

#[derive(Clone, Copy, Debug)]
pub struct NewCandidate {
    /// The applicant's word; must be the actor's own profile.
    pub freelance_id: FreelanceId,
    pub job_posting_id: JobPostingId,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("not a freelance, or not this one")]
    NotOwnProfile,
    /// There is none, or the actor may not see it.
    #[error("no such job posting")]
    NoJobPosting,
    #[error("the actor's own company offers the job")]
    OwnCompany,
    #[error("no account for payouts is connected")]
    NoPayoutAccount,
    /// Ask Stripe how the account stands, then apply again; the second time it is an answer.
    #[error("the payout account's form is not finished, as far as is known")]
    PayoutAccountNotReady { account: String },
    #[error("the job posting is not published")]
    NotPublished,
    #[error("the job posting has no checkpoint")]
    NoCheckpoint,
    #[error("a freelance has been selected")]
    AlreadySelected,
    #[error("the freelance applied already")]
    Exists,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn apply(
    pool: &PgPool,
    actor: Actor,
    new: NewCandidate,
) -> Result<(Candidate, Freelance, JobPosting), ApplyError> {
    let mut transaction = pool.begin().await?;
    let freelance = find_own_profile(&mut transaction, actor, new.freelance_id).await?;
    // Shared: applications do not wait for each other, but decisions and cancellation wait for them.
    let job_posting = job_postings::queries::lock_job_posting_shared(&mut transaction, new.job_posting_id).await?;
    let job_posting = job_posting.ok_or(ApplyError::NoJobPosting)?;
    check_right(&mut transaction, actor, new.job_posting_id).await?;
    check_state(&mut transaction, &freelance, &job_posting).await?;
    let candidate =
        queries::insert_candidate(&mut transaction, freelance.id, job_posting.id).await.map_err(|error| {
            match Violation::of(&error) {
                Some(Violation::Unique { .. }) => ApplyError::Exists,
                _ => ApplyError::Database(error),
            }
        })?;
    transaction.commit().await?;
    Ok((candidate, freelance, job_posting))
}

async fn find_own_profile(
    connection: &mut PgConnection,
    actor: Actor,
    claimed: FreelanceId,
) -> Result<Freelance, ApplyError> {
    if !policy::with_role(Some(actor), Role::Freelance).is_allowed() {
        return Err(ApplyError::NotOwnProfile);
    }
    freelances::queries::find_freelance_of_user(connection, actor.user_id)
        .await?
        .filter(|own| own.id == claimed)
        .ok_or(ApplyError::NotOwnProfile)
}

async fn check_right(connection: &mut PgConnection, actor: Actor, id: JobPostingId) -> Result<(), ApplyError> {
    let found = job_postings::queries::find_facts(connection, id, Some(actor.user_id)).await?;
    let (_, facts) = found.ok_or(ApplyError::NoJobPosting)?;
    if !policy::job_posting(Some(actor), JobPostingAction::View, &facts).is_allowed() {
        return Err(ApplyError::NoJobPosting);
    }
    if facts.owner == actor.user_id { Err(ApplyError::OwnCompany) } else { Ok(()) }
}

/// Whoever applies can be paid: the account is there, and its form was filled in. What Stripe still verifies then does not
/// keep anybody from applying; an approval asks for more.
async fn check_payout_account(connection: &mut PgConnection, freelance: &Freelance) -> Result<(), ApplyError> {
    let account = find_account(connection, freelance.id).await?;
    if account.as_ref().is_some_and(|account| account.stripe_account_id.is_some() && account.details_submitted) {
        return Ok(());
    }
    let recorded = account.and_then(|account| account.stripe_account_id);
    let carried = freelance.stripe_account_id.clone().filter(|account| !account.is_empty());
    let account = recorded.or(carried).ok_or(ApplyError::NoPayoutAccount)?;
    Err(ApplyError::PayoutAccountNotReady { account })
}

async fn check_state(
    connection: &mut PgConnection,
    freelance: &Freelance,
    job_posting: &JobPosting,
) -> Result<(), ApplyError> {
    check_payout_account(connection, freelance).await?;
    if projects::queries::exists_for_job_posting(connection, job_posting.id).await?
        || job_postings::queries::has_accepted_candidate(connection, job_posting.id).await?
    {
        return Err(ApplyError::AlreadySelected);
    }
    if job_posting.status != JobPostingStatus::Published {
        return Err(ApplyError::NotPublished);
    }
    if checkpoints::queries::count_checkpoints(connection, job_posting.id).await? == 0 {
        return Err(ApplyError::NoCheckpoint);
    }
    // A database of the original may be without the unique index.
    if queries::find_candidate_of_freelance(connection, freelance.id, job_posting.id).await?.is_some() {
        return Err(ApplyError::Exists);
    }
    Ok(())
}
