//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/freelances", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn create_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/freelances", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn list_freelances() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/freelances/{id}", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn get_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/freelances/{id}", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn update_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/freelances/{id}", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn delete_freelance() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/freelances/user/{userId}", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn get_freelance_of_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/freelances/search", tag = "freelances", responses((status = 501, description = "Not written yet")))]
pub async fn search_freelances() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
