//! Permission on companies, and on paths that name the session's own user.

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use freehunt_domain::{
    companies::{Company, queries},
    ids::{CompanyId, UserId},
    policy::{self, CompanyFacts},
    users::Role,
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, MaybeSession, PathId, Session},
    state::AppState,
};

const HIDDEN: &str = "Company not found";
pub const NOTHING_TO_UPDATE: &str = "Record to update not found.";
pub const NOTHING_TO_DELETE: &str = "Record to delete does not exist.";

/// The text of a change or deletion of a row that is not there.
pub fn missing_text(parts: &Parts) -> &'static str {
    if parts.method == Method::DELETE { NOTHING_TO_DELETE } else { NOTHING_TO_UPDATE }
}

/// A user's id in a body is an assertion: the session's own, or refused.
pub fn assert_self(session: &Session, claimed: UserId) -> ApiResult<()> {
    ApiError::check(policy::is_self(session.actor(), claimed), "")
}

/// A session that may make a company.
pub struct CompanyCreator(pub Session);

impl Access for CompanyCreator {
    type Claim = Session;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Session> {
        let session = Session::from_request_parts(parts, state).await?;
        session.require_role(Role::Company)?;
        Ok(session)
    }

    async fn grant(session: Session, _state: &AppState) -> ApiResult<Self> {
        Ok(Self(session))
    }
}

/// A path whose user is the session's own.
pub struct OwnUserPath(pub Session);

impl Access for OwnUserPath {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(user_id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, user_id))
    }

    async fn grant((session, user_id): Self::Claim, _state: &AppState) -> ApiResult<Self> {
        assert_self(&session, user_id)?;
        Ok(Self(session))
    }
}

/// A company that may be read, with what it is to the reader.
pub struct VisibleCompany {
    pub company: Company,
    pub facts: CompanyFacts,
    pub session: Option<Session>,
}

impl Access for VisibleCompany {
    type Claim = (Option<Session>, CompanyId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let MaybeSession(session) =
            MaybeSession::from_request_parts(parts, state).await.unwrap_or_else(|never| match never {});
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let actor = session.as_ref().map(Session::actor);
        let mut connection = state.pool.acquire().await?;
        let found = queries::find_facts(&mut connection, id, actor).await?;
        let (company, facts) = found.ok_or_else(|| ApiError::not_found(HIDDEN))?;
        ApiError::check(policy::view_company(actor, &facts), HIDDEN)?;
        Ok(Self { company, facts, session })
    }
}

/// A company that the session's user owns, to change or delete.
pub struct OwnedCompany {
    pub company: Company,
    pub session: Session,
}

impl Access for OwnedCompany {
    type Claim = (Session, CompanyId, &'static str);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id, missing_text(parts)))
    }

    async fn grant((session, id, missing): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.pool.acquire().await?;
        let company = queries::find_company(&mut connection, id).await?;
        let company = company.ok_or_else(|| ApiError::missing_dependency(missing))?;
        ApiError::check(policy::manage_profile(session.actor(), company.user_id), "")?;
        Ok(Self { company, session })
    }
}
