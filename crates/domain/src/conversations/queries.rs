//! Statements on "Conversation" and `direct_conversation`.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Conversation;
use crate::{
    Timestamp,
    ids::{CompanyId, ConversationId, FreelanceId, JobPostingId, ProjectId, UserId},
    policy::ConversationFacts,
    projects::{Project, ProjectStatus},
    users::{Role, User},
};

/// Reads conversations with the columns every query of this file has.
macro_rules! select_conversations {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Conversation,
            r#"SELECT c."id" AS "id: ConversationId", c."senderId" AS "sender_id: UserId",
                      c."receiverId" AS "receiver_id: UserId", c."createdAt" AS "created_at: Timestamp",
                      c."updatedAt" AS "updated_at: Timestamp"
               FROM "Conversation" c "# + $rest,
            $($argument),*
        )
    };
}

pub async fn find_conversation(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<Conversation>, sqlx::Error> {
    select_conversations!(r#"WHERE c."id" = $1"#, id.0).fetch_optional(connection).await
}

/// A statement that yields conversations c with the project whose two parties talk in each. (The original let anybody
/// link a conversation to any project; such a project is left out.)
macro_rules! select_with_projects {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            r#"SELECT c."id" AS "id: ConversationId", c."senderId" AS "sender_id: UserId",
                      c."receiverId" AS "receiver_id: UserId", c."createdAt" AS "created_at: Timestamp",
                      c."updatedAt" AS "updated_at: Timestamp",
                      p."id" AS "project_id?: ProjectId", p."name" AS "name?", p."description" AS "description?",
                      p."amount" AS "amount?", p."startDate" AS "start_date?: Timestamp",
                      p."endDate" AS "end_date?: Timestamp", p."status" AS "status?: ProjectStatus",
                      p."jobPostingId" AS "job_posting_id?: JobPostingId", p."freelanceId" AS "freelance_id?: FreelanceId",
                      p."companyId" AS "company_id?: CompanyId", p."createdAt" AS "project_created_at?: Timestamp",
                      p."updatedAt" AS "project_updated_at?: Timestamp"
               FROM "Conversation" c
               LEFT JOIN ("Project" p
                          JOIN "JobPosting" j ON j."id" = p."jobPostingId"
                          JOIN "Company" m ON m."id" = coalesce(p."companyId", j."companyId")
                          JOIN "Freelance" f ON f."id" = p."freelanceId")
                   ON p."conversationId" = c."id" AND c."senderId" IN (m."userId", f."userId")
                      AND c."receiverId" IN (m."userId", f."userId") "# + $rest,
            $($argument),*
        )
    };
}

/// The conversation of a row of [`select_with_projects`], and its project.
macro_rules! with_project {
    ($row:ident) => {{
        let conversation = Conversation {
            id: $row.id,
            sender_id: $row.sender_id,
            receiver_id: $row.receiver_id,
            created_at: $row.created_at,
            updated_at: $row.updated_at,
        };
        // The join gives either the whole row of a project or none of it, so the defaults never show.
        let project =
            $row.project_id.zip($row.job_posting_id).zip($row.status).map(|((id, job_posting_id), status)| Project {
                id,
                name: $row.name.unwrap_or_default(),
                description: $row.description.unwrap_or_default(),
                amount: $row.amount.unwrap_or_default(),
                start_date: $row.start_date.unwrap_or($row.created_at),
                end_date: $row.end_date,
                status,
                job_posting_id,
                freelance_id: $row.freelance_id,
                company_id: $row.company_id,
                conversation_id: Some($row.id),
                created_at: $row.project_created_at.unwrap_or($row.created_at),
                updated_at: $row.project_updated_at.unwrap_or($row.created_at),
            });
        (conversation, project)
    }};
}

pub async fn find_with_project(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<(Conversation, Option<Project>)>, sqlx::Error> {
    let row = select_with_projects!(r#"WHERE c."id" = $1"#, id.0).fetch_optional(connection).await?;
    Ok(row.map(|row| with_project!(row)))
}

/// All conversations the user takes part in, oldest first.
pub async fn list_with_projects_of_user(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<(Conversation, Option<Project>)>, sqlx::Error> {
    let rows = select_with_projects!(
        r#"WHERE c."senderId" = $1 OR c."receiverId" = $1 ORDER BY c."createdAt", c."id""#,
        user.0
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| with_project!(row)).collect())
}

/// What the policy asks about a conversation, with the users it names.
pub async fn find_people(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<(ConversationFacts, Vec<User>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT c."senderId" AS "sender: UserId", c."receiverId" AS "receiver: UserId",
                  u."id" AS "id: UserId", u."email", u."username", u."role" AS "role: Role",
                  u."createdAt" AS "created_at: Timestamp", u."updatedAt" AS "updated_at: Timestamp"
           FROM "Conversation" c JOIN "User" u ON u."id" IN (c."senderId", c."receiverId") WHERE c."id" = $1"#,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let facts = ConversationFacts { sender: first.sender, receiver: first.receiver };
    let users = rows.into_iter().map(|row| User {
        id: row.id,
        email: row.email,
        username: row.username,
        role: row.role,
        created_at: row.created_at,
        updated_at: row.updated_at,
    });
    Ok(Some((facts, users.collect())))
}

/// What the policy asks about a conversation.
pub async fn find_conversation_facts(
    connection: &mut PgConnection,
    id: ConversationId,
) -> Result<Option<ConversationFacts>, sqlx::Error> {
    sqlx::query_as!(
        ConversationFacts,
        r#"SELECT "senderId" AS "sender: UserId", "receiverId" AS "receiver: UserId" FROM "Conversation" WHERE "id" = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// The conversations with these ids, in no order.
pub async fn list_conversations_by_id(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Conversation>, sqlx::Error> {
    select_conversations!(r#"WHERE c."id" = ANY($1)"#, ids).fetch_all(connection).await
}

/// The conversation that the project is linked to.
pub async fn find_conversation_of_project(
    connection: &mut PgConnection,
    project: ProjectId,
) -> Result<Option<Conversation>, sqlx::Error> {
    select_conversations!(r#"JOIN "Project" p ON p."conversationId" = c."id" WHERE p."id" = $1"#, project.0)
        .fetch_optional(connection)
        .await
}

/// Whether the two users are in a conversation together.
pub async fn shares_conversation(
    connection: &mut PgConnection,
    one: UserId,
    other: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Conversation"
                          WHERE ("senderId" = $1 AND "receiverId" = $2) OR ("senderId" = $2 AND "receiverId" = $1))
                  AS "shares!""#,
        one.0,
        other.0,
    )
    .fetch_one(connection)
    .await
}

/// The pair's conversation that belongs to no project, if it was registered.
pub async fn find_direct_conversation(
    connection: &mut PgConnection,
    pair: Pair,
) -> Result<Option<Conversation>, sqlx::Error> {
    select_conversations!(
        r#"JOIN direct_conversation d ON d.conversation_id = c."id"
           WHERE d.lower_user_id = $1 AND d.higher_user_id = $2"#,
        pair.lower.0,
        pair.higher.0,
    )
    .fetch_optional(connection)
    .await
}

/// The pair's oldest conversation that belongs to no project, registered or not: the original registered none.
pub async fn find_unregistered_conversation(
    connection: &mut PgConnection,
    pair: Pair,
) -> Result<Option<Conversation>, sqlx::Error> {
    select_conversations!(
        r#"WHERE ((c."senderId" = $1 AND c."receiverId" = $2) OR (c."senderId" = $2 AND c."receiverId" = $1))
             AND NOT EXISTS (SELECT FROM "Project" p WHERE p."conversationId" = c."id")
           ORDER BY c."createdAt", c."id" LIMIT 1"#,
        pair.lower.0,
        pair.higher.0,
    )
    .fetch_optional(connection)
    .await
}

/// Two different users in the order of their ids, so that it does not matter who begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    lower: UserId,
    higher: UserId,
}

impl Pair {
    /// `None` for one user twice.
    pub fn of(one: UserId, other: UserId) -> Option<Self> {
        match one.cmp(&other) {
            std::cmp::Ordering::Less => Some(Self { lower: one, higher: other }),
            std::cmp::Ordering::Greater => Some(Self { lower: other, higher: one }),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// Makes others who want to begin the same conversation wait until the transaction ends.
pub async fn lock_pair(connection: &mut PgConnection, pair: Pair) -> Result<(), sqlx::Error> {
    let key = format!("conversation:{}:{}", pair.lower, pair.higher);
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key).execute(connection).await?;
    Ok(())
}

pub async fn register_direct_conversation(
    connection: &mut PgConnection,
    pair: Pair,
    conversation: ConversationId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO direct_conversation (lower_user_id, higher_user_id, conversation_id) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        pair.lower.0,
        pair.higher.0,
        conversation.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn insert_conversation(
    connection: &mut PgConnection,
    sender: UserId,
    receiver: UserId,
) -> Result<Conversation, sqlx::Error> {
    sqlx::query_as!(
        Conversation,
        r#"INSERT INTO "Conversation" ("senderId", "receiverId") VALUES ($1, $2)
           RETURNING "id" AS "id: ConversationId", "senderId" AS "sender_id: UserId",
                     "receiverId" AS "receiver_id: UserId", "createdAt" AS "created_at: Timestamp",
                     "updatedAt" AS "updated_at: Timestamp""#,
        sender.0,
        receiver.0,
    )
    .fetch_one(connection)
    .await
}

/// The users with these ids, in no order: the people of conversations and projects.
pub async fn list_users_by_id(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"SELECT "id" AS "id: UserId", "email", "username", "role" AS "role: Role",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "User" WHERE "id" = ANY($1)"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_no_direction() {
        let (one, other) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        assert_eq!(Pair::of(one, other), Pair::of(other, one));
        assert_eq!(Pair::of(one, one), None);
    }
}
