//! Statements on `session`, `socket_ticket` and `revoked_upstream_session`. Times are the database's own.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{SessionOrigin, SessionRow};
use crate::{
    ids::{SessionId, UserId},
    users::Role,
};

/// The live session with this token hash; revoked and expired ones are not found.
pub async fn find_session(connection: &mut PgConnection, token_hash: &[u8]) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as!(
        SessionRow,
        r#"SELECT s.id AS "id: SessionId", u."id" AS "user_id: UserId", u."email", u."username", u."role" AS "role: Role",
                  s.origin, s.upstream_secret, s.validated_at, s.expires_at
           FROM session s JOIN "User" u ON u."id" = s.user_id
           WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()"#,
        token_hash,
    )
    .fetch_optional(connection)
    .await
}

/// What a new session is made of. Secrets are hashed or encrypted already.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    pub token_hash: &'a [u8],
    pub user_id: UserId,
    pub origin: SessionOrigin,
    pub upstream_secret: Option<&'a [u8]>,
    pub upstream_session_hash: Option<&'a [u8]>,
    pub expires_at: DateTime<Utc>,
}

pub async fn insert_session(connection: &mut PgConnection, session: &NewSession<'_>) -> Result<SessionId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO session (token_hash, user_id, origin, upstream_secret, upstream_session_hash, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6) RETURNING id AS "id: SessionId""#,
        session.token_hash,
        session.user_id.0,
        session.origin.name(),
        session.upstream_secret,
        session.upstream_session_hash,
        session.expires_at,
    )
    .fetch_one(connection)
    .await
}

/// Ends a session on every replica; its socket tickets end with it.
pub async fn revoke_session(connection: &mut PgConnection, id: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE session SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", id.0)
        .execute(connection)
        .await?;
    Ok(())
}
