//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/stripe/create-checkout-session", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn create_checkout_session() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/create-account-connection", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn create_account_connection() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/confirm-account-activation", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn confirm_account_activation() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/activate-account-connection", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn activate_account_connection() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/create-quote", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn create_quote() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/create-product", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn create_product() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/stripe/get-quote-pdf/{quoteId}", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn get_quote_pdf() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(post, path = "/stripe/preview-transfer-fees", tag = "stripe", responses((status = 501, description = "Not written yet")))]
pub async fn preview_transfer_fees() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
