//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/messages", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn create_message() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/messages", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn list_messages() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/messages/{id}", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn get_message() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(put, path = "/messages/{id}", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn update_message() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/messages/{id}", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn delete_message() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/messages/conversation/{id}", tag = "messages", responses((status = 501, description = "Not written yet")))]
pub async fn list_messages_of_conversation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
