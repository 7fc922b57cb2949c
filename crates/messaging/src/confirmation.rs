//! Asks Authentik about sessions that only sockets use, as the HTTP API does about those that it serves: at least every
//! minute while a socket is open, and before a handshake when its last word is too old.
//!
//! It takes Authentik's cookie, which lies beside the ticket. A session that began by OpenID Connect has none: its
//! provider announces its end to the HTTP API.

use std::{sync::Arc, time::Duration};

use freehunt_authentik::{Identity, SessionCookie, Unavailable};
use freehunt_domain::{
    ids::SessionId,
    sessions::{self, TicketHolder, Token, queries, secrets::UpstreamSecret},
    users::same_email,
};
use futures_util::{StreamExt, stream};

use crate::{auth::Recognised, state::MessagingState};

/// Sessions that are asked about at once.
const AT_ONCE: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum ConfirmationError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("Authentik: {0}")]
    Authentik(#[from] Unavailable),
}

/// Authentik's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Confirmed,
    /// The session has ended with it.
    Refused,
    /// There is nothing to ask with.
    NotAsked,
}

/// Whether a socket may open: Authentik's word is not older than the grace, or it has just been given anew.
pub async fn is_good(state: &MessagingState, recognised: &Recognised) -> Result<bool, ConfirmationError> {
    if recognised.confirmation_age <= state.config.sessions.grace {
        return Ok(true);
    }
    Ok(confirm(state, &recognised.ticket).await? != Answer::Refused)
}

/// A session whose confirmation is old.
pub struct Stale {
    pub session: SessionId,
    pub ticket: Arc<Token>,
    pub age: Duration,
}

/// Asks about all of them. The sockets of those whose last confirmation is older than the grace are cut while Authentik
/// is away; those of the refused end when the revocation is heard of.
pub async fn confirm_all(state: &MessagingState, stale: Vec<Stale>) {
    stream::iter(stale)
        .for_each_concurrent(AT_ONCE, |stale| async move {
            let Err(error) = confirm(state, &stale.ticket).await else { return };
            metrics::counter!("freehunt_session_confirmations_total", "answer" => "none").increment(1);
            tracing::debug!(%error, session = %stale.session, "a session could not be confirmed");
            if stale.age > state.config.sessions.grace {
                for client in state.registry.of_session(stale.session) {
                    client.cut("its session is not confirmed any more");
                }
            }
        })
        .await;
}

async fn confirm(state: &MessagingState, ticket: &Token) -> Result<Answer, ConfirmationError> {
    let mut connection = state.pool.acquire().await?;
    let holder = queries::find_ticket_holder(&mut connection, &ticket.hash()).await?;
    drop(connection);
    let Some(holder) = holder else { return Ok(Answer::NotAsked) };
    let secret = holder.upstream_secret.as_deref().and_then(|sealed| UpstreamSecret::open(ticket.as_str(), sealed));
    let Some(UpstreamSecret::Cookie { value }) = secret else { return Ok(Answer::NotAsked) };
    let identity = state.authentik.who_is(&SessionCookie::new(value)).await?;
    if identity.is_some_and(|identity| is_same_person(&holder, &identity)) {
        let mut connection = state.pool.acquire().await?;
        let is_live = queries::confirm_session(&mut connection, holder.session_id, None).await?;
        metrics::counter!("freehunt_session_confirmations_total", "answer" => "confirmed").increment(1);
        return Ok(if is_live { Answer::Confirmed } else { Answer::Refused });
    }
    sessions::revoke_refused_session(&state.pool, holder.session_id, "refused_by_provider").await?;
    metrics::counter!("freehunt_session_confirmations_total", "answer" => "refused").increment(1);
    Ok(Answer::Refused)
}

fn is_same_person(holder: &TicketHolder, identity: &Identity) -> bool {
    let email_agrees = identity.email.is_empty() || same_email(&identity.email, &holder.email);
    holder.authentik_uid.as_deref() == Some(identity.uid.as_str()) && email_agrees
}
