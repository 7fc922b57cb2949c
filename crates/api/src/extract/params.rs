//! Ids in paths.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use uuid::Uuid;

use super::rules::parse_hyphenated;
use crate::error::{ApiError, ApiResult};

/// The first id in the path, as the id type the handler names.
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: From<Uuid>> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        Ok(Self(T::from(path_uuid(parts, state, 0).await?)))
    }
}

/// The first two ids in the path.
pub struct PathIds<A, B>(pub A, pub B);

impl<S: Send + Sync, A: From<Uuid>, B: From<Uuid>> FromRequestParts<S> for PathIds<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let (first, second) = (path_uuid(parts, state, 0).await?, path_uuid(parts, state, 1).await?);
        Ok(Self(A::from(first), B::from(second)))
    }
}

/// The value of the path parameter at `index`, which must be a UUID.
pub async fn path_uuid<S: Send + Sync>(parts: &mut Parts, state: &S, index: usize) -> ApiResult<Uuid> {
    let refused = || ApiError::bad_request("Validation failed (uuid is expected)");
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| refused())?;
    let (_, text) = params.iter().nth(index).ok_or_else(refused)?;
    parse_hyphenated(text).ok_or_else(refused)
}
