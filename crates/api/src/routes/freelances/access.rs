//! Permission on freelances' profiles.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    freelances::{Freelance, queries},
    ids::FreelanceId,
    policy,
    users::Role,
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, Session},
    routes::companies::missing_text,
    state::AppState,
};

/// A session that may make a freelance's profile.
pub struct FreelanceCreator(pub Session);

impl Access for FreelanceCreator {
    type Claim = Session;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Session> {
        let session = Session::from_request_parts(parts, state).await?;
        session.require_role(Role::Freelance)?;
        Ok(session)
    }

    async fn grant(session: Session, _state: &AppState) -> ApiResult<Self> {
        Ok(Self(session))
    }
}

/// A profile that the session's user owns, to change or delete.
pub struct OwnedFreelance {
    pub freelance: Freelance,
    pub session: Session,
}

impl Access for OwnedFreelance {
    type Claim = (Session, FreelanceId, &'static str);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id, missing_text(parts)))
    }

    async fn grant((session, id, missing): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.pool.acquire().await?;
        let freelance = queries::find_freelance(&mut connection, id).await?;
        let freelance = freelance.ok_or_else(|| ApiError::missing_dependency(missing))?;
        ApiError::check(policy::manage_profile(session.actor(), freelance.user_id), "")?;
        Ok(Self { freelance, session })
    }
}
