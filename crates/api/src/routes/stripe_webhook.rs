//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/stripe/webhook", tag = "stripe-webhook", responses((status = 501, description = "Not written yet")))]
pub async fn receive_webhook() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
