//! Paying, publishing and canceling a posting.

mod checkout;
mod errors;

use std::time::Duration;

use axum::extract::State;
use freehunt_domain::{
    ids::{JobPostingId, RefundIntentId},
    job_postings::{queries::find_job_posting, relations},
    payments::{self, Cancellation, RefundStatus, queries::refunds::find_refund, sessions::reconcile_soon},
    retry::retrying,
};
use serde::{Deserialize, Serialize};

pub use self::checkout::*;
use crate::{
    error::{ApiResult, ErrorBody},
    extract::{Allowed, AllowedBody, Created, Field, Json, Rule, Session, Validate},
    number::Number,
    routes::{
        closed,
        job_postings::{access::OwnedJobPosting, views::OwnJobPosting},
    },
    state::AppState,
};

/// How long an answer waits for Stripe: a whole call, and less than the request may take.
pub(crate) fn patience(state: &AppState) -> Duration {
    let call = state.config.stripe.timeout + Duration::from_secs(2);
    call.min(state.config.http.request_timeout.saturating_sub(Duration::from_secs(1)))
}

/// Closed: a payment is recorded when Stripe says so.
#[utoipa::path(post, path = "/job-postings/{id}/payment", tag = "job-postings", params(("id" = JobPostingId, Path)),
    security(("session" = [])), responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn record_payment(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Publishes a posting that was paid before payments published by themselves.
#[utoipa::path(post, path = "/job-postings/{id}/publish", tag = "job-postings", params(("id" = JobPostingId, Path)),
    security(("session" = [])), responses(
        (status = 201, description = "The posting", body = OwnJobPosting),
        (status = 404, description = "No such posting", body = ErrorBody),
        (status = 409, description = "No payment is on record", body = ErrorBody)))]
pub async fn publish_job_posting(
    State(state): State<AppState>,
    Allowed(owned): Allowed<OwnedJobPosting>,
) -> ApiResult<Created<OwnJobPosting>> {
    owned.session.require_confirmed()?;
    let id = owned.job_posting.id;
    retrying(|| payments::publish(&state.pool, id, owned.session.user_id)).await?;
    let mut connection = state.connection().await?;
    let published = find_job_posting(&mut connection, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Created(OwnJobPosting::of(relations::load_one(&mut connection, published).await?)))
}

/// Why a posting is given up.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct CancelJobPosting {
    /// At most 500 characters.
    #[schema(example = "Mission requirements have changed", max_length = 500)]
    reason: Option<String>,
}

impl Validate for CancelJobPosting {
    const FIELDS: &'static [Field] = &[Field::optional("reason", &[Rule::MaxLength(500), Rule::IsString])];
}

/// What canceling did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPostingCanceled {
    success: bool,
    #[schema(example = "Job posting has been canceled and refund has been processed")]
    message: &'static str,
    /// Stripe's id, once the refund is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "re_1234567890")]
    refund_id: Option<String>,
    /// In euros, tax included.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<Number>,
    /// `succeeded`, or `pending` while Stripe or the bank has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "succeeded")]
    refund_status: Option<&'static str>,
}

impl JobPostingCanceled {
    fn without_refund(message: &'static str) -> Self {
        Self { success: true, message, refund_id: None, refund_amount: None, refund_status: None }
    }
}

/// Cancels a posting nobody was accepted on; what was paid goes back.
#[utoipa::path(post, path = "/job-postings/{id}/cancel", tag = "job-postings", params(("id" = JobPostingId, Path)),
    request_body = CancelJobPosting, security(("session" = [])), responses(
        (status = 201, description = "Canceled", body = JobPostingCanceled),
        (status = 404, description = "No such posting", body = ErrorBody),
        (status = 409, description = "It is over, or a candidate was accepted", body = ErrorBody)))]
pub async fn cancel_job_posting(
    State(state): State<AppState>,
    AllowedBody(owned, body): AllowedBody<OwnedJobPosting, CancelJobPosting>,
) -> ApiResult<Created<JobPostingCanceled>> {
    owned.session.require_confirmed()?;
    let (id, actor) = (owned.job_posting.id, owned.session.user_id);
    let canceled = retrying(|| payments::cancel(&state.pool, id, actor, body.reason.as_deref())).await?;
    let answer = describe(&state, canceled).await?;
    state.jobs.wake();
    Ok(Created(answer))
}

/// What has been canceled stays so; only the refund's fate is still to be told.
async fn describe(state: &AppState, canceled: Cancellation) -> ApiResult<JobPostingCanceled> {
    let Some((intent, job)) = canceled.refund else {
        return Ok(JobPostingCanceled::without_refund(if canceled.was_published {
            "Job posting has been canceled successfully"
        } else {
            "Job posting has been canceled (no payment to refund)"
        }));
    };
    state.jobs.attempt(job, patience(state)).await;
    describe_refund(state, intent).await
}

async fn describe_refund(state: &AppState, intent: RefundIntentId) -> ApiResult<JobPostingCanceled> {
    let refund = {
        let mut connection = state.connection().await?;
        find_refund(&mut connection, intent).await?.ok_or(sqlx::Error::RowNotFound)?
    };
    let (message, status) = match refund.status {
        RefundStatus::Succeeded => ("Job posting has been canceled and refund has been processed", "succeeded"),
        RefundStatus::Pending | RefundStatus::PendingAtStripe => {
            ("Job posting has been canceled and the refund is being processed", "pending")
        }
        RefundStatus::Failed => {
            return Ok(JobPostingCanceled::without_refund(
                "Job posting has been canceled, but there was an issue processing the refund. Please contact support.",
            ));
        }
    };
    Ok(JobPostingCanceled {
        success: true,
        message,
        refund_id: refund.stripe_refund_id,
        refund_amount: Some(Number::from(refund.amount)),
        refund_status: Some(status),
    })
}

/// Whether the posting could be canceled now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanBeCancelled {
    #[schema(example = true)]
    can_be_cancelled: bool,
}

/// Whether a posting of one's own can be canceled now.
#[utoipa::path(get, path = "/job-postings/{id}/can-be-cancelled", tag = "job-postings",
    params(("id" = JobPostingId, Path)), security(("session" = [])), responses(
        (status = 200, description = "The answer", body = CanBeCancelled),
        (status = 404, description = "No such posting", body = ErrorBody)))]
pub async fn can_be_cancelled(
    State(state): State<AppState>,
    Allowed(owned): Allowed<OwnedJobPosting>,
) -> ApiResult<Json<CanBeCancelled>> {
    let mut connection = state.connection().await?;
    let can_be_cancelled = payments::is_cancelable(&mut connection, &owned.job_posting).await?;
    // The dashboard asks this of every posting: a good moment to hear of a payment whose webhook got lost.
    if reconcile_soon(&mut connection, owned.job_posting.id).await? {
        state.jobs.wake();
    }
    Ok(Json(CanBeCancelled { can_be_cancelled }))
}
