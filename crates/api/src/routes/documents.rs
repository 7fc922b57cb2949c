//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/documents", tag = "documents", responses((status = 501, description = "Not written yet")))]
pub async fn create_document() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/documents/user/{id}", tag = "documents", responses((status = 501, description = "Not written yet")))]
pub async fn get_avatar_of_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/documents/{id}", tag = "documents", responses((status = 501, description = "Not written yet")))]
pub async fn delete_document() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
