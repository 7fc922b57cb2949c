//! Who may do what: pure rules over an actor, an action and the facts of a subject. No database, no HTTP.
//!
//! The rules read as the authorization matrix does. A subject's facts are loaded by its feature (`facts_for` and
//! `find_*_facts`), so that the HTTP API and the messaging server ask the same question and get the same answer.

use crate::{ids::UserId, users::Role};

/// Who asks. Comes from a session, never from a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user_id: UserId,
    pub role: Role,
}

/// The answer to a question. Every refusal says how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Decision {
    Allow,
    /// No session (401).
    Unauthenticated,
    /// The subject is known to the public, or the endpoint is closed (403).
    Forbidden,
    /// The subject is private to others: answered as if it did not exist (404).
    Hidden,
}

impl Decision {
    pub fn is_allowed(self) -> bool {
        self == Self::Allow
    }
}

fn allow_or(allowed: bool, refusal: Decision) -> Decision {
    if allowed { Decision::Allow } else { refusal }
}

/// Endpoints that stay mounted for nobody: 401 without a session, 403 with any.
pub fn closed(actor: Option<Actor>) -> Decision {
    if actor.is_some() { Decision::Forbidden } else { Decision::Unauthenticated }
}

/// Endpoints for any session.
pub fn any_session(actor: Option<Actor>) -> Decision {
    allow_or(actor.is_some(), Decision::Unauthenticated)
}

/// Endpoints for sessions of one role.
pub fn with_role(actor: Option<Actor>, role: Role) -> Decision {
    match actor {
        None => Decision::Unauthenticated,
        Some(actor) => allow_or(actor.role == role, Decision::Forbidden),
    }
}

/// An id of the actor that the client names, in a path or a body, is an assertion and never an input.
pub fn is_self(actor: Actor, claimed: UserId) -> Decision {
    allow_or(actor.user_id == claimed, Decision::Forbidden)
}

/// Reading another user's account is answered as if there were none.
pub fn view_user(actor: Actor, user: UserId) -> Decision {
    allow_or(actor.user_id == user, Decision::Hidden)
}

/// Changing or deleting a company's or a freelance's profile.
pub fn manage_profile(actor: Actor, owner: UserId) -> Decision {
    allow_or(actor.user_id == owner, Decision::Forbidden)
}

/// What a company is to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompanyFacts {
    pub owner: UserId,
    pub has_published_posting: bool,
    /// The actor applied to one of its postings or shares a project with it.
    pub is_counterpart: bool,
}

pub fn view_company(actor: Option<Actor>, company: &CompanyFacts) -> Decision {
    let is_owner = actor.is_some_and(|actor| actor.user_id == company.owner);
    allow_or(company.has_published_posting || is_owner || company.is_counterpart, Decision::Hidden)
}

/// What a job posting is to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobPostingFacts {
    pub owner: UserId,
    pub is_published: bool,
    /// The actor has a candidate row on it.
    pub is_applicant: bool,
    /// The actor is the freelance of its project.
    pub is_project_freelance: bool,
}

impl JobPostingFacts {
    fn is_owned_by(&self, actor: Option<Actor>) -> bool {
        actor.is_some_and(|actor| actor.user_id == self.owner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPostingAction {
    /// Read the posting and its checkpoints.
    View,
    /// Change, pay, publish, cancel, delete, add checkpoints, ask whether it can be cancelled.
    Manage,
    /// List the candidates.
    ViewCandidates,
    /// Read which project came of it.
    ViewProject,
}

pub fn job_posting(actor: Option<Actor>, action: JobPostingAction, posting: &JobPostingFacts) -> Decision {
    let owner = posting.is_owned_by(actor);
    match action {
        JobPostingAction::View => allow_or(
            posting.is_published || owner || posting.is_applicant || posting.is_project_freelance,
            Decision::Hidden,
        ),
        _ if actor.is_none() => Decision::Unauthenticated,
        JobPostingAction::Manage => allow_or(owner, Decision::Forbidden),
        JobPostingAction::ViewCandidates => allow_or(owner, Decision::Hidden),
        JobPostingAction::ViewProject => allow_or(owner || posting.is_project_freelance, Decision::Hidden),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointAction {
    View,
    /// Submit (the project's freelance) or approve (its company); the role comes from the session.
    Advance,
    Delete,
}

/// A checkpoint is seen and changed by whom its posting says.
pub fn checkpoint(actor: Option<Actor>, action: CheckpointAction, posting: &JobPostingFacts) -> Decision {
    let visible = job_posting(actor, JobPostingAction::View, posting);
    if action == CheckpointAction::View {
        return visible;
    }
    if actor.is_none() {
        return Decision::Unauthenticated;
    }
    let owner = posting.is_owned_by(actor);
    let allowed = match action {
        CheckpointAction::Advance => owner || posting.is_project_freelance,
        _ => owner,
    };
    if allowed {
        Decision::Allow
    } else if visible.is_allowed() {
        Decision::Forbidden
    } else {
        Decision::Hidden
    }
}

/// The two sides of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateFacts {
    pub applicant: UserId,
    pub posting_owner: UserId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateAction {
    View,
    /// Accept or reject.
    Decide,
    Withdraw,
}

pub fn candidate(actor: Actor, action: CandidateAction, candidate: &CandidateFacts) -> Decision {
    let applicant = actor.user_id == candidate.applicant;
    let owner = actor.user_id == candidate.posting_owner;
    match action {
        CandidateAction::View => allow_or(applicant || owner, Decision::Hidden),
        CandidateAction::Decide => allow_or(owner, Decision::Forbidden),
        CandidateAction::Withdraw => allow_or(applicant, Decision::Hidden),
    }
}

/// The two parties of a project; either may be missing in old rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectFacts {
    pub company_user: Option<UserId>,
    pub freelance_user: Option<UserId>,
}

impl ProjectFacts {
    pub fn is_party(&self, actor: Actor) -> bool {
        self.company_user == Some(actor.user_id) || self.freelance_user == Some(actor.user_id)
    }
}

/// Projects of others answer 403, as the original documents.
pub fn view_project(actor: Actor, project: &ProjectFacts) -> Decision {
    allow_or(project.is_party(actor), Decision::Forbidden)
}

/// The two participants of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationFacts {
    pub sender: UserId,
    pub receiver: UserId,
}

impl ConversationFacts {
    /// The other participant, or `None` for somebody who is not in the conversation.
    pub fn partner_of(&self, user: UserId) -> Option<UserId> {
        if user == self.sender {
            Some(self.receiver)
        } else if user == self.receiver {
            Some(self.sender)
        } else {
            None
        }
    }
}

/// Reading, joining, typing and writing: participants only, over HTTP and over the socket.
pub fn take_part(actor: Actor, conversation: &ConversationFacts) -> Decision {
    allow_or(conversation.partner_of(actor.user_id).is_some(), Decision::Hidden)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageAction {
    View,
    /// Edit the content or delete.
    Change,
}

pub fn message(actor: Actor, action: MessageAction, author: UserId, conversation: &ConversationFacts) -> Decision {
    match action {
        MessageAction::View => take_part(actor, conversation),
        MessageAction::Change => {
            let allowed = actor.user_id == author && take_part(actor, conversation).is_allowed();
            allow_or(allowed, Decision::Hidden)
        }
    }
}

/// An avatar is seen by its owner and by whom the owner shares a conversation with.
pub fn view_avatar(actor: Actor, owner: UserId, shares_conversation: bool) -> Decision {
    allow_or(actor.user_id == owner || shares_conversation, Decision::Hidden)
}

pub fn delete_document(actor: Actor, owner: Option<UserId>) -> Decision {
    allow_or(owner == Some(actor.user_id), Decision::Hidden)
}
