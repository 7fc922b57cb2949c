//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(put, path = "/checkpoints/{id}", tag = "checkpoint-progress", responses((status = 501, description = "Not written yet")))]
pub async fn update_checkpoint() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
