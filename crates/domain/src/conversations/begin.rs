//! Beginning a conversation with somebody, or finding the one there is. Who begins comes from the session.

use sqlx::{PgConnection, PgPool};

use super::{
    Conversation,
    queries::{self, Pair},
};
use crate::{
    chat_events::{self, ChatEventKind},
    ids::{ProjectId, UserId},
    limits::{Creation, count_creation},
    policy::ProjectFacts,
    projects, users,
};

#[derive(Clone, Copy, Debug)]
pub struct NewConversation {
    pub sender: UserId,
    pub receiver: UserId,
    /// The project whose two parties these are.
    pub project: Option<ProjectId>,
}

#[derive(Debug, thiserror::Error)]
pub enum BeginConversationError {
    #[error("a conversation needs two users")]
    WithOneself,
    #[error("no such receiver")]
    NoReceiver,
    #[error("no such project")]
    NoProject,
    /// The sender or the receiver is not a party of the project.
    #[error("not the parties of the project")]
    NotTheParties,
    #[error("the project has a conversation already")]
    AlreadyLinked,
    #[error("the daily limit is reached")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Always makes a conversation.
pub async fn create(pool: &PgPool, new: &NewConversation) -> Result<Conversation, BeginConversationError> {
    let mut transaction = pool.begin().await?;
    check_people(&mut transaction, new).await?;
    if let Some(project) = new.project
        && lock_project_of(&mut transaction, new, project).await?.is_some()
    {
        return Err(BeginConversationError::AlreadyLinked);
    }
    let conversation = begin(&mut transaction, new).await?;
    transaction.commit().await?;
    Ok(conversation)
}

/// The project's conversation, or without a project the pair's own, whichever of the two began it.
pub async fn find_or_create(pool: &PgPool, new: &NewConversation) -> Result<Conversation, BeginConversationError> {
    let mut transaction = pool.begin().await?;
    let pair = check_people(&mut transaction, new).await?;
    let conversation = match new.project {
        Some(project) => match lock_project_of(&mut transaction, new, project).await? {
            Some(linked) => linked,
            None => begin(&mut transaction, new).await?,
        },
        None => find_or_begin_direct(&mut transaction, new, pair).await?,
    };
    publish(&mut transaction, ChatEventKind::ConversationReady, &conversation).await?;
    transaction.commit().await?;
    Ok(conversation)
}

async fn check_people(connection: &mut PgConnection, new: &NewConversation) -> Result<Pair, BeginConversationError> {
    let pair = Pair::of(new.sender, new.receiver).ok_or(BeginConversationError::WithOneself)?;
    users::queries::find_user(connection, new.receiver).await?.ok_or(BeginConversationError::NoReceiver)?;
    Ok(pair)
}

/// Holds the project and returns its conversation. The original let anybody link any conversation to a project of their
/// own: one of other people is no link.
async fn lock_project_of(
    connection: &mut PgConnection,
    new: &NewConversation,
    project: ProjectId,
) -> Result<Option<Conversation>, BeginConversationError> {
    let project_row =
        projects::queries::lock_project(connection, project).await?.ok_or(BeginConversationError::NoProject)?;
    let facts = projects::queries::find_project_facts(connection, project)
        .await?
        .unwrap_or(ProjectFacts { company_user: None, freelance_user: None });
    let parties = [facts.company_user, facts.freelance_user];
    if !parties.contains(&Some(new.sender)) || !parties.contains(&Some(new.receiver)) {
        return Err(BeginConversationError::NotTheParties);
    }
    let linked = match project_row.conversation_id {
        Some(id) => queries::find_conversation(connection, id).await?,
        None => None,
    };
    Ok(linked
        .filter(|linked| [linked.sender_id, linked.receiver_id].map(Some).iter().all(|user| parties.contains(user))))
}

async fn find_or_begin_direct(
    connection: &mut PgConnection,
    new: &NewConversation,
    pair: Pair,
) -> Result<Conversation, BeginConversationError> {
    queries::lock_pair(connection, pair).await?;
    if let Some(registered) = queries::find_direct_conversation(connection, pair).await? {
        return Ok(registered);
    }
    let conversation = match queries::find_unregistered_conversation(connection, pair).await? {
        Some(older) => older,
        None => begin(connection, new).await?,
    };
    queries::register_direct_conversation(connection, pair, conversation.id).await?;
    Ok(conversation)
}

/// Within the sender's daily limit.
async fn begin(connection: &mut PgConnection, new: &NewConversation) -> Result<Conversation, BeginConversationError> {
    if !count_creation(connection, new.sender, Creation::Conversation).await? {
        return Err(BeginConversationError::TooMany);
    }
    let conversation = queries::insert_conversation(connection, new.sender, new.receiver).await?;
    if let Some(project) = new.project {
        projects::queries::update_conversation(connection, project, conversation.id).await?;
    }
    publish(connection, ChatEventKind::NewConversation, &conversation).await?;
    Ok(conversation)
}

/// Tells both participants, in the caller's transaction.
pub(crate) async fn publish(
    connection: &mut PgConnection,
    kind: ChatEventKind,
    conversation: &Conversation,
) -> Result<(), sqlx::Error> {
    let recipients = [conversation.sender_id, conversation.receiver_id];
    chat_events::publish(connection, kind, conversation.id, None, &recipients).await?;
    Ok(())
}
