//! `/conversations`: who talks with whom. Private to the two participants.

pub mod access;

use axum::extract::State;
use freehunt_domain::{
    conversations::{self, BeginConversationError, Conversation, ConversationDetails, NewConversation, queries},
    ids::{ConversationId, ProjectId, UserId},
    messages::{self, Message},
    policy,
};
use serde::{Deserialize, Serialize};

use self::access::{ConversationToRead, NO_CONVERSATION, OwnConversations, ProjectConversation};
use crate::{
    error::{ApiError, ApiResult, ErrorBody},
    extract::{Allowed, Created, Field, Json, MaybeJson, Rule, Session, Unknown, ValidBody, Validate},
    routes::{closed, projects::views::PersonView},
    state::AppState,
};

/// A conversation to begin.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "senderId": "550e8400-e29b-41d4-a716-446655440000",
    "receiverId": "7b2d3e7a-5c1f-4b0e-9d7e-3f1a2b4c5d6e",
}))]
pub struct CreateConversation {
    /// A project of the two users that has no conversation yet.
    project_id: Option<ProjectId>,
    receiver_id: UserId,
    /// The session's own user.
    sender_id: UserId,
}

impl Validate for CreateConversation {
    const FIELDS: &'static [Field] = &[
        Field::optional("projectId", &[Rule::IsUuid]),
        Field::required("receiverId", &[Rule::IsUuid]),
        Field::required("senderId", &[Rule::IsUuid]),
    ];
}

impl From<BeginConversationError> for ApiError {
    fn from(error: BeginConversationError) -> Self {
        match error {
            BeginConversationError::WithOneself => Self::bad_request("A conversation needs two different users"),
            BeginConversationError::NoReceiver => Self::not_found("User not found"),
            BeginConversationError::NoProject => Self::missing_dependency(
                "No 'Project' record to connect was found for a nested connect on one-to-one relation \
                 'ConversationToProject'.",
            ),
            BeginConversationError::NotTheParties => Self::forbidden(crate::error::FORBIDDEN),
            BeginConversationError::AlreadyLinked => Self::already_exists("conversationId"),
            BeginConversationError::TooMany => Self::too_many_requests(86_400),
            BeginConversationError::Database(error) => error.into(),
        }
    }
}

/// Begins a conversation.
#[utoipa::path(post, path = "/conversations", tag = "conversations", request_body = CreateConversation,
    security(("session" = [])),
    responses((status = 201, description = "The conversation", body = Conversation),
        (status = 400, description = "A broken rule, or with oneself", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "In another's name, or not the project's parties", body = ErrorBody),
        (status = 404, description = "No such project", body = ErrorBody),
        (status = 409, description = "The project has a conversation", body = ErrorBody),
        (status = 429, description = "The daily limit is reached", body = ErrorBody)))]
pub async fn create_conversation(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<CreateConversation>,
) -> ApiResult<Created<Conversation>> {
    ApiError::check(policy::is_self(session.actor(), body.sender_id), "")?;
    let new = NewConversation { sender: session.user_id, receiver: body.receiver_id, project: body.project_id };
    match conversations::create(&state.pool, &new).await {
        // Here the original answers as its foreign key does.
        Err(BeginConversationError::NoReceiver) => Err(ApiError::foreign_key("Conversation_receiverId_fkey")),
        created => Ok(Created(created?)),
    }
}

async fn list_own(session: &Session, state: &AppState) -> ApiResult<Json<Vec<ConversationDetails>>> {
    let mut connection = state.connection().await?;
    let listed = conversations::list_details_of_user(&mut connection, session.user_id).await?;
    connection.finish();
    Ok(Json(listed))
}

/// The session's own conversations with their messages, oldest first.
#[utoipa::path(get, path = "/conversations", tag = "conversations", security(("session" = [])),
    responses((status = 200, description = "The conversations", body = Vec<ConversationDetails>),
        (status = 401, description = "No session", body = ErrorBody)))]
pub async fn list_conversations(
    State(state): State<AppState>,
    session: Session,
) -> ApiResult<Json<Vec<ConversationDetails>>> {
    list_own(&session, &state).await
}

/// One conversation with its messages, for its participants.
#[utoipa::path(get, path = "/conversations/{id}", tag = "conversations", params(("id" = ConversationId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The conversation", body = ConversationDetails),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "There is none for this session", body = ErrorBody)))]
pub async fn get_conversation(
    Allowed(ConversationToRead(details)): Allowed<ConversationToRead>,
) -> Json<ConversationDetails> {
    Json(details)
}

/// Closed: a conversation is also the other participant's.
#[utoipa::path(delete, path = "/conversations/{id}", tag = "conversations", params(("id" = ConversationId, Path)),
    security(("session" = [])),
    responses((status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Closed", body = ErrorBody)))]
pub async fn delete_conversation(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// The session's own conversations with their messages, oldest first.
#[utoipa::path(get, path = "/conversations/user/{id}", tag = "conversations", params(("id" = UserId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The conversations", body = Vec<ConversationDetails>),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Another user", body = ErrorBody)))]
pub async fn list_conversations_of_user(
    State(state): State<AppState>,
    Allowed(OwnConversations(session)): Allowed<OwnConversations>,
) -> ApiResult<Json<Vec<ConversationDetails>>> {
    list_own(&session, &state).await
}

/// A project's conversation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ConversationOfProject {
    #[serde(flatten)]
    conversation: Conversation,
    /// Oldest first.
    messages: Vec<Message>,
}

/// The conversation of a project, for its parties; an empty body when it has none.
#[utoipa::path(get, path = "/conversations/project/{id}", tag = "conversations", params(("id" = ProjectId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The conversation, or nothing", body = ConversationOfProject),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No such project for this session", body = ErrorBody)))]
pub async fn get_conversation_of_project(
    State(state): State<AppState>,
    Allowed(access): Allowed<ProjectConversation>,
) -> ApiResult<MaybeJson<ConversationOfProject>> {
    let mut connection = state.connection().await?;
    let found = queries::find_conversation_of_project(&mut connection, access.project_id)
        .await?
        .filter(|found| policy::take_part(access.session.actor(), &found.facts()).is_allowed());
    let Some(conversation) = found else { return Ok(MaybeJson(None)) };
    let messages = messages::queries::list_messages(&mut connection, conversation.id).await?;
    Ok(MaybeJson(Some(ConversationOfProject { conversation, messages })))
}

/// Whom to talk with. Other properties are ignored.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "senderId": "550e8400-e29b-41d4-a716-446655440000",
    "receiverId": "7b2d3e7a-5c1f-4b0e-9d7e-3f1a2b4c5d6e",
}))]
pub struct FindOrCreateConversation {
    /// The session's own user; may be left out.
    sender_id: Option<UserId>,
    receiver_id: UserId,
    /// A project of the two users; without it, their conversation that belongs to no project.
    project_id: Option<ProjectId>,
}

impl Validate for FindOrCreateConversation {
    const FIELDS: &'static [Field] = &[
        Field::optional("senderId", &[Rule::IsUuid]),
        Field::required("receiverId", &[Rule::IsUuid]),
        Field::optional("projectId", &[Rule::IsUuid]),
    ];
    const UNKNOWN: Unknown = Unknown::Ignore;
}

/// A conversation with its two participants.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ConversationWithPeople {
    #[serde(flatten)]
    details: ConversationDetails,
    sender: PersonView,
    receiver: PersonView,
}

/// The conversation with somebody, whichever of the two began it; begins it when there is none, at most 30 a day.
#[utoipa::path(post, path = "/conversations/find-or-create", tag = "conversations",
    request_body = FindOrCreateConversation, security(("session" = [])),
    responses((status = 201, description = "The conversation", body = ConversationWithPeople),
        (status = 400, description = "A broken rule, or with oneself", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "In another's name, or not the project's parties", body = ErrorBody),
        (status = 404, description = "No such user or project", body = ErrorBody),
        (status = 429, description = "The daily limit is reached", body = ErrorBody)))]
pub async fn find_or_create_conversation(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<FindOrCreateConversation>,
) -> ApiResult<Created<ConversationWithPeople>> {
    ApiError::check(policy::is_self(session.actor(), body.sender_id.unwrap_or(session.user_id)), "")?;
    let new = NewConversation { sender: session.user_id, receiver: body.receiver_id, project: body.project_id };
    let conversation = conversations::find_or_create(&state.pool, &new).await?;
    let mut connection = state.connection().await?;
    let ids = [conversation.sender_id.0, conversation.receiver_id.0];
    let users = queries::list_users_by_id(&mut connection, &ids).await?;
    let person = |id| {
        let user = users.iter().find(|user| user.id == id).cloned().ok_or(sqlx::Error::RowNotFound)?;
        ApiResult::Ok(PersonView::new(user, session.user_id))
    };
    let (sender, receiver) = (person(conversation.sender_id)?, person(conversation.receiver_id)?);
    let details = conversations::find_details(&mut connection, conversation.id).await?;
    let details = details.ok_or_else(|| ApiError::not_found(NO_CONVERSATION))?;
    Ok(Created(ConversationWithPeople { details, sender, receiver }))
}
