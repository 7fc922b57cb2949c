//! Placeholder: not written yet.

pub mod access;

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/job-postings", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn create_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn list_job_postings() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/{id}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn get_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/job-postings/{id}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn update_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/job-postings/{id}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn delete_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/job-postings/search", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn search_job_postings() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/company/{id}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn list_job_postings_of_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/user/{userId}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn list_job_postings_of_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/user/{userId}/status/{status}", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn list_job_postings_of_user_by_status() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/job-postings/{id}/project", tag = "job-postings", responses((status = 501, description = "Not written yet")))]
pub async fn get_project_of_job_posting() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
