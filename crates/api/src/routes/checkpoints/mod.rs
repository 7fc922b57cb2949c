//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/checkpoints", tag = "checkpoints", responses((status = 501, description = "Not written yet")))]
pub async fn create_checkpoint() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/checkpoints/job-posting/{jobPostingId}", tag = "checkpoints", responses((status = 501, description = "Not written yet")))]
pub async fn list_checkpoints_of_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/checkpoints/{id}", tag = "checkpoints", responses((status = 501, description = "Not written yet")))]
pub async fn get_checkpoint() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/checkpoints/{id}", tag = "checkpoints", responses((status = 501, description = "Not written yet")))]
pub async fn delete_checkpoint() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
