//! `PUT /checkpoints/{id}`: the freelance submits, the company approves and so pays, the owner edits before payment.
//! Which of them it is follows from the session, never from the body.

use axum::extract::State;
use chrono::{DateTime, Utc};
use freehunt_domain::{
    Cents,
    checkpoints::{Checkpoint, CheckpointStatus, queries::find_checkpoint},
    ids::{CheckpointId, TransferIntentId},
    payments::{
        self, Approval, ApproveError, CheckpointChanges, EditCheckpointError, SubmitError, TransferStatus,
        queries::transfers::find_transfer,
    },
    retry::retrying,
};
use serde::Deserialize;

use crate::{
    error::{ApiError, ApiResult, ErrorBody, FORBIDDEN},
    extract::{AllowedBody, Field, Json, Rule, Validate},
    routes::{
        checkpoints::views::PartyCheckpoint, job_posting_payments::patience, job_postings::access::CheckpointToAdvance,
        stripe::refresh_account,
    },
    state::AppState,
};

/// A step forward, or, before payment, other texts and amounts.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCheckpoint {
    /// `DONE` submits (the freelance) or approves and pays (the company).
    status: Option<CheckpointStatus>,
    /// The session's own user, or absent.
    user_id: Option<String>,
    /// At most 200 characters.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// At most 20 000 characters.
    #[schema(max_length = 20_000)]
    description: Option<String>,
    #[serde(default, deserialize_with = "crate::extract::optional_date")]
    date: Option<DateTime<Utc>>,
    /// In euros.
    #[serde(rename = "amount")]
    #[schema(value_type = Option<f64>, example = 200.5)]
    amount_cents: Option<i64>,
    /// The checkpoint's own posting, or absent.
    job_posting_id: Option<String>,
}

impl Validate for UpdateCheckpoint {
    const FIELDS: &'static [Field] = &[
        Field::ignored("freelanceId"),
        Field::optional("userId", &[Rule::IsString]),
        // Who submitted and validated, and when, is known here; what a client says of it is checked and dropped.
        Field::optional("submittedAt", &[Rule::IsIso8601]),
        Field::optional("validatedAt", &[Rule::IsIso8601]),
        Field::ignored("submittedBy"),
        Field::ignored("validatedBy"),
        Field::not_null("name", &[Rule::IsString, Rule::Limit(200)]),
        Field::not_null("description", &[Rule::IsString, Rule::Limit(20_000)]),
        Field::not_null("date", &[Rule::IsDate]),
        Field::not_null("status", &[Rule::IsEnum(CheckpointStatus::NAMES)]),
        Field::optional("jobPostingId", &[Rule::IsUuid]),
        Field::optional("quoteId", &[Rule::IsUuid]),
        Field::not_null("amount", &[Rule::IsPositive, Rule::IsMoney]),
    ];
}

impl UpdateCheckpoint {
    fn advances(&self) -> bool {
        matches!(self.status, Some(CheckpointStatus::Done | CheckpointStatus::PendingCompanyApproval))
    }

    fn changes_nothing(&self) -> bool {
        self.status.is_none()
            && self.name.is_none()
            && self.description.is_none()
            && self.date.is_none()
            && self.amount_cents.is_none()
    }

    fn into_changes(self) -> CheckpointChanges {
        CheckpointChanges {
            name: self.name,
            description: self.description,
            date: self.date,
            amount: self.amount_cents.map(Cents),
            status: self.status,
        }
    }
}

const NO_CHECKPOINT: &str = "Checkpoint not found";
const NO_PROJECT: &str = "Project not found";
const TRANSFER_FAILED: &str = "Payment transfer failed";
const PROJECT_OVER: &str = "The project is over";

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotFound => Self::not_found(NO_CHECKPOINT),
            SubmitError::NoProject => Self::bad_request(NO_PROJECT),
            SubmitError::ProjectOver => Self::conflict(PROJECT_OVER),
            SubmitError::Settled => Self::conflict("The checkpoint is already done or canceled"),
            SubmitError::Database(error) => error.into(),
        }
    }
}

impl From<EditCheckpointError> for ApiError {
    fn from(error: EditCheckpointError) -> Self {
        match error {
            EditCheckpointError::NotFound => Self::not_found(NO_CHECKPOINT),
            EditCheckpointError::Status => Self::conflict("The checkpoint cannot be given this status"),
            EditCheckpointError::TooSmall => Self::bad_request("amount must be greater than the fees of its transfer"),
            EditCheckpointError::Database(error) => error.into(),
        }
    }
}

impl From<ApproveError> for ApiError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::NotFound => Self::not_found(NO_CHECKPOINT),
            ApproveError::NoProject => Self::bad_request(NO_PROJECT),
            ApproveError::ProjectOver => Self::conflict(PROJECT_OVER),
            ApproveError::Canceled => Self::conflict("The checkpoint is canceled"),
            ApproveError::Reversed => Self::conflict("The payment of this checkpoint was taken back"),
            ApproveError::NotPaid => Self::conflict("No payment is on record for this job posting"),
            ApproveError::Disputed => Self::conflict("The payment of this job posting is disputed"),
            ApproveError::ExceedsPayment => Self::conflict("The checkpoints exceed what was paid for this job posting"),
            ApproveError::NoAccount => Self::bad_request("Freelance Stripe account not found"),
            ApproveError::TooSmall | ApproveError::AccountNotReady { .. } => Self::bad_request(TRANSFER_FAILED),
            ApproveError::Database(error) => error.into(),
        }
    }
}

/// Submits or approves a checkpoint of one's project, or edits one of one's own unpaid posting.
#[utoipa::path(put, path = "/checkpoints/{id}", tag = "checkpoints", params(("id" = CheckpointId, Path)),
    request_body = UpdateCheckpoint, security(("session" = [])), responses(
        (status = 200, description = "The checkpoint as it is now", body = PartyCheckpoint),
        (status = 404, description = "No such checkpoint", body = ErrorBody),
        (status = 409, description = "Not possible in its state", body = ErrorBody),
        (status = 503, description = "Stripe has not answered; the payment is on its way", body = ErrorBody)))]
pub async fn update_checkpoint(
    State(state): State<AppState>,
    AllowedBody(allowed, body): AllowedBody<CheckpointToAdvance, UpdateCheckpoint>,
) -> ApiResult<Json<PartyCheckpoint>> {
    let (id, user) = (allowed.checkpoint.id, allowed.session.user_id);
    assert_own(body.user_id.as_deref(), &user.to_string())?;
    assert_own(body.job_posting_id.as_deref(), &allowed.job_posting.id.to_string())?;
    allowed.session.require_confirmed()?;
    let checkpoint = match (allowed.is_company, body.advances()) {
        (_, false) if body.changes_nothing() => allowed.checkpoint,
        (true, true) => approve(&state, &allowed).await?,
        (true, false) => {
            let changes = body.into_changes();
            retrying(|| payments::edit_checkpoint(&state.pool, id, &changes)).await?
        }
        (false, true) => retrying(|| payments::submit_checkpoint(&state.pool, id, user)).await?,
        (false, false) => return Err(ApiError::forbidden(FORBIDDEN)),
    };
    Ok(Json(PartyCheckpoint::of(&checkpoint)))
}

/// An id in the body is an assertion: the known one, or refused.
fn assert_own(claimed: Option<&str>, known: &str) -> ApiResult<()> {
    match claimed {
        Some(claimed) if !claimed.eq_ignore_ascii_case(known) => Err(ApiError::forbidden(FORBIDDEN)),
        _ => Ok(()),
    }
}

async fn approve(state: &AppState, allowed: &CheckpointToAdvance) -> ApiResult<Checkpoint> {
    let (id, user) = (allowed.checkpoint.id, allowed.session.user_id);
    let approve = || payments::approve_checkpoint(&state.pool, id, user);
    let approval = match retrying(approve).await {
        Err(ApproveError::AccountNotReady { account, .. }) => {
            // What is known of the account may be old: Stripe is asked once.
            refresh_account(state, &account).await?;
            retrying(approve).await?
        }
        other => other?,
    };
    if let Approval::Transferring { intent, job } = approval {
        state.jobs.attempt(job, patience(state)).await;
        check_transfer(state, intent).await?;
    }
    let mut connection = state.connection().await?;
    find_checkpoint(&mut connection, id).await?.ok_or_else(|| ApiError::not_found(NO_CHECKPOINT))
}

async fn check_transfer(state: &AppState, intent: TransferIntentId) -> ApiResult<()> {
    let mut connection = state.connection().await?;
    let intent = find_transfer(&mut connection, intent).await?.ok_or(sqlx::Error::RowNotFound)?;
    match intent.status {
        TransferStatus::Succeeded | TransferStatus::Reversed => Ok(()),
        TransferStatus::Failed => Err(ApiError::bad_request(TRANSFER_FAILED)),
        TransferStatus::Pending => Err(ApiError::unavailable(anyhow::anyhow!("the transfer is not confirmed yet"))),
    }
}
