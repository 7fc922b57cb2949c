//! Permission on projects.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehunt_domain::{
    companies, freelances,
    ids::{CompanyId, FreelanceId, JobPostingId, ProjectId},
    job_postings,
    policy::{self, Decision, JobPostingAction},
    projects::{self, ProjectDetails},
};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Access, PathId, Session},
    state::AppState,
};

const NOT_A_PARTY: &str =
    "Vous n'avez pas l'autorisation d'accéder à ce projet. Seuls les membres assignés au projet peuvent y accéder.";

/// A project the session is a party of.
#[derive(Clone, Debug)]
pub struct ProjectMember {
    pub details: ProjectDetails,
    pub session: Session,
}

impl Access for ProjectMember {
    type Claim = (Session, ProjectId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let missing = || ApiError::not_found(format!("Projet avec l'ID {id} introuvable"));
        let skills = state.skills.get(state).await?;
        let mut connection = state.connection().await?;
        let details = projects::find_details(&mut connection, &skills.catalog, id).await?.ok_or_else(missing)?;
        match policy::view_project(session.actor(), &details.facts()) {
            Decision::Forbidden => return Err(ApiError::forbidden(NOT_A_PARTY)),
            decision => ApiError::check(decision, "")?,
        }
        Ok(Self { details, session })
    }
}

/// The session's own company, named in the path.
#[derive(Clone, Debug)]
pub struct CompanyOwner {
    pub company_id: CompanyId,
    pub session: Session,
}

impl CompanyOwner {
    /// 403 with `refusal` for any other company, whether it exists or not.
    pub async fn find(session: Session, id: CompanyId, refusal: &'static str, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let own = companies::queries::find_company_of_user(&mut connection, session.user_id).await?;
        connection.finish();
        if own.is_none_or(|own| own.id != id) {
            return Err(ApiError::forbidden(refusal));
        }
        Ok(Self { company_id: id, session })
    }
}

/// The projects of the session's own company.
#[derive(Clone, Debug)]
pub struct OwnCompanyProjects(pub Session);

impl Access for OwnCompanyProjects {
    type Claim = (Session, CompanyId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let refusal = "Unauthorized: You can only view projects for your own company";
        CompanyOwner::find(session, id, refusal, state).await.map(|own| Self(own.session))
    }
}

/// The projects of the session's own profile.
#[derive(Clone, Debug)]
pub struct OwnFreelanceProjects(pub Session);

impl Access for OwnFreelanceProjects {
    type Claim = (Session, FreelanceId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let own = freelances::queries::find_freelance_of_user(&mut connection, session.user_id).await?;
        connection.finish();
        if own.is_none_or(|own| own.id != id) {
            return Err(ApiError::forbidden("Unauthorized: You can only view your own projects"));
        }
        Ok(Self(session))
    }
}

/// A posting that the session may see, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct PostingToAskAbout(pub Option<JobPostingId>);

impl Access for PostingToAskAbout {
    type Claim = (Session, JobPostingId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let actor = session.actor();
        let found = job_postings::queries::find_facts(&mut connection, id, Some(actor.user_id)).await?;
        let is_visible = found
            .is_some_and(|(_, facts)| policy::job_posting(Some(actor), JobPostingAction::View, &facts).is_allowed());
        Ok(Self(is_visible.then_some(id)))
    }
}
