//! Permission to read a company.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    companies::{Company, queries},
    ids::CompanyId,
    policy::{self, CompanyFacts},
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, MaybeSession, PathId, Session},
    state::AppState,
};

const HIDDEN: &str = "Company not found";

/// A company that may be read, with what it is to the reader.
pub struct VisibleCompany {
    pub company: Company,
    pub facts: CompanyFacts,
    pub session: Option<Session>,
}

impl Access for VisibleCompany {
    type Claim = (MaybeSession, CompanyId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let reader = MaybeSession::of(parts, state).await;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((reader, id))
    }

    async fn grant((reader, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let visible = Self::find(reader.session.clone(), id, state).await;
        visible.map_err(|refusal| reader.refusal(refusal))
    }
}

impl VisibleCompany {
    async fn find(session: Option<Session>, id: CompanyId, state: &AppState) -> ApiResult<Self> {
        let actor = session.as_ref().map(Session::actor);
        let mut connection = state.connection().await?;
        let found = queries::find_facts(&mut connection, id, actor).await?;
        let (company, facts) = found.ok_or_else(|| ApiError::not_found(HIDDEN))?;
        ApiError::check(policy::view_company(actor, &facts), HIDDEN)?;
        Ok(Self { company, facts, session })
    }
}
