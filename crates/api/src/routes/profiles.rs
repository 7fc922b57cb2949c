//! What the routes of companies and freelances have in common: a profile belongs to one user of its role, who alone
//! makes, changes and deletes it.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use freehunt_domain::{
    companies::{self, Company},
    freelances::{self, Freelance},
    ids::{CompanyId, FreelanceId, UserId},
    policy,
    profiles::{DeleteProfileError, ProfileId},
    users::Role,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::{ApiError, ApiResult, NOTHING_TO_DELETE},
    extract::{Access, PathId, Session},
    state::AppState,
};

/// A user's profile of one of the roles.
pub trait Profile: Sized + Send {
    const ROLE: Role;
    type Id: From<Uuid> + Send;

    fn find(
        connection: &mut PgConnection,
        id: Self::Id,
    ) -> impl Future<Output = Result<Option<Self>, sqlx::Error>> + Send;

    fn owner(&self) -> UserId;
}

impl Profile for Company {
    const ROLE: Role = Role::Company;
    type Id = CompanyId;

    async fn find(connection: &mut PgConnection, id: CompanyId) -> Result<Option<Self>, sqlx::Error> {
        companies::queries::find_company(connection, id).await
    }

    fn owner(&self) -> UserId {
        self.user_id
    }
}

impl Profile for Freelance {
    const ROLE: Role = Role::Freelance;
    type Id = FreelanceId;

    async fn find(connection: &mut PgConnection, id: FreelanceId) -> Result<Option<Self>, sqlx::Error> {
        freelances::queries::find_freelance(connection, id).await
    }

    fn owner(&self) -> UserId {
        self.user_id
    }
}

/// A session that may make a profile of the kind.
pub struct ProfileCreator<P> {
    pub session: Session,
    profile: PhantomData<fn() -> P>,
}

impl<P: Profile> Access for ProfileCreator<P> {
    type Claim = Session;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Session> {
        let session = Session::from_request_parts(parts, state).await?;
        session.require_role(P::ROLE)?;
        Ok(session)
    }

    async fn grant(session: Session, _state: &AppState) -> ApiResult<Self> {
        Ok(Self { session, profile: PhantomData })
    }
}

/// A profile that the session's user owns, to change or delete.
pub struct OwnedProfile<P> {
    pub profile: P,
    pub session: Session,
}

impl<P: Profile> Access for OwnedProfile<P> {
    /// With the method, which words a profile that is not there.
    type Claim = (Session, P::Id, Method);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id, parts.method.clone()))
    }

    async fn grant((session, id, method): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let profile = P::find(&mut connection, id).await?;
        connection.finish();
        let profile = profile.ok_or_else(|| ApiError::missing_row(&method))?;
        ApiError::check(policy::manage_profile(session.actor(), profile.owner()), "")?;
        Ok(Self { profile, session })
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

/// A user's id in a body is an assertion: the session's own, or refused.
pub fn assert_self(session: &Session, claimed: UserId) -> ApiResult<()> {
    ApiError::check(policy::is_self(session.actor(), claimed), "")
}

impl From<DeleteProfileError> for ApiError {
    fn from(error: DeleteProfileError) -> Self {
        match error {
            DeleteProfileError::NotFound => Self::missing_dependency(NOTHING_TO_DELETE),
            DeleteProfileError::InUse(ProfileId::Company(_)) => {
                Self::conflict("The company still has job postings or projects")
            }
            DeleteProfileError::InUse(ProfileId::Freelance(_)) => {
                Self::conflict("The freelance still has applications or projects")
            }
            DeleteProfileError::Database(error) => error.into(),
        }
    }
}
