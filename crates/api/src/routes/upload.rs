//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/upload", tag = "upload", responses((status = 501, description = "Not written yet")))]
pub async fn upload_file() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/upload", tag = "upload", responses((status = 501, description = "Not written yet")))]
pub async fn list_uploads() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/upload/avatar/{userId}", tag = "upload", responses((status = 501, description = "Not written yet")))]
pub async fn update_avatar() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
