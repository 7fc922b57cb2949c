//! `/checkpoints`: the paid steps of a posting. Submitting and approving one is in `checkpoint_progress`.

pub mod views;

use axum::extract::State;
use chrono::{DateTime, Utc};
use freehunt_domain::{
    Cents, Timestamp,
    checkpoints::{self, CheckpointStatus, CreateCheckpointError, DeleteCheckpointError, NewCheckpoint},
    ids::{CheckpointId, JobPostingId},
};
use serde::Deserialize;

use self::views::{CheckpointView, PartyCheckpoint};
use crate::{
    error::{ApiError, ApiResult, ErrorBody, NOTHING_TO_DELETE},
    extract::{Allowed, ClientAddress, Created, Field, Json, Rule, Session, ValidBody, Validate},
    routes::job_postings::access::{CheckpointToView, OwnedCheckpoint, OwnedJobPosting, VisibleJobPosting},
    state::AppState,
};

/// A checkpoint to add to an unpaid posting.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateCheckpoint {
    /// At most 200 characters.
    #[schema(example = "Maquette", max_length = 200)]
    name: String,
    /// At most 20 000 characters.
    #[schema(example = "Maquettes des cinq écrans", max_length = 20_000)]
    description: String,
    #[serde(deserialize_with = "crate::extract::date")]
    #[schema(example = "2026-11-24T11:00:00.000Z")]
    date: DateTime<Utc>,
    /// Anything but `TODO` and `IN_PROGRESS` becomes `TODO`.
    status: CheckpointStatus,
    job_posting_id: JobPostingId,
    /// In euros, more than the fees of its transfer.
    #[serde(rename = "amount")]
    #[schema(value_type = f64, example = 200.5)]
    amount_cents: i64,
}

impl Validate for CreateCheckpoint {
    const FIELDS: &'static [Field] = &[
        Field::required("name", &[Rule::IsString, Rule::Limit(200)]),
        Field::required("description", &[Rule::IsString, Rule::Limit(20_000)]),
        Field::required("date", &[Rule::IsDate]),
        Field::required("status", &[Rule::IsEnum(CheckpointStatus::NAMES)]),
        Field::required("jobPostingId", &[Rule::IsUuid]),
        Field::optional("quoteId", &[Rule::IsUuid]),
        Field::required("amount", &[Rule::IsPositive, Rule::IsMoney]),
    ];
}

const FROZEN: &str = "Checkpoints can no longer be added or removed: the payment of this job posting has begun";

impl From<CreateCheckpointError> for ApiError {
    fn from(error: CreateCheckpointError) -> Self {
        match error {
            CreateCheckpointError::NothingLeft => {
                Self::bad_request("amount must be greater than the fees of its transfer")
            }
            CreateCheckpointError::NoJobPosting => Self::foreign_key(JOB_POSTING_KEY),
            CreateCheckpointError::Frozen => Self::conflict(FROZEN),
            CreateCheckpointError::TooMany => Self::conflict("Cannot add a checkpoint: the job posting has too many"),
            CreateCheckpointError::Database(error) => error.into(),
        }
    }
}

impl From<DeleteCheckpointError> for ApiError {
    fn from(error: DeleteCheckpointError) -> Self {
        match error {
            DeleteCheckpointError::Gone => Self::missing_dependency(NOTHING_TO_DELETE),
            DeleteCheckpointError::Frozen => Self::conflict(FROZEN),
            DeleteCheckpointError::Referenced => Self::conflict("This checkpoint is still referred to"),
            DeleteCheckpointError::Database(error) => error.into(),
        }
    }
}

const JOB_POSTING_KEY: &str = "Checkpoint_jobPostingId_fkey";

/// Adds a checkpoint to a posting of one's own company, before its payment has begun.
#[utoipa::path(post, path = "/checkpoints", tag = "checkpoints", request_body = CreateCheckpoint,
    security(("session" = [])),
    responses((status = 201, description = "The checkpoint", body = PartyCheckpoint),
        (status = 400, description = "Refused body, an amount below the fees, or no such posting", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "The posting of another company", body = ErrorBody),
        (status = 409, description = "The payment has begun", body = ErrorBody)))]
pub async fn create_checkpoint(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<CreateCheckpoint>,
) -> ApiResult<Created<PartyCheckpoint>> {
    session.require_confirmed()?;
    let mut connection = state.connection().await?;
    let owned = OwnedJobPosting::find(&mut connection, session, body.job_posting_id).await?;
    let owned = owned.ok_or_else(|| ApiError::foreign_key(JOB_POSTING_KEY))?;
    connection.finish();
    let checkpoint = NewCheckpoint {
        name: body.name,
        description: body.description,
        date: Timestamp::from_utc(body.date),
        job_posting_id: owned.job_posting.id,
        status: body.status,
        amount: Cents(body.amount_cents),
    };
    let created = checkpoints::create(&state.pool, &checkpoint).await?;
    Ok(Created(PartyCheckpoint::of(&created)))
}

/// A posting's checkpoints in the order of their dates.
#[utoipa::path(get, path = "/checkpoints/job-posting/{jobPostingId}", tag = "checkpoints",
    params(("jobPostingId" = JobPostingId, Path)),
    responses((status = 200, description = "The checkpoints", body = Vec<CheckpointView>),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 404, description = "No such posting, or one that is not shown", body = ErrorBody)))]
pub async fn list_checkpoints_of_job_posting(
    Allowed(visible): Allowed<VisibleJobPosting>,
) -> Json<Vec<CheckpointView>> {
    let is_party = visible.audience.is_project_party();
    Json(visible.posting.checkpoints.iter().map(|checkpoint| CheckpointView::of(checkpoint, is_party)).collect())
}

/// One checkpoint.
#[utoipa::path(get, path = "/checkpoints/{id}", tag = "checkpoints", params(("id" = CheckpointId, Path)),
    responses((status = 200, description = "The checkpoint", body = CheckpointView),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 404, description = "No such checkpoint, or one that is not shown", body = ErrorBody)))]
pub async fn get_checkpoint(Allowed(visible): Allowed<CheckpointToView>) -> Json<CheckpointView> {
    Json(CheckpointView::of(&visible.checkpoint, visible.audience.is_project_party()))
}

/// Takes a checkpoint away, before the payment of its posting has begun.
#[utoipa::path(delete, path = "/checkpoints/{id}", tag = "checkpoints", params(("id" = CheckpointId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The checkpoint as it was", body = PartyCheckpoint),
        (status = 400, description = "Not a UUID", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "The checkpoint of another company", body = ErrorBody),
        (status = 404, description = "No such checkpoint, or one that is not shown", body = ErrorBody),
        (status = 409, description = "The payment has begun", body = ErrorBody)))]
pub async fn delete_checkpoint(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    Allowed(owned): Allowed<OwnedCheckpoint>,
) -> ApiResult<Json<PartyCheckpoint>> {
    owned.session.require_confirmed()?;
    let actor = owned.session.audit_actor();
    let deleted = checkpoints::delete(&state.pool, actor, address.to_string(), &owned.checkpoint).await?;
    Ok(Json(PartyCheckpoint::of(&deleted)))
}
