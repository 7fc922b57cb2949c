//! Ending sessions, on every replica: the row is marked, and the notification goes out with the commit.

use std::time::Duration;

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{SessionOrigin, queries};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{SessionId, UserId},
};

/// Where the ids of ended sessions (and of those whose user changed) are announced.
pub const CHANNEL: &str = "freehunt_sessions";

/// Longer than any session of Authentik's own lives.
const UPSTREAM_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// A log-out token older than ten minutes is refused anyway.
const LOG_OUT_TOKEN_MEMORY: Duration = Duration::from_secs(3600);

/// A session that has just ended.
#[derive(Clone, Debug)]
pub struct LogOut {
    pub id: SessionId,
    pub user_id: UserId,
    pub upstream_secret: Option<Vec<u8>>,
}

/// Tells every process to look at these sessions anew, once the transaction commits.
async fn announce(connection: &mut PgConnection, ids: &[SessionId]) -> Result<(), sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!("SELECT pg_notify($1, id::text) FROM unnest($2::uuid[]) AS id", CHANNEL, &ids)
        .fetch_all(connection)
        .await?;
    Ok(())
}

/// The user's cached sessions are out of date: a changed name.
pub async fn announce_user(connection: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: SessionId" FROM session WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"#,
        user_id.0
    )
    .fetch_all(&mut *connection)
    .await?;
    announce(connection, &ids).await
}

/// Ends the session with this token hash, if there is one; a session of Authentik's own stays refused.
pub(super) async fn revoke_by_token(
    connection: &mut PgConnection,
    token_hash: &[u8],
) -> Result<Option<SessionId>, sqlx::Error> {
    Ok(end_one(connection, Named::ByTokenHash(token_hash)).await?.map(|ended| ended.id))
}

/// One session.
#[derive(Clone, Copy)]
enum Named<'a> {
    ByTokenHash(&'a [u8]),
    ById(SessionId),
}

async fn end_one(connection: &mut PgConnection, named: Named<'_>) -> Result<Option<LogOut>, sqlx::Error> {
    let (token_hash, id) = match named {
        Named::ByTokenHash(token_hash) => (Some(token_hash), None),
        Named::ById(id) => (None, Some(id.0)),
    };
    let ended = sqlx::query!(
        r#"UPDATE session SET revoked_at = now() WHERE (token_hash = $1 OR id = $2) AND revoked_at IS NULL
           RETURNING id AS "id: SessionId", user_id AS "user_id: UserId", origin AS "origin: SessionOrigin",
                     upstream_secret, upstream_session_hash"#,
        token_hash,
        id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(ended) = ended else { return Ok(None) };
    let mut over = vec![ended.id];
    // The provider's session behind OpenID Connect may outlive ours: the browser is still signed in there.
    if let Some(hash) = &ended.upstream_session_hash
        && ended.origin != SessionOrigin::Oidc
    {
        queries::insert_revoked_upstream(connection, hash, UPSTREAM_LIFETIME).await?;
        over.extend(end_others(connection, hash).await?);
    }
    announce(connection, &over).await?;
    Ok(Some(LogOut { id: ended.id, user_id: ended.user_id, upstream_secret: ended.upstream_secret }))
}

/// Authentik may have issued several cookies for one session, and each was a session here.
async fn end_others(connection: &mut PgConnection, upstream_hash: &[u8]) -> Result<Vec<SessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE session SET revoked_at = now()
           WHERE upstream_session_hash = $1 AND origin <> 'oidc' AND revoked_at IS NULL
           RETURNING id AS "id: SessionId""#,
        upstream_hash,
    )
    .fetch_all(connection)
    .await
}

/// Logs a session out. `upstream_session_hash` is [`super::hash_upstream_session`] of Authentik's own cookie when the
/// client came with one: it is refused from now on, whether it was ever used here or not.
pub async fn log_out(
    pool: &PgPool,
    token_hash: &[u8],
    upstream_session_hash: Option<&[u8]>,
    client_address: Option<String>,
) -> Result<Option<LogOut>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let ended = end_one(&mut transaction, Named::ByTokenHash(token_hash)).await?;
    if let Some(hash) = upstream_session_hash {
        queries::insert_revoked_upstream(&mut transaction, hash, UPSTREAM_LIFETIME).await?;
    }
    if let Some(ended) = &ended {
        let record = AuditRecord {
            actor: AuditActor::User(ended.user_id),
            table: "session",
            action: "log_out",
            subject_id: Some(ended.id.to_string()),
            client_address,
            details: None,
        };
        audit::record(&mut transaction, &record).await?;
    }
    transaction.commit().await?;
    Ok(ended)
}

/// Authentik no longer confirms the session with this token hash.
pub async fn revoke_refused(pool: &PgPool, token_hash: &[u8], reason: &str) -> Result<(), sqlx::Error> {
    refuse(pool, Named::ByTokenHash(token_hash), reason).await
}

/// Authentik no longer confirms this session.
pub async fn revoke_refused_session(pool: &PgPool, id: SessionId, reason: &str) -> Result<(), sqlx::Error> {
    refuse(pool, Named::ById(id), reason).await
}

async fn refuse(pool: &PgPool, named: Named<'_>, reason: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if let Some(ended) = end_one(&mut transaction, named).await? {
        let record = AuditRecord {
            actor: AuditActor::System,
            table: "session",
            action: "end",
            subject_id: Some(ended.id.to_string()),
            client_address: None,
            details: Some(json!({ "reason": reason, "user": ended.user_id })),
        };
        audit::record(&mut transaction, &record).await?;
    }
    transaction.commit().await
}

/// Ends what a log-out token of the provider names; `None` when the token was used before.
///
/// With a session id, that session ends, and the subject's other sessions are confirmed anew before their next use;
/// without one, all of the subject's sessions end.
pub async fn provider_log_out(
    pool: &PgPool,
    token_id_hash: &[u8],
    subject: Option<&str>,
    provider_session_hash: Option<&[u8]>,
) -> Result<Option<Vec<SessionId>>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if !queries::insert_revoked_upstream(&mut transaction, token_id_hash, LOG_OUT_TOKEN_MEMORY).await? {
        return Ok(None);
    }
    if let Some(hash) = provider_session_hash {
        queries::insert_revoked_upstream(&mut transaction, hash, UPSTREAM_LIFETIME).await?;
    }
    let ended = sqlx::query_scalar!(
        r#"UPDATE session s SET revoked_at = now()
           WHERE s.revoked_at IS NULL AND s.expires_at > now()
             AND ($2::bytea IS NULL OR s.upstream_session_hash = $2)
             AND ($1::text IS NULL OR s.user_id = (SELECT user_id FROM identity WHERE authentik_uid = $1))
           RETURNING s.id AS "id: SessionId""#,
        subject,
        provider_session_hash,
    )
    .fetch_all(&mut *transaction)
    .await?;
    // Older than any grace, so that an Authentik that is away confirms nothing.
    let doubtful = sqlx::query_scalar!(
        r#"UPDATE session s SET validated_at = now() - interval '7 days'
           FROM identity i WHERE i.user_id = s.user_id AND i.authentik_uid = $1
             AND s.revoked_at IS NULL AND s.expires_at > now()
           RETURNING s.id AS "id: SessionId""#,
        subject,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let touched: Vec<SessionId> = ended.iter().chain(&doubtful).copied().collect();
    announce(&mut transaction, &touched).await?;
    let record = AuditRecord {
        actor: AuditActor::System,
        table: "session",
        action: "provider_log_out",
        subject_id: None,
        client_address: None,
        details: Some(json!({ "ended": ended, "doubted": doubtful.len() })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(Some(touched))
}
