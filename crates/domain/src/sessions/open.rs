//! Beginning a session: its row, its socket ticket, the end of the sessions it replaces, and the audit line.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use super::{SessionOrigin, queries, revoke};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::{SessionId, UserId},
};

/// What a new session is made of. Secrets are hashed or encrypted already.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    pub token_hash: &'a [u8],
    /// Of the ticket that the messaging server's handshake takes.
    pub ticket_hash: &'a [u8],
    pub user_id: UserId,
    pub origin: SessionOrigin,
    pub upstream_secret: Option<&'a [u8]>,
    /// The same, encrypted for the ticket's holder.
    pub ticket_secret: Option<&'a [u8]>,
    /// [`super::hash_upstream_session`] or [`super::hash_provider_session`].
    pub upstream_session_hash: Option<&'a [u8]>,
    pub lifetime: Duration,
    /// Token hashes of the same browser's earlier sessions, which end now.
    pub replaces: &'a [Vec<u8>],
    pub client_address: Option<String>,
}

/// Begins a session; `None` when Authentik's own session was revoked here meanwhile. Also the ids of the sessions that
/// ended with it.
pub async fn open(pool: &PgPool, session: &NewSession<'_>) -> Result<Option<(SessionId, Vec<SessionId>)>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let mut ended = Vec::new();
    for token_hash in session.replaces {
        ended.extend(revoke::revoke_by_token(&mut transaction, token_hash).await?);
    }
    let Some(id) = queries::insert_session(&mut transaction, session).await? else { return Ok(None) };
    queries::insert_ticket(&mut transaction, session, id).await?;
    let record = AuditRecord {
        actor: AuditActor::User(session.user_id),
        table: "session",
        action: "log_in",
        subject_id: Some(id.to_string()),
        client_address: session.client_address.clone(),
        details: Some(json!({ "origin": session.origin.name() })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(Some((id, ended)))
}
