//! Refusals of the stand-in, in Stripe's words and Stripe's error JSON.
//!
//! It distinguishes what Stripe finds before an endpoint begins (not stored under an idempotency key) from what it
//! finds while executing (stored, and replayed for the same key).

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A refusal as Stripe gives it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StripeError {
    pub status: StatusCode,
    /// `type` in the JSON: `invalid_request_error`, `idempotency_error` or `api_error`.
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub param: Option<String>,
    pub message: String,
    /// Whether the endpoint had begun: its answer is then stored under the idempotency key.
    pub(super) began: bool,
}

impl StripeError {
    fn new(status: StatusCode, kind: &'static str, message: String) -> Self {
        Self { status, kind, code: None, param: None, message, began: false }
    }

    /// A parameter that fails validation.
    pub(super) fn invalid(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message.into());
        Self { code: Some(code), param: Some(param.into()), ..error }
    }

    /// As [`StripeError::invalid`], for the refusals to which Stripe gives no code.
    pub(super) fn invalid_without_code(param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message.into());
        Self { param: Some(param.into()), ..error }
    }

    /// A refusal for a business reason: the endpoint ran and said no.
    pub(super) fn refused(code: Option<&'static str>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message.into());
        Self { code, began: true, ..error }
    }

    pub(super) fn on(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// The object that a parameter names does not exist.
    pub(super) fn no_such(what: &str, id: &str, param: &str) -> Self {
        Self::refused(Some("resource_missing"), format!("No such {what}: '{id}'")).on(param)
    }

    /// The object that the path names does not exist.
    pub(super) fn not_found(what: &str, id: &str) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", format!("No such {what}: '{id}'"));
        Self { code: Some("resource_missing"), param: Some("id".to_owned()), ..error }
    }

    pub(super) fn unknown_url(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs.");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(super) fn unauthorized(message: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    /// The account does not exist for this platform, or no longer.
    pub(super) fn account_invalid(id: &str) -> Self {
        let message = format!(
            "The provided key does not have access to account '{id}' (or that account does not exist). Application access may have been revoked."
        );
        let error = Self::new(StatusCode::FORBIDDEN, "invalid_request_error", message);
        Self { code: Some("account_invalid"), began: true, ..error }
    }

    pub(super) fn idempotency(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    pub(super) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): {key}. Please try again later."
        );
        let error = Self::new(StatusCode::CONFLICT, "invalid_request_error", message);
        Self { code: Some("idempotency_key_in_use"), ..error }
    }

    /// Stripe's own failure, which it stores under the key like any answer.
    pub(super) fn internal() -> Self {
        let message = "An unknown error occurred".to_owned();
        Self { began: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message) }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let mut error = json!({"type": self.kind, "message": self.message});
        if let Some(code) = self.code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
        }
        if let Some(param) = &self.param {
            error["param"] = json!(param);
        }
        json!({"error": error})
    }
}
