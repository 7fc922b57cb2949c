//! What accepting a candidate makes, in the transaction of the decision: the project, its conversation and the
//! welcome message. All or nothing.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Candidate, CandidateStatus, DecideError, queries};
use crate::{
    Cents, Timestamp,
    chat_events::ChatEventKind,
    checkpoints::{self, Checkpoint, CheckpointStatus},
    conversations,
    ids::{MessageId, ProjectId, UserId},
    job_postings::{JobPosting, JobPostingStatus},
    messages::{self, queries::MessageRow},
    payments,
    projects::{self, queries::ProjectRow},
};

/// Posting and candidate are locked by the caller.
pub(super) async fn accept(
    connection: &mut PgConnection,
    company_user: UserId,
    candidate: &Candidate,
    job_posting: &JobPosting,
) -> Result<ProjectId, DecideError> {
    let plan = check(connection, job_posting).await?;
    queries::update_status(connection, candidate.id, CandidateStatus::Accepted).await?;
    queries::reject_others(connection, job_posting.id, candidate.id).await?;
    let freelance_user = queries::get_user_of_freelance(connection, candidate.freelance_id).await?;
    let conversation = conversations::queries::insert_conversation(connection, company_user, freelance_user).await?;
    let project = ProjectRow {
        name: &job_posting.title,
        description: &job_posting.description,
        amount: plan.amount,
        start_date: plan.first,
        end_date: plan.last,
        job_posting_id: job_posting.id,
        freelance_id: candidate.freelance_id,
        company_id: job_posting.company_id,
        conversation_id: conversation.id,
    };
    let project_id = projects::queries::insert_project(connection, &project).await?;
    conversations::publish(connection, ChatEventKind::NewConversation, &conversation).await?;
    let welcome = welcome(&job_posting.title);
    let message = MessageRow {
        id: MessageId(Uuid::new_v4()),
        conversation_id: conversation.id,
        sender_id: company_user,
        receiver_id: freelance_user,
        document_id: None,
        content: &welcome,
    };
    messages::queries::insert_published(connection, message).await?;
    conversations::publish(connection, ChatEventKind::ConversationReady, &conversation).await?;
    Ok(project_id)
}

async fn check(connection: &mut PgConnection, job_posting: &JobPosting) -> Result<Plan, DecideError> {
    if projects::queries::exists_for_job_posting(connection, job_posting.id).await? {
        return Err(DecideError::AlreadyAccepted);
    }
    if job_posting.status != JobPostingStatus::Published {
        return Err(DecideError::NotPublished);
    }
    if !payments::acceptance_allowed(connection, job_posting.id).await? {
        return Err(DecideError::NotPaid);
    }
    let checkpoints = checkpoints::queries::list_checkpoints(connection, job_posting.id).await?;
    Plan::of(&checkpoints).ok_or(DecideError::NoCheckpoint)
}

/// What the checkpoints say of a project.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    amount: Cents,
    first: Timestamp,
    last: Timestamp,
}

impl Plan {
    /// `None` without a checkpoint that is still to be done.
    fn of(checkpoints: &[Checkpoint]) -> Option<Self> {
        let planned = || checkpoints.iter().filter(|checkpoint| checkpoint.status != CheckpointStatus::Canceled);
        Some(Self {
            amount: planned().map(Checkpoint::cents).sum(),
            first: planned().map(|checkpoint| checkpoint.date).min()?,
            last: planned().map(|checkpoint| checkpoint.date).max()?,
        })
    }
}

/// The first message of a project's conversation, as the original words it.
fn welcome(title: &str) -> String {
    format!(
        "🎉 Félicitations ! Votre candidature pour le projet \"{title}\" a été acceptée. Cette conversation vous permettra de \
         communiquer avec l'équipe tout au long du projet."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CheckpointId, JobPostingId};

    fn checkpoint(day: u32, amount: f64, status: CheckpointStatus) -> Checkpoint {
        let time =
            |day| Timestamp(chrono::NaiveDate::from_ymd_opt(2026, 1, day).unwrap().and_hms_opt(11, 0, 0).unwrap());
        Checkpoint {
            id: CheckpointId(Uuid::new_v4()),
            name: String::new(),
            description: String::new(),
            amount,
            date: time(day),
            status,
            submitted_at: None,
            validated_at: None,
            submitted_by: None,
            validated_by: None,
            job_posting_id: JobPostingId(Uuid::nil()),
            created_at: time(1),
            updated_at: time(1),
        }
    }

    #[test]
    fn the_plan_adds_cents_and_spans_the_dates() {
        let checkpoints = [
            checkpoint(20, 0.1, CheckpointStatus::Todo),
            checkpoint(10, 0.2, CheckpointStatus::InProgress),
            checkpoint(31, 500.0, CheckpointStatus::Canceled),
        ];
        let plan = Plan::of(&checkpoints).unwrap();
        assert_eq!(plan.amount, Cents(30));
        assert_eq!((plan.first, plan.last), (checkpoints[1].date, checkpoints[0].date));
    }

    #[test]
    fn without_checkpoints_there_is_no_plan() {
        assert_eq!(Plan::of(&[]), None);
        assert_eq!(Plan::of(&[checkpoint(1, 5.0, CheckpointStatus::Canceled)]), None);
    }

    #[test]
    fn the_welcome_names_the_title() {
        assert_eq!(
            welcome("Développeur Rust senior"),
            "🎉 Félicitations ! Votre candidature pour le projet \"Développeur Rust senior\" a été acceptée. Cette \
             conversation vous permettra de communiquer avec l'équipe tout au long du projet."
        );
    }
}
