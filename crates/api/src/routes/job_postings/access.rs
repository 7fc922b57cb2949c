//! Permission on job postings and checkpoints: each type names what its holder may do, and carries what was loaded.
//!
//! Also used by the routes of payments, of a checkpoint's progress and of candidates.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use freehunt_domain::{
    checkpoints::{self, Checkpoint},
    ids::{CheckpointId, CompanyId, JobPostingId},
    job_postings::{JobPosting, JobPostingStatus, PublicPosting, queries},
    policy::{self, CheckpointAction, Decision, JobPostingAction, JobPostingFacts},
    users::Role,
};
use sqlx::PgConnection;

use super::views::JobPostingView;
use crate::{
    answer_cache::ReadyAnswer,
    error::{ApiError, ApiResult, NOTHING_TO_DELETE},
    extract::{Access, MaybeSession, PathId, Session},
    state::AppState,
};

/// Who sees a posting, from the fewest to the most fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody, of a published posting.
    Public,
    /// An applicant, or the freelance of its project.
    Counterpart {
        is_project_party: bool,
    },
    Owner,
}

impl Audience {
    pub fn of(facts: &JobPostingFacts, session: Option<&Session>) -> Self {
        if session.is_some_and(|session| session.user_id == facts.owner) {
            Self::Owner
        } else if facts.is_applicant || facts.is_project_freelance {
            Self::Counterpart { is_project_party: facts.is_project_freelance }
        } else {
            Self::Public
        }
    }

    pub fn is_project_party(self) -> bool {
        matches!(self, Self::Owner | Self::Counterpart { is_project_party: true })
    }
}

/// The same for a posting that does not exist and for one that must look so.
fn hidden(id: JobPostingId) -> String {
    format!("Annonce avec l'ID {id} introuvable")
}

/// As [`hidden`], in the words that the original has for it on the path of the request.
fn hidden_on(path: &str, id: JobPostingId) -> String {
    match path.rsplit('/').next() {
        Some("cancel") => "Job posting not found".to_owned(),
        Some("publish") => "Annonce introuvable".to_owned(),
        _ => hidden(id),
    }
}

const NOT_OWNER: &str =
    "Vous n'avez pas l'autorisation d'accéder à cette annonce. Seule l'entreprise propriétaire peut y accéder.";

/// A posting that may be read, as its reader sees it.
#[derive(Clone, Debug)]
pub struct VisibleJobPosting {
    pub posting: PublicPosting,
    pub audience: Audience,
}

impl Access for VisibleJobPosting {
    type Claim = (MaybeSession, JobPostingId);

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

/// A posting as its reader sees it: an answer that is made already, for all who have no part in it.
pub enum ShownJobPosting {
    ToEverybody(ReadyAnswer),
    ToSomebody(Box<VisibleJobPosting>),
}

impl Access for ShownJobPosting {
    type Claim = (MaybeSession, JobPostingId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        VisibleJobPosting::claim(parts, state).await
    }

    async fn grant((reader, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        if let Some(session) = &reader.session
            && has_part(session, id, state).await?
        {
            return Ok(Self::ToSomebody(Box::new(VisibleJobPosting::grant((reader, id), state).await?)));
        }
        let load = async {
            let visible = VisibleJobPosting::find(None, id, state).await?;
            ReadyAnswer::of(&JobPostingView::public(visible.posting))
        };
        let answer = state.public_job_postings.get(id, load).await;
        answer.map(Self::ToEverybody).map_err(|refusal| reader.refusal(refusal))
    }
}

/// Whether the posting is more to its reader than to everybody. Its owner is shown what they have just done, by the database.
async fn has_part(session: &Session, id: JobPostingId, state: &AppState) -> ApiResult<bool> {
    let mut connection = state.connection().await?;
    let has_part = queries::has_part(&mut connection, id, session.user_id).await?;
    connection.finish();
    Ok(has_part)
}

impl VisibleJobPosting {
    async fn find(session: Option<Session>, id: JobPostingId, state: &AppState) -> ApiResult<Self> {
        let skills = state.skills.get(state).await?;
        let mut connection = state.connection().await?;
        let actor = session.as_ref().map(Session::actor);
        let found = queries::find_with_facts(&mut connection, id, actor.map(|actor| actor.user_id)).await?;
        let found = found.ok_or_else(|| ApiError::not_found(hidden(id)))?;
        ApiError::check(policy::job_posting(actor, JobPostingAction::View, &found.facts), hidden(id))?;
        let audience = Audience::of(&found.facts, session.as_ref());
        let posting = found.with_skills(&mut connection, &skills.catalog).await?;
        connection.finish();
        Ok(Self { posting, audience })
    }
}

/// A posting of the session's own company.
#[derive(Clone, Debug)]
pub struct OwnedJobPosting {
    pub job_posting: JobPosting,
    pub session: Session,
}

impl OwnedJobPosting {
    /// For a posting that a body names; `None` when it does not exist.
    pub async fn find(connection: &mut PgConnection, session: Session, id: JobPostingId) -> ApiResult<Option<Self>> {
        Self::load(connection, session, id, hidden(id)).await
    }

    async fn load(
        connection: &mut PgConnection,
        session: Session,
        id: JobPostingId,
        hidden: String,
    ) -> ApiResult<Option<Self>> {
        let Some((job_posting, facts)) = queries::find_facts(connection, id, Some(session.user_id)).await? else {
            return Ok(None);
        };
        match policy::job_posting(Some(session.actor()), JobPostingAction::Manage, &facts) {
            Decision::Forbidden => Err(ApiError::forbidden(NOT_OWNER)),
            decision => {
                ApiError::check(decision, hidden)?;
                Ok(Some(Self { job_posting, session }))
            }
        }
    }
}

impl Access for OwnedJobPosting {
    /// With the text for a posting that must look absent.
    type Claim = (Session, JobPostingId, String);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id, hidden_on(parts.uri.path(), id)))
    }

    async fn grant((session, id, hidden): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let found = Self::load(&mut connection, session, id, hidden.clone()).await?;
        connection.finish();
        found.ok_or_else(|| ApiError::not_found(hidden))
    }
}

/// A posting whose project the session may know of: its owner and the project's freelance.
#[derive(Clone, Debug)]
pub struct JobPostingToViewProject {
    pub job_posting: JobPosting,
}

impl Access for JobPostingToViewProject {
    type Claim = (Session, JobPostingId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let (session, id, _) = OwnedJobPosting::claim(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let found = queries::find_facts(&mut connection, id, Some(session.user_id)).await?;
        connection.finish();
        let (job_posting, facts) = found.ok_or_else(|| ApiError::not_found(hidden(id)))?;
        let decision = policy::job_posting(Some(session.actor()), JobPostingAction::ViewProject, &facts);
        ApiError::check(decision, hidden(id))?;
        Ok(Self { job_posting })
    }
}

/// A session with the role COMPANY, and its company when it has filled one in.
#[derive(Clone, Debug)]
pub struct CompanyUser {
    pub session: Session,
    pub company_id: Option<CompanyId>,
}

impl CompanyUser {
    /// A company's id in a body is an assertion: the session's own, or refused.
    pub fn assert_own(&self, claimed: CompanyId) -> ApiResult<()> {
        if self.company_id == Some(claimed) { Ok(()) } else { Err(ApiError::forbidden(crate::error::FORBIDDEN)) }
    }
}

impl Access for CompanyUser {
    type Claim = Session;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Session> {
        let session = Session::from_request_parts(parts, state).await?;
        ApiError::check(policy::with_role(Some(session.actor()), Role::Company), "")?;
        Ok(session)
    }

    async fn grant(session: Session, state: &AppState) -> ApiResult<Self> {
        let mut connection = state.connection().await?;
        let company_id = queries::find_company_id_of_user(&mut connection, session.user_id).await?;
        Ok(Self { session, company_id })
    }
}

/// A checkpoint that does not exist, or must look so.
fn no_checkpoint() -> ApiError {
    ApiError::not_found("Checkpoint not found")
}

/// The same where the original deletes.
fn nothing_to_delete() -> ApiError {
    ApiError::missing_dependency(NOTHING_TO_DELETE)
}

/// A checkpoint with its posting's facts, when the policy allows `action`.
async fn load_checkpoint(
    id: CheckpointId,
    session: Option<&Session>,
    action: CheckpointAction,
    missing: fn() -> ApiError,
    state: &AppState,
) -> ApiResult<(Checkpoint, JobPosting, JobPostingFacts)> {
    let mut connection = state.connection().await?;
    let actor = session.map(Session::actor);
    let checkpoint = checkpoints::queries::find_checkpoint(&mut connection, id).await?.ok_or_else(missing)?;
    let user_id = actor.map(|actor| actor.user_id);
    let (job_posting, facts) =
        queries::find_facts(&mut connection, checkpoint.job_posting_id, user_id).await?.ok_or_else(missing)?;
    match policy::checkpoint(actor, action, &facts) {
        Decision::Hidden => Err(missing()),
        decision => {
            ApiError::check(decision, "")?;
            Ok((checkpoint, job_posting, facts))
        }
    }
}

/// A checkpoint that may be read: where its posting may be.
#[derive(Clone, Debug)]
pub struct CheckpointToView {
    pub checkpoint: Checkpoint,
    pub audience: Audience,
}

impl Access for CheckpointToView {
    type Claim = (MaybeSession, CheckpointId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let reader = MaybeSession::of(parts, state).await;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((reader, id))
    }

    async fn grant((reader, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let session = reader.session.as_ref();
        match load_checkpoint(id, session, CheckpointAction::View, no_checkpoint, state).await {
            Ok((checkpoint, _, facts)) => Ok(Self { checkpoint, audience: Audience::of(&facts, session) }),
            Err(refusal) => Err(reader.refusal(refusal)),
        }
    }
}

/// A checkpoint of a posting of the session's own company.
#[derive(Clone, Debug)]
pub struct OwnedCheckpoint {
    pub checkpoint: Checkpoint,
    pub job_posting: JobPosting,
    pub session: Session,
}

impl Access for OwnedCheckpoint {
    type Claim = (Session, CheckpointId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let (checkpoint, job_posting, _) =
            load_checkpoint(id, Some(&session), CheckpointAction::Delete, nothing_to_delete, state).await?;
        Ok(Self { checkpoint, job_posting, session })
    }
}

/// A checkpoint that the session may submit (the project's freelance) or approve (its company).
#[derive(Clone, Debug)]
pub struct CheckpointToAdvance {
    pub checkpoint: Checkpoint,
    pub job_posting: JobPosting,
    /// Whether the session is the company's; otherwise it is the project's freelance's.
    pub is_company: bool,
    pub session: Session,
}

impl Access for CheckpointToAdvance {
    type Claim = (Session, CheckpointId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        OwnedCheckpoint::claim(parts, state).await
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let (checkpoint, job_posting, facts) =
            load_checkpoint(id, Some(&session), CheckpointAction::Advance, no_checkpoint, state).await?;
        Ok(Self { checkpoint, job_posting, is_company: session.user_id == facts.owner, session })
    }
}

/// The status a path names.
pub struct PathStatus(pub JobPostingStatus);

impl<S: Send + Sync> FromRequestParts<S> for PathStatus {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let refused = || ApiError::bad_request("Validation failed (enum string is expected)");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| refused())?;
        let name = params.iter().find(|(name, _)| *name == "status").map(|(_, text)| text);
        name.and_then(JobPostingStatus::from_name).map(Self).ok_or_else(refused)
    }
}
