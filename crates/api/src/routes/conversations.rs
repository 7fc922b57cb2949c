//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/conversations", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn create_conversation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/conversations", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn list_conversations() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/conversations/{id}", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn get_conversation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/conversations/{id}", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn delete_conversation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/conversations/user/{id}", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn list_conversations_of_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/conversations/project/{id}", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn get_conversation_of_project() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/conversations/find-or-create", tag = "conversations", responses((status = 501, description = "Not written yet")))]
pub async fn find_or_create_conversation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
