//! Permission as an argument: the type names the action, so a handler that has the value was allowed.
//!
//! An [`Access`] type first takes what the request itself says (session, role, path), then, after the body was
//! checked, loads its subject and asks the policy.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};

use super::body::{Validate, read_body};
use crate::{
    error::{ApiError, ApiResult},
    state::AppState,
};

/// An action on a subject, e.g. "manage this job posting".
pub trait Access: Sized + Send {
    /// Who asks about what, before anything was loaded.
    type Claim: Send;

    /// Session, role and path, in this order.
    fn claim(parts: &mut Parts, state: &AppState) -> impl Future<Output = ApiResult<Self::Claim>> + Send;

    /// Loads the subject and asks the policy: visibility, then right.
    fn grant(claim: Self::Claim, state: &AppState) -> impl Future<Output = ApiResult<Self>> + Send;
}

/// For handlers without a body.
pub struct Allowed<A>(pub A);

impl<A: Access> FromRequestParts<AppState> for Allowed<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> ApiResult<Self> {
        let claim = A::claim(parts, state).await?;
        A::grant(claim, state).await.map(Self)
    }
}

/// For handlers with a JSON body, which is checked before the subject is looked at.
pub struct AllowedBody<A, B>(pub A, pub B);

impl<A: Access, B: Validate + Send> FromRequest<AppState> for AllowedBody<A, B> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let claim = A::claim(&mut parts, state).await?;
        let body = read_body::<B, _>(Request::from_parts(parts, body), state).await?;
        Ok(Self(A::grant(claim, state).await?, body))
    }
}
