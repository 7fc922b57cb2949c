//! A panic in a handler is a 500 with the usual envelope, counted so that tests and alerts see it.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

pub fn catch_panics(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown panic");
    metrics::counter!("freehunt_panics_total").increment(1);
    ApiError::internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}
