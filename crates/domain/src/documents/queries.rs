//! Statements on "Document" and `uploaded_object`.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Document, DocumentType, NewObject};
use crate::{
    Timestamp,
    ids::{DocumentId, FreelanceId, MessageId, UserId},
};

/// A user's documents, of one type when given, newest first.
pub async fn list_documents_of_user(
    connection: &mut PgConnection,
    user_id: UserId,
    r#type: Option<DocumentType>,
) -> Result<Vec<Document>, sqlx::Error> {
    sqlx::query_as!(
        Document,
        r#"SELECT "id" AS "id: DocumentId", "name", "url", "type" AS "type: DocumentType",
                  "freelanceId" AS "freelance_id: FreelanceId", "invoiceId" AS invoice_id, "quoteId" AS quote_id,
                  "messageId" AS "message_id: MessageId", "userId" AS "user_id: UserId",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp"
           FROM "Document" WHERE "userId" = $1 AND ($2::"DocumentType" IS NULL OR "type" = $2)
           ORDER BY "createdAt" DESC, "id""#,
        user_id.0,
        r#type as Option<DocumentType>,
    )
    .fetch_all(connection)
    .await
}

/// Whose document it is: `None` when there is no such document, `Some(None)` when it is nobody's.
pub async fn find_document_owner(
    connection: &mut PgConnection,
    id: DocumentId,
) -> Result<Option<Option<UserId>>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "userId" AS "user_id: UserId" FROM "Document" WHERE "id" = $1"#, id.0)
        .fetch_optional(connection)
        .await
}

/// Whether the two users are the participants of some conversation.
pub async fn share_conversation(
    connection: &mut PgConnection,
    one: UserId,
    other: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Conversation" WHERE "senderId" = $1 AND "receiverId" = $2)
               OR EXISTS (SELECT FROM "Conversation" WHERE "senderId" = $2 AND "receiverId" = $1) AS "shared!""#,
        one.0,
        other.0,
    )
    .fetch_one(connection)
    .await
}

/// Changes of one user's documents happen one after the other: whoever holds this lock is alone until the end of the
/// transaction, also when the user has no document yet.
pub async fn lock_owner(connection: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "id" FROM "User" WHERE "id" = $1 FOR NO KEY UPDATE"#, user_id.0)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// A user has at most one document, by the original's schema.
pub async fn upsert_avatar(
    connection: &mut PgConnection,
    user_id: UserId,
    name: &str,
    url: &str,
) -> Result<Document, sqlx::Error> {
    sqlx::query_as!(
        Document,
        r#"INSERT INTO "Document" ("name", "url", "type", "userId") VALUES ($1, $2, 'AVATAR', $3)
           ON CONFLICT ("userId") DO UPDATE
               SET "name" = excluded."name", "url" = excluded."url", "updatedAt" = (now() AT TIME ZONE 'UTC')
           RETURNING "id" AS "id: DocumentId", "name", "url", "type" AS "type: DocumentType",
                  "freelanceId" AS "freelance_id: FreelanceId", "invoiceId" AS invoice_id, "quoteId" AS quote_id,
                  "messageId" AS "message_id: MessageId", "userId" AS "user_id: UserId",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        name,
        url,
        user_id.0,
    )
    .fetch_one(connection)
    .await
}

/// Deletes a document of this owner.
pub async fn delete_document(
    connection: &mut PgConnection,
    id: DocumentId,
    owner: UserId,
) -> Result<Option<Document>, sqlx::Error> {
    sqlx::query_as!(
        Document,
        r#"DELETE FROM "Document" WHERE "id" = $1 AND "userId" = $2
           RETURNING "id" AS "id: DocumentId", "name", "url", "type" AS "type: DocumentType",
                  "freelanceId" AS "freelance_id: FreelanceId", "invoiceId" AS invoice_id, "quoteId" AS quote_id,
                  "messageId" AS "message_id: MessageId", "userId" AS "user_id: UserId",
                  "createdAt" AS "created_at: Timestamp", "updatedAt" AS "updated_at: Timestamp""#,
        id.0,
        owner.0,
    )
    .fetch_optional(connection)
    .await
}

/// Records an object that no document shows yet.
pub async fn insert_uploaded_object(
    connection: &mut PgConnection,
    user_id: UserId,
    object: &NewObject,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO uploaded_object (key, user_id, url) VALUES ($1, $2, $3)",
        object.key,
        user_id.0,
        object.url,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks the object behind `url` as shown; `false` when this server issued no such object to this user.
pub async fn attach_uploaded_object(
    connection: &mut PgConnection,
    user_id: UserId,
    url: &str,
) -> Result<bool, sqlx::Error> {
    let attached =
        sqlx::query!("UPDATE uploaded_object SET attached_at = now() WHERE url = $1 AND user_id = $2", url, user_id.0,)
            .execute(connection)
            .await?;
    Ok(attached.rows_affected() > 0)
}

/// Forgets the object behind `url`; its key, when this server issued it to this user.
pub async fn delete_uploaded_object(
    connection: &mut PgConnection,
    user_id: UserId,
    url: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("DELETE FROM uploaded_object WHERE url = $1 AND user_id = $2 RETURNING key", url, user_id.0)
        .fetch_optional(connection)
        .await
}

/// Forgets all but the `kept` newest objects of a user that no document shows; the forgotten keys.
pub async fn delete_surplus_objects(
    connection: &mut PgConnection,
    user_id: UserId,
    kept: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM uploaded_object WHERE attached_at IS NULL AND key IN (
             SELECT key FROM uploaded_object WHERE user_id = $1 AND attached_at IS NULL
             ORDER BY created_at DESC, key OFFSET $2 FOR UPDATE SKIP LOCKED)
         RETURNING key",
        user_id.0,
        kept,
    )
    .fetch_all(connection)
    .await
}

/// Whether some row still needs the object: an upload that may be shown, or a document that shows it.
pub async fn is_object_in_use(connection: &mut PgConnection, key: &str, url: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM uploaded_object WHERE key = $1)
               OR EXISTS (SELECT FROM "Document" WHERE "url" = $2) AS "used!""#,
        key,
        url,
    )
    .fetch_one(connection)
    .await
}

/// The user's document, locked.
#[derive(Clone, Debug)]
pub struct LockedDocument {
    pub id: Uuid,
    pub url: String,
    pub r#type: DocumentType,
}

pub async fn lock_document_of_user(
    connection: &mut PgConnection,
    user_id: UserId,
) -> Result<Option<LockedDocument>, sqlx::Error> {
    sqlx::query_as!(
        LockedDocument,
        r#"SELECT "id", "url", "type" AS "type: DocumentType" FROM "Document" WHERE "userId" = $1 FOR UPDATE"#,
        user_id.0,
    )
    .fetch_optional(connection)
    .await
}
