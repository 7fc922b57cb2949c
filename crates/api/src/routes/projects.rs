//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/projects", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn create_project() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/projects", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn list_projects() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/projects/{id}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn get_project() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/projects/{id}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn update_project() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/projects/{id}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn delete_project() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/projects/company/{companyId}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn list_projects_of_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/projects/freelance/{freelanceId}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn list_projects_of_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/projects/exists/job-posting/{jobPostingId}", tag = "projects", responses((status = 501, description = "Not written yet")))]
pub async fn project_exists() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
