//! Placeholder: not written yet.

use crate::error::{ApiError, ApiResult};

#[utoipa::path(post, path = "/companies", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn create_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/companies", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn list_companies() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/companies/{id}", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn get_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(patch, path = "/companies/{id}", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn update_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(delete, path = "/companies/{id}", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn delete_company() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}

#[utoipa::path(get, path = "/companies/user/{userId}", tag = "companies", responses((status = 501, description = "Not written yet")))]
pub async fn get_company_of_user() -> ApiResult<()> {
    Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "not written yet"))
}
