//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/job-postings/{id}/payment", tag = "job-posting-payments", responses((status = 501, description = "Not written yet")))]
pub async fn record_payment() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/job-postings/{id}/create-payment", tag = "job-posting-payments", responses((status = 501, description = "Not written yet")))]
pub async fn create_payment() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/job-postings/{id}/publish", tag = "job-posting-payments", responses((status = 501, description = "Not written yet")))]
pub async fn publish_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/job-postings/{id}/cancel", tag = "job-posting-payments", responses((status = 501, description = "Not written yet")))]
pub async fn cancel_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/{id}/can-be-cancelled", tag = "job-posting-payments", responses((status = 501, description = "Not written yet")))]
pub async fn can_be_cancelled() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
