//! Checks one session cookie: the row in the database, and Authentik's word when the last one is too old.

use std::{net::IpAddr, sync::Arc, time::Duration};

use freehunt_authentik::{SessionCookie, oidc::TokenState};
use freehunt_domain::{
    sessions::{
        self, SessionOrigin, SessionRow, Token, hash_upstream_session,
        queries::{self, NewSecrets},
        secrets::socket_ticket,
    },
    users::same_email,
};
use secrecy::{ExposeSecret, SecretString};

use super::{credentials::Credential, establish, failure::Failure, secrets::UpstreamSecret};
use crate::{extract::Session, state::AppState};

/// An entry is looked at anew in the database after this long, also when nothing was heard of it.
const LONGEST_USE: Duration = Duration::from_secs(30);
/// While Authentik is away it is asked again after this long.
const UNCONFIRMED_USE: Duration = Duration::from_secs(2);

/// A session that may be used for a while without being checked again.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) session: Arc<Session>,
    pub(super) usable_for: Duration,
}

/// The session of a cookie, checked now. `address` is whose limit an unknown cookie counts against.
pub(super) async fn check(
    state: &AppState,
    credential: &Credential,
    key: &[u8],
    address: IpAddr,
) -> Result<Checked, Failure> {
    let heard = state.sessions.heard();
    let checked = match find(state, key).await? {
        Some(row) => check_row(state, credential, key, row).await?,
        None => match credential {
            Credential::Upstream(cookie) => adopt(state, cookie, key, address).await?,
            _ => return Err(Failure::Refused),
        },
    };
    // Heard of an ending while Authentik was asked: was it this one?
    if state.sessions.heard() != heard && find(state, key).await?.is_none() {
        return Err(Failure::Refused);
    }
    Ok(checked)
}

async fn find(state: &AppState, key: &[u8]) -> Result<Option<SessionRow>, sqlx::Error> {
    let mut connection = state.connection().await?;
    let found = queries::find_session(&mut connection, key).await?;
    connection.finish();
    Ok(found)
}

async fn check_row(state: &AppState, credential: &Credential, key: &[u8], row: SessionRow) -> Result<Checked, Failure> {
    let config = &state.config.sessions;
    let age = row.confirmation_age();
    if age < config.revalidate_after {
        return Ok(confirmed(&row, config.revalidate_after - age));
    }
    // On a task of its own: a browser that goes away half-way must not lose tokens that were just renewed.
    let confirmation = {
        let (state, credential, row) = (state.clone(), credential.clone(), row.clone());
        tokio::spawn(async move { confirm(&state, &credential, &row).await }).await
    };
    match confirmation.map_err(|_| Failure::Internal("the confirmation of a session broke off"))? {
        Ok(()) => Ok(confirmed(&row, config.revalidate_after)),
        Err(Failure::Refused) => {
            sessions::revoke_refused(&state.pool, key, "refused_by_provider").await?;
            state.sessions.forget(&[row.id]).await;
            Err(Failure::Refused)
        }
        Err(Failure::Unavailable(reason)) if age <= config.grace => {
            tracing::warn!(reason, "a session could not be confirmed and lives on for a while");
            Ok(Checked { session: Arc::new(session(&row, false)), usable_for: UNCONFIRMED_USE })
        }
        Err(failure) => Err(failure),
    }
}

fn confirmed(row: &SessionRow, still_confirmed_for: Duration) -> Checked {
    let usable_for = LONGEST_USE.min(still_confirmed_for).min(row.expires_in());
    Checked { session: Arc::new(session(row, true)), usable_for }
}

fn session(row: &SessionRow, is_confirmed: bool) -> Session {
    Session {
        id: Some(row.id),
        user_id: row.user_id,
        email: row.email.clone(),
        username: row.username.clone(),
        role: row.role,
        is_confirmed,
    }
}

/// Asks Authentik whether the session still is this user's, and notes that it is.
async fn confirm(state: &AppState, credential: &Credential, row: &SessionRow) -> Result<(), Failure> {
    let cookie = match (credential, row.origin) {
        (Credential::Upstream(cookie), SessionOrigin::Authentik) => cookie.clone(),
        (Credential::Session(token), SessionOrigin::Form | SessionOrigin::Oidc) => {
            let sealed = row.upstream_secret.as_deref().ok_or(Failure::Refused)?;
            match UpstreamSecret::open(token.as_str(), sealed).ok_or(Failure::Refused)? {
                UpstreamSecret::Cookie { value } => SessionCookie::new(value),
                tokens => return confirm_tokens(state, token, row, tokens).await,
            }
        }
        _ => return Err(Failure::Refused),
    };
    confirm_cookie(state, &cookie, row).await?;
    let for_empty_ticket = credential
        .socket_ticket()
        .and_then(|ticket| UpstreamSecret::Cookie { value: cookie.expose().to_owned() }.seal(ticket.as_str()));
    note(state, row, NewSecrets { for_empty_ticket: for_empty_ticket.as_deref(), ..NewSecrets::default() }).await
}

async fn note(state: &AppState, row: &SessionRow, secrets: NewSecrets<'_>) -> Result<(), Failure> {
    let mut connection = state.connection().await?;
    let is_live = queries::confirm_session(&mut connection, row.id, secrets).await?;
    connection.finish();
    if is_live { Ok(()) } else { Err(Failure::Refused) }
}

async fn confirm_cookie(state: &AppState, cookie: &SessionCookie, row: &SessionRow) -> Result<(), Failure> {
    let identity = state.authentik.who_is(cookie).await?.ok_or(Failure::Refused)?;
    is_same_person(row, &identity.uid, Some(&identity.email))
}

fn is_same_person(row: &SessionRow, uid: &str, email: Option<&str>) -> Result<(), Failure> {
    let email_agrees = email.is_none_or(|email| email.is_empty() || same_email(email, &row.email));
    if row.authentik_uid.as_deref() == Some(uid) && email_agrees {
        return Ok(());
    }
    tracing::warn!(session = %row.id, "Authentik names somebody else for a session");
    Err(Failure::Refused)
}

/// The messaging server renews tokens too, and leaves them with the ticket: those are the newest.
async fn confirm_tokens(
    state: &AppState,
    token: &Token,
    row: &SessionRow,
    with_session: UpstreamSecret,
) -> Result<(), Failure> {
    let ticket = socket_ticket(token.as_str());
    let mut connection = state.connection().await?;
    let holder = queries::find_ticket_holder(&mut connection, &ticket.hash()).await?;
    connection.finish();
    let sealed = holder.and_then(|holder| holder.upstream_secret);
    let with_ticket = sealed.as_deref().and_then(|sealed| UpstreamSecret::open(ticket.as_str(), sealed));
    let newest = with_ticket.unwrap_or(with_session);
    let UpstreamSecret::Tokens { access, refresh, .. } = &newest else { return Err(Failure::Refused) };
    let refresh = refresh.clone().map(SecretString::from);
    match state.oidc.confirm(&SecretString::from(access.clone()), refresh.as_ref()).await? {
        TokenState::Good(info) => {
            is_same_person(row, &info.subject, info.email.as_deref())?;
            let for_empty_ticket = if sealed.is_none() { newest.seal(ticket.as_str()) } else { None };
            note(state, row, NewSecrets { for_empty_ticket: for_empty_ticket.as_deref(), ..NewSecrets::default() })
                .await
        }
        TokenState::Renewed(tokens) => {
            if let Some(subject) = &tokens.subject {
                is_same_person(row, subject, None)?;
            }
            let renewed = newest.renewed(
                tokens.access_token.expose_secret(),
                tokens.refresh_token.as_ref().map(ExposeSecret::expose_secret),
                tokens.id_token.as_ref().map(ExposeSecret::expose_secret),
            );
            let (for_session, for_ticket) = (renewed.seal(token.as_str()), renewed.seal(ticket.as_str()));
            let secrets = NewSecrets {
                for_session: for_session.as_deref(),
                for_ticket: for_ticket.as_deref(),
                ..NewSecrets::default()
            };
            note(state, row, secrets).await
        }
        TokenState::Over => {
            let renewed = sessions::is_renewed_elsewhere(&state.pool, &ticket.hash(), sealed.as_deref()).await?;
            if renewed { Ok(()) } else { Err(Failure::Refused) }
        }
    }
}

/// A cookie of Authentik's own, as the users of the original have one: it becomes a session here.
async fn adopt(state: &AppState, cookie: &SessionCookie, key: &[u8], address: IpAddr) -> Result<Checked, Failure> {
    let outcome = try_adopt(state, cookie, key, address).await;
    if matches!(outcome, Err(Failure::Refused)) {
        state.sessions.remember_refusal(key).await;
    }
    outcome
}

async fn try_adopt(state: &AppState, cookie: &SessionCookie, key: &[u8], address: IpAddr) -> Result<Checked, Failure> {
    state.login_limits.adopt_from(address).map_err(Failure::TooMany)?;
    let mut connection = state.connection().await?;
    // By its cookie alone it was known before its cookies were told from itself.
    let hashes = [hash_upstream_session(cookie.expose()), key.to_vec()];
    let is_revoked = queries::is_upstream_revoked(&mut connection, &hashes).await?;
    connection.finish();
    if is_revoked {
        return Err(Failure::Refused);
    }
    let turn = tokio::time::timeout(state.config.authentik.timeout, state.sessions.adoptions.acquire()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(Failure::Unavailable("too many unknown cookies are being asked about".to_owned()));
    };
    let identity = state.authentik.who_is(cookie).await?.ok_or(Failure::Refused)?;
    drop(turn);
    establish::adopt(state, cookie, key, &identity, address).await?;
    let row = find(state, key).await?.ok_or(Failure::Refused)?;
    Ok(confirmed(&row, state.config.sessions.revalidate_after))
}
