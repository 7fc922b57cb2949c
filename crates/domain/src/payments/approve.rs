//! The company approves a checkpoint: its one transfer is decided, out of the money that was paid for the posting.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    model::{PaymentSession, SessionStatus, TransferIntent, TransferStatus},
    queries::{
        accounts::{find_account, find_payee},
        disputes::has_open_dispute,
        projects::{ProjectForPayment, lock_project_of_posting},
        sessions::{list_sessions, lock_session},
        transfers::{NewTransfer, lock_transfer_of_checkpoint, sum_promised_gross, upsert_transfer},
    },
    refunds::sum_free,
};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    checkpoints::{
        Checkpoint, CheckpointStatus,
        queries::{find_checkpoint, lock_checkpoint},
    },
    ids::{CheckpointId, FreelanceId, JobId, JobPostingId, TransferIntentId, UserId},
    job_postings::queries::lock_job_posting,
    jobs::{Job, enqueue},
    money::TransferFees,
};

/// How the request goes on.
#[derive(Clone, Debug)]
pub enum Approval {
    /// Paid before; nothing moves.
    Done,
    /// Run the job, then read the intent: ours, or the one of an approval that is under way.
    Transferring { intent: TransferIntentId, job: JobId },
}

#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    #[error("the checkpoint does not exist")]
    NotFound,
    #[error("the posting has no project")]
    NoProject,
    #[error("the project is over")]
    ProjectOver,
    #[error("the checkpoint is canceled")]
    Canceled,
    #[error("the transfer was taken back by an operator")]
    Reversed,
    #[error("no payment is on record that this could be paid from")]
    NotPaid,
    #[error("the payment is disputed")]
    Disputed,
    #[error("more would be paid out than came in")]
    ExceedsPayment,
    #[error("nothing would be left after fees")]
    TooSmall,
    #[error("the freelance has no payout account")]
    NoAccount,
    /// Ask Stripe how the account stands, then approve again; the second time it is an answer.
    #[error("the payout account cannot receive transfers, as far as is known")]
    AccountNotReady { freelance: FreelanceId, account: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Decides the checkpoint's transfer, or joins the one that was decided before.
pub async fn approve_checkpoint(
    pool: &PgPool,
    checkpoint: CheckpointId,
    approver: UserId,
) -> Result<Approval, ApproveError> {
    let mut transaction = pool.begin().await?;
    let found = find_checkpoint(&mut transaction, checkpoint).await?.ok_or(ApproveError::NotFound)?;
    let posting = found.job_posting_id;
    lock_job_posting(&mut transaction, posting).await?.ok_or(ApproveError::NotFound)?;
    let project = lock_project_of_posting(&mut transaction, posting).await?;
    let checkpoint = lock_checkpoint(&mut transaction, checkpoint).await?.ok_or(ApproveError::NotFound)?;
    let existing = lock_transfer_of_checkpoint(&mut transaction, checkpoint.id).await?;
    if let Some(approval) = settled_before(&mut transaction, &checkpoint, existing.as_ref()).await? {
        transaction.commit().await?;
        return Ok(approval);
    }
    let project = project.ok_or(ApproveError::NoProject)?;
    if !project.is_in_progress {
        return Err(ApproveError::ProjectOver);
    }
    let intent = decide(&mut transaction, posting, &checkpoint, &project, approver).await?;
    let job = enqueue(&mut transaction, &Job::SendTransfer { transfer_intent_id: intent.id }).await?;
    let record = AuditRecord {
        actor: AuditActor::User(approver),
        table: "Checkpoint",
        action: "approve",
        subject_id: Some(checkpoint.id.to_string()),
        client_address: None,
        details: Some(json!({ "transferIntent": intent.id, "netCents": intent.net.0 })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(Approval::Transferring { intent: intent.id, job })
}

/// A repeated approval, and the states in which there is nothing to approve.
async fn settled_before(
    connection: &mut PgConnection,
    checkpoint: &Checkpoint,
    existing: Option<&TransferIntent>,
) -> Result<Option<Approval>, ApproveError> {
    match checkpoint.status {
        CheckpointStatus::Done => return Ok(Some(Approval::Done)),
        CheckpointStatus::Canceled => return Err(ApproveError::Canceled),
        _ => {}
    }
    match existing {
        None => Ok(None),
        Some(intent) => match intent.status {
            TransferStatus::Pending => {
                let job = enqueue(connection, &Job::SendTransfer { transfer_intent_id: intent.id }).await?;
                Ok(Some(Approval::Transferring { intent: intent.id, job }))
            }
            TransferStatus::Failed => Ok(None),
            TransferStatus::Succeeded => Ok(Some(Approval::Done)),
            TransferStatus::Reversed => Err(ApproveError::Reversed),
        },
    }
}

async fn decide(
    connection: &mut PgConnection,
    posting: JobPostingId,
    checkpoint: &Checkpoint,
    project: &ProjectForPayment,
    approver: UserId,
) -> Result<TransferIntent, ApproveError> {
    let fees = TransferFees::of(checkpoint.cents());
    if fees.net.0 <= 0 {
        return Err(ApproveError::TooSmall);
    }
    let freelance = project.freelance_id.ok_or(ApproveError::NoAccount)?;
    let session = paid_session(connection, posting).await?;
    let charge = session.stripe_charge_id.as_deref().ok_or(ApproveError::NotPaid)?;
    check_sums(connection, &session, fees).await?;
    let destination = payout_account(connection, freelance).await?;
    let transfer = NewTransfer {
        checkpoint_id: checkpoint.id,
        job_posting_id: posting,
        payment_session_id: session.id,
        freelance_id: freelance,
        destination: &destination,
        source_transaction: charge,
        fees,
        approved_by: approver,
    };
    Ok(upsert_transfer(connection, &transfer).await?)
}

/// The payment that published the posting, undisputed and not refunded; a part of it may be lost.
async fn paid_session(connection: &mut PgConnection, posting: JobPostingId) -> Result<PaymentSession, ApproveError> {
    if has_open_dispute(connection, posting).await? {
        return Err(ApproveError::Disputed);
    }
    let sessions = list_sessions(connection, posting).await?;
    if let Some(paid) = sessions.iter().find(|session| session.status == SessionStatus::Paid) {
        let locked = lock_session(connection, paid.id).await?;
        return locked.filter(|session| session.status == SessionStatus::Paid).ok_or(ApproveError::NotPaid);
    }
    let is_disputed = sessions.iter().any(|session| session.status == SessionStatus::Disputed);
    Err(if is_disputed { ApproveError::Disputed } else { ApproveError::NotPaid })
}

/// I2 and I10: before fees, no more than the price; after fees, no more than what is left of the charge.
async fn check_sums(
    connection: &mut PgConnection,
    session: &PaymentSession,
    fees: TransferFees,
) -> Result<(), ApproveError> {
    let promised = sum_promised_gross(connection, session.id).await?;
    let fits = promised + fees.gross <= session.amount_subtotal && fees.net <= sum_free(connection, session.id).await?;
    if fits { Ok(()) } else { Err(ApproveError::ExceedsPayment) }
}

/// I11: the account that was made for this freelance and can be paid.
async fn payout_account(connection: &mut PgConnection, freelance: FreelanceId) -> Result<String, ApproveError> {
    let account = find_account(connection, freelance).await?;
    let recorded = account.as_ref().and_then(|account| account.stripe_account_id.clone());
    match (account, recorded) {
        (Some(account), Some(id)) if account.transfers_active => Ok(id),
        (_, Some(id)) => Err(ApproveError::AccountNotReady { freelance, account: id }),
        (_, None) => {
            let profile = find_payee(connection, freelance).await?.and_then(|payee| payee.stripe_account_id);
            let account = profile.ok_or(ApproveError::NoAccount)?;
            Err(ApproveError::AccountNotReady { freelance, account })
        }
    }
}
