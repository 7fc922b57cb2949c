//! One error type, one envelope: `{"message", "error", "statusCode"}`, as the original's framework writes it.
//!
//! Every 5xx is logged once, here, with its source chain; the body never carries it.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehunt_domain::{
    Violation,
    error::{is_transient, is_unavailable},
    policy::Decision,
};
use serde::Serialize;

use crate::extract::Json;

pub type ApiResult<T> = Result<T, ApiError>;

/// The sentence, or one sentence per failed rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = ErrorMessage)]
pub enum Message {
    Sentence(Cow<'static, str>),
    Rules(Vec<String>),
}

/// The body of every refusal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// A sentence, or for a refused body an array with one text per broken rule.
    pub message: Message,
    /// The status in words.
    #[schema(example = "Bad Request")]
    pub error: Cow<'static, str>,
    #[serde(rename = "statusCode")]
    #[schema(rename = "statusCode", example = 400)]
    pub status_code: u16,
}

/// A refusal or a failure, ready to be answered.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: Message,
    error: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    source: Option<anyhow::Error>,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let error = Cow::Borrowed(status.canonical_reason().unwrap_or("Error"));
        Self { status, message: Message::Sentence(message.into()), error, retry_after_seconds: None, source: None }
    }

    /// A refused body: every broken rule's text.
    pub fn rules(messages: Vec<String>) -> Self {
        Self { message: Message::Rules(messages), ..Self::bad_request("") }
    }

    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// A value that must be unique exists already.
    pub fn already_exists(field: &str) -> Self {
        let message = format!("Donnée déjà existante pour le champ unique : {field}");
        Self { error: Cow::Borrowed("ValueAlreadyExists"), ..Self::conflict(message) }
    }

    /// A row that the request refers to does not exist.
    pub fn foreign_key(constraint: &str) -> Self {
        let message = format!("Violation de contrainte de clé étrangère : {constraint} (index)");
        Self { error: Cow::Borrowed("ForeignKeyViolation"), ..Self::bad_request(message) }
    }

    /// Something the request needs is missing, e.g. one of the skills it names.
    pub fn missing_dependency(message: impl Into<Cow<'static, str>>) -> Self {
        Self { error: Cow::Borrowed("NotFoundDependency"), ..Self::not_found(message) }
    }

    /// A row to change or to delete, by the request's method, that is not there.
    pub fn missing_row(method: &Method) -> Self {
        Self::missing_dependency(if *method == Method::DELETE { NOTHING_TO_DELETE } else { NOTHING_TO_UPDATE })
    }

    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests, try again later")
        }
    }

    /// A dependency is away: nothing was decided, and trying again later may help.
    pub fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self {
            retry_after_seconds: Some(5),
            source: Some(source.into()),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable, try again later")
        }
    }

    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(source.into()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error") }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The refusal that a policy's decision stands for; `hidden` is the sentence for what must look absent.
    pub fn check(decision: Decision, hidden: impl Into<Cow<'static, str>>) -> ApiResult<()> {
        match decision {
            Decision::Allow => Ok(()),
            Decision::Unauthenticated => Err(Self::unauthorized(NO_SESSION)),
            Decision::Forbidden => Err(Self::forbidden(FORBIDDEN)),
            Decision::Hidden => Err(Self::not_found(hidden)),
        }
    }
}

/// The texts of a row that is not there, as the original's database layer words them.
pub const NOTHING_TO_UPDATE: &str = "Record to update not found.";
pub const NOTHING_TO_DELETE: &str = "Record to delete does not exist.";

/// The text of a missing session, as the original words it.
pub const NO_SESSION: &str = "Cookie de session Authentik non trouvé";
/// The text of a refusal that has no text of its own in the original.
pub const FORBIDDEN: &str = "Forbidden resource";

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        // A transaction that lost against others again and again is a database that has too much to do.
        if is_unavailable(&error) || is_transient(&error) {
            return Self::unavailable(error);
        }
        match Violation::of(&error) {
            Some(Violation::Unique { constraint }) => Self::already_exists(unique_field(&constraint)),
            Some(Violation::ForeignKey { constraint }) => Self::foreign_key(&constraint),
            Some(Violation::Rule { .. }) | None => {
                // Class 22: the value itself is impossible (out of range, a character PostgreSQL can't store).
                let code = error.as_database_error().and_then(|error| error.code());
                if code.is_some_and(|code| code.starts_with("22")) {
                    Self::bad_request("A value is out of range or contains an invalid character")
                } else {
                    Self::internal(error)
                }
            }
        }
    }
}

/// `Company_userId_key` names the field `userId`.
fn unique_field(constraint: &str) -> &str {
    constraint.strip_suffix("_key").and_then(|name| name.split_once('_')).map_or(constraint, |(_, field)| field)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            let source = self.source.as_ref().map(|source| format!("{source:#}")).unwrap_or_default();
            tracing::error!(status = self.status.as_u16(), source, "request failed");
        }
        let body = ErrorBody { message: self.message, error: self.error, status_code: self.status.as_u16() };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
