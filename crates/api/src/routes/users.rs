//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/users", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn create_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/users", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn list_users() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/users/{id}", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn get_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/users/{id}", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn update_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/users/{id}", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn delete_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/users/email/{email}", tag = "users", responses((status = 501, description = "Not written yet")))]
pub async fn get_user_by_email() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
