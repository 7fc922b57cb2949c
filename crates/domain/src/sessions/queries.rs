//! Statements on `session`, `socket_ticket`, `revoked_upstream_session` and `oidc_login`. Times are the database's own.

use std::time::Duration;

use sqlx::PgConnection;

use super::{NewSession, SessionOrigin, SessionRow, TicketHolder};
use crate::{
    ids::{SessionId, UserId},
    users::Role,
};

/// The live session with this token hash; revoked and expired ones are not found.
pub async fn find_session(connection: &mut PgConnection, token_hash: &[u8]) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as!(
        SessionRow,
        r#"SELECT s.id AS "id: SessionId", u."id" AS "user_id: UserId", u."email", u."username", u."role" AS "role: Role",
                  s.origin AS "origin: SessionOrigin", s.upstream_secret, i.authentik_uid AS "authentik_uid?",
                  extract(epoch FROM now() - s.validated_at)::float8 AS "validated_seconds_ago!",
                  extract(epoch FROM s.expires_at - now())::float8 AS "expires_in_seconds!"
           FROM session s JOIN "User" u ON u."id" = s.user_id LEFT JOIN identity i ON i.user_id = s.user_id
           WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()"#,
        token_hash,
    )
    .fetch_optional(connection)
    .await
}

/// The live session that a socket ticket with this hash belongs to.
pub async fn find_session_by_ticket(
    connection: &mut PgConnection,
    ticket_hash: &[u8],
) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as!(
        SessionRow,
        r#"SELECT s.id AS "id: SessionId", u."id" AS "user_id: UserId", u."email", u."username", u."role" AS "role: Role",
                  s.origin AS "origin: SessionOrigin", s.upstream_secret, i.authentik_uid AS "authentik_uid?",
                  extract(epoch FROM now() - s.validated_at)::float8 AS "validated_seconds_ago!",
                  extract(epoch FROM s.expires_at - now())::float8 AS "expires_in_seconds!"
           FROM socket_ticket t JOIN session s ON s.id = t.session_id
                JOIN "User" u ON u."id" = s.user_id LEFT JOIN identity i ON i.user_id = s.user_id
           WHERE t.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()"#,
        ticket_hash,
    )
    .fetch_optional(connection)
    .await
}

/// Whether a session is still live; for sockets, which outlive their handshake.
pub async fn is_live(connection: &mut PgConnection, id: SessionId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM session WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()) AS "live!""#,
        id.0,
    )
    .fetch_one(connection)
    .await
}

/// Whose session this was, dead ones included: a browser that was once signed in is not a stranger to its account.
pub async fn find_past_user(connection: &mut PgConnection, token_hash: &[u8]) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT user_id AS "user_id: UserId" FROM session WHERE token_hash = $1"#, token_hash)
        .fetch_optional(connection)
        .await
}

/// Writes a session. One with the same token hash (Authentik's own cookie, whose session here has expired) lives anew,
/// unless it was revoked: then there is no id.
pub async fn insert_session(
    connection: &mut PgConnection,
    session: &NewSession<'_>,
) -> Result<Option<SessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO session (token_hash, user_id, origin, upstream_secret, upstream_session_hash, expires_at)
           VALUES ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')
           ON CONFLICT (token_hash) DO UPDATE SET validated_at = now(), expires_at = excluded.expires_at
               WHERE session.revoked_at IS NULL AND session.user_id = excluded.user_id
           RETURNING id AS "id: SessionId""#,
        session.token_hash,
        session.user_id.0,
        session.origin.name(),
        session.upstream_secret,
        session.upstream_session_hash,
        session.lifetime.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await
}

pub async fn insert_ticket(
    connection: &mut PgConnection,
    session: &NewSession<'_>,
    session_id: SessionId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO socket_ticket (token_hash, session_id, upstream_secret) VALUES ($1, $2, $3)
         ON CONFLICT (token_hash) DO UPDATE SET upstream_secret = excluded.upstream_secret",
        session.ticket_hash,
        session_id.0,
        session.ticket_secret,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What Authentik can be asked about the live session that a socket ticket with this hash belongs to.
pub async fn find_ticket_holder(
    connection: &mut PgConnection,
    ticket_hash: &[u8],
) -> Result<Option<TicketHolder>, sqlx::Error> {
    sqlx::query_as!(
        TicketHolder,
        r#"SELECT s.id AS "session_id: SessionId", u."email", i.authentik_uid AS "authentik_uid?", t.upstream_secret
           FROM socket_ticket t JOIN session s ON s.id = t.session_id
                JOIN "User" u ON u."id" = s.user_id LEFT JOIN identity i ON i.user_id = s.user_id
           WHERE t.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()"#,
        ticket_hash,
    )
    .fetch_optional(connection)
    .await
}

/// What takes the place of a session's secret at Authentik, encrypted for whom it is for; `None` keeps what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewSecrets<'a> {
    pub for_session: Option<&'a [u8]>,
    pub for_ticket: Option<&'a [u8]>,
    /// Only where the ticket has none: one from before tickets had secrets.
    pub for_empty_ticket: Option<&'a [u8]>,
}

/// Authentik has just confirmed the session; `false` when it was revoked meanwhile.
pub async fn confirm_session(
    connection: &mut PgConnection,
    id: SessionId,
    secrets: NewSecrets<'_>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH confirmed AS (
               UPDATE session SET validated_at = now(), upstream_secret = coalesce($2, upstream_secret)
               WHERE id = $1 AND revoked_at IS NULL RETURNING id
           ), renewed AS (
               UPDATE socket_ticket t SET upstream_secret = coalesce($3, $4)
               FROM confirmed WHERE t.session_id = confirmed.id
                   AND ($3::bytea IS NOT NULL OR (t.upstream_secret IS NULL AND $4::bytea IS NOT NULL))
           )
           SELECT EXISTS (SELECT FROM confirmed) AS "live!""#,
        id.0,
        secrets.for_session,
        secrets.for_ticket,
        secrets.for_empty_ticket,
    )
    .fetch_one(connection)
    .await
}

/// Whether Authentik's own session was logged out here, by any of these hashes of it, of its cookie, or of its `sid`.
pub async fn is_upstream_revoked(connection: &mut PgConnection, hashes: &[Vec<u8>]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM revoked_upstream_session WHERE cookie_hash = ANY($1) AND expires_at > now())
           AS "revoked!""#,
        hashes,
    )
    .fetch_one(connection)
    .await
}

/// Refuses from now on what has this hash; `false` when it was refused already.
pub async fn insert_revoked_upstream(
    connection: &mut PgConnection,
    hash: &[u8],
    lifetime: Duration,
) -> Result<bool, sqlx::Error> {
    let result = sqlx::query!(
        "INSERT INTO revoked_upstream_session (cookie_hash, expires_at) VALUES ($1, now() + $2::float8 * interval '1 second')
         ON CONFLICT (cookie_hash) DO NOTHING",
        hash,
        lifetime.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// An OpenID Connect login that a browser has begun.
#[derive(Clone, Debug)]
pub struct OidcLogin {
    pub nonce: String,
    /// Encrypted under a key derived from what the browser holds.
    pub pkce_verifier: String,
    pub return_to: String,
}

pub async fn insert_oidc_login(
    connection: &mut PgConnection,
    state_hash: &[u8],
    browser_hash: &[u8],
    login: &OidcLogin,
    lifetime: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO oidc_login (state_hash, browser_hash, nonce, pkce_verifier, return_to, expires_at)
         VALUES ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')",
        state_hash,
        browser_hash,
        login.nonce,
        login.pkce_verifier,
        login.return_to,
        lifetime.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the login out of the table: each state has one try, and only in the browser that began it.
pub async fn take_oidc_login(
    connection: &mut PgConnection,
    state_hash: &[u8],
    browser_hash: &[u8],
) -> Result<Option<OidcLogin>, sqlx::Error> {
    sqlx::query_as!(
        OidcLogin,
        "DELETE FROM oidc_login WHERE state_hash = $1 AND browser_hash = $2 AND expires_at > now()
         RETURNING nonce, pkce_verifier, return_to",
        state_hash,
        browser_hash,
    )
    .fetch_optional(connection)
    .await
}
