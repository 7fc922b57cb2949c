//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/auth/login", tag = "auth", responses((status = 501, description = "Not written yet")))]
pub async fn log_in() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/auth/register", tag = "auth", responses((status = 501, description = "Not written yet")))]
pub async fn register() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/auth/getme", tag = "auth", responses((status = 501, description = "Not written yet")))]
pub async fn get_me() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/auth/logout", tag = "auth", responses((status = 501, description = "Not written yet")))]
pub async fn log_out() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
