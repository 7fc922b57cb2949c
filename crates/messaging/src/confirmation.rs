//! Asks Authentik about sessions that only sockets use, as the HTTP API does about those that it serves: at least every
//! minute while a socket is open, and before a handshake when its last word is too old.
//!
//! It asks with Authentik's cookie, or with the tokens of a session that began by OpenID Connect; either lies beside the
//! ticket.

use std::{sync::Arc, time::Duration};

use freehunt_authentik::{
    SessionCookie, Unavailable,
    oidc::{OidcError, TokenState},
};
use freehunt_domain::{
    ids::SessionId,
    sessions::{
        self, TicketHolder, Token,
        queries::{self, NewSecrets},
        secrets::UpstreamSecret,
    },
    users::same_email,
};
use futures_util::{StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};

use crate::{auth::Recognised, state::MessagingState};

/// Sessions that are asked about at once.
const AT_ONCE: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum ConfirmationError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("Authentik: {0}")]
    Authentik(#[from] Unavailable),
    #[error("OpenID Connect: {0}")]
    Oidc(#[from] OidcError),
    #[error("the confirmation broke off")]
    BrokenOff,
}

/// Authentik's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Confirmed,
    /// The session has ended, perhaps just now.
    Refused,
    /// There is nothing to ask with.
    NotAsked,
}

/// Whether a socket may open: Authentik's word is not older than the grace, or it has just been given anew.
pub async fn is_good(state: &MessagingState, recognised: &Recognised) -> Result<bool, ConfirmationError> {
    if recognised.confirmation_age <= state.config.sessions.grace {
        return Ok(true);
    }
    Ok(confirm(state, Arc::clone(&recognised.ticket)).await? == Answer::Confirmed)
}

/// A session whose confirmation is old.
pub struct Stale {
    pub session: SessionId,
    pub ticket: Arc<Token>,
    pub age: Duration,
}

/// Asks about all of them. Sockets of the refused end; those whose last confirmation is older than the grace are cut
/// while Authentik is away, or cannot be asked. Asks about no more of them once the server stops.
pub async fn confirm_all(state: &MessagingState, stale: Vec<Stale>) {
    stream::iter(stale)
        .for_each_concurrent(AT_ONCE, |stale| async move {
            if state.readiness.is_closing() {
                return;
            }
            match confirm(state, stale.ticket).await {
                Ok(Answer::Confirmed) => return,
                Ok(Answer::Refused) => {
                    for client in state.registry.of_session(stale.session) {
                        client.expel("its session has ended");
                    }
                    return;
                }
                Ok(Answer::NotAsked) => {
                    tracing::debug!(session = %stale.session, "nobody can be asked about a session")
                }
                Err(error) => tracing::debug!(%error, session = %stale.session, "a session could not be confirmed"),
            }
            metrics::counter!("freehunt_session_confirmations_total", "answer" => "none").increment(1);
            if stale.age > state.config.sessions.grace {
                for client in state.registry.of_session(stale.session) {
                    client.cut("its session is not confirmed any more");
                }
            }
        })
        .await;
}

/// On a task of its own, which whoever asks may leave: a refresh token is used up as soon as the provider has answered,
/// and what it was renewed to must be written.
async fn confirm(state: &MessagingState, ticket: Arc<Token>) -> Result<Answer, ConfirmationError> {
    let under_way = Arc::clone(&state.confirmations).read_owned().await;
    let state = state.clone();
    let confirming = tokio::spawn(async move {
        let answer = ask(&state, &ticket).await;
        drop(under_way);
        answer
    });
    confirming.await.map_err(|_| ConfirmationError::BrokenOff)?
}

async fn ask(state: &MessagingState, ticket: &Token) -> Result<Answer, ConfirmationError> {
    let mut connection = state.pool.acquire().await?;
    let holder = queries::find_ticket_holder(&mut connection, &ticket.hash()).await?;
    drop(connection);
    // Only live sessions are found.
    let Some(holder) = holder else { return Ok(Answer::Refused) };
    let secret = holder.upstream_secret.as_deref().and_then(|sealed| UpstreamSecret::open(ticket.as_str(), sealed));
    match secret {
        None => Ok(Answer::NotAsked),
        Some(UpstreamSecret::Cookie { value }) => {
            let identity = state.authentik.who_is(&SessionCookie::new(value)).await?;
            let is_good =
                identity.is_some_and(|identity| is_same_person(&holder, &identity.uid, Some(&identity.email)));
            conclude(state, &holder, is_good, None).await
        }
        Some(tokens) => confirm_tokens(state, ticket, &holder, tokens).await,
    }
}

async fn confirm_tokens(
    state: &MessagingState,
    ticket: &Token,
    holder: &TicketHolder,
    held: UpstreamSecret,
) -> Result<Answer, ConfirmationError> {
    let UpstreamSecret::Tokens { access, refresh, .. } = &held else { return Ok(Answer::NotAsked) };
    let refresh = refresh.clone().map(SecretString::from);
    match state.oidc.confirm(&SecretString::from(access.clone()), refresh.as_ref()).await? {
        TokenState::Good(info) => {
            let is_good = is_same_person(holder, &info.subject, info.email.as_deref());
            conclude(state, holder, is_good, None).await
        }
        TokenState::Renewed(tokens) => {
            let is_good = tokens.subject.as_deref().is_none_or(|subject| is_same_person(holder, subject, None));
            let renewed = held.renewed(
                tokens.access_token.expose_secret(),
                tokens.refresh_token.as_ref().map(ExposeSecret::expose_secret),
                tokens.id_token.as_ref().map(ExposeSecret::expose_secret),
            );
            conclude(state, holder, is_good, renewed.seal(ticket.as_str()).as_deref()).await
        }
        TokenState::Over => {
            let seen = holder.upstream_secret.as_deref();
            if sessions::is_renewed_elsewhere(&state.pool, &ticket.hash(), seen).await? {
                return Ok(Answer::Confirmed);
            }
            conclude(state, holder, false, None).await
        }
    }
}

/// Notes what Authentik said.
async fn conclude(
    state: &MessagingState,
    holder: &TicketHolder,
    is_good: bool,
    for_ticket: Option<&[u8]>,
) -> Result<Answer, ConfirmationError> {
    if is_good {
        let mut connection = state.pool.acquire().await?;
        let secrets = NewSecrets { for_ticket, ..NewSecrets::default() };
        let is_live = queries::confirm_session(&mut connection, holder.session_id, secrets).await?;
        metrics::counter!("freehunt_session_confirmations_total", "answer" => "confirmed").increment(1);
        return Ok(if is_live { Answer::Confirmed } else { Answer::Refused });
    }
    sessions::revoke_refused_session(&state.pool, holder.session_id, "refused_by_provider").await?;
    metrics::counter!("freehunt_session_confirmations_total", "answer" => "refused").increment(1);
    Ok(Answer::Refused)
}

fn is_same_person(holder: &TicketHolder, uid: &str, email: Option<&str>) -> bool {
    let email_agrees = email.is_none_or(|email| email.is_empty() || same_email(email, &holder.email));
    holder.authentik_uid.as_deref() == Some(uid) && email_agrees
}
