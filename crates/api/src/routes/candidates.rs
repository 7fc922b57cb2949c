//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/candidates", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn create_candidate() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/candidates/company/{companyId}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn list_candidates_of_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/candidates/job-posting/{jobPostingId}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn list_candidates_of_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/candidates/{id}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn get_candidate() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(put, path = "/candidates/{id}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn update_candidate() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/candidates/{id}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn delete_candidate() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/candidates/freelance/{freelanceId}/job-posting/{jobPostingId}", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn get_candidate_of_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(put, path = "/candidates/{id}/company", tag = "candidates", responses((status = 501, description = "Not written yet")))]
pub async fn decide_candidate() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
