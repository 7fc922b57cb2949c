//! The login form: limits, Authentik's flow, whose user it is, a new session.

use std::net::IpAddr;

use axum::http::HeaderMap;
use freehunt_authentik::LogIn;
use freehunt_domain::{
    ids::UserId,
    sessions::{self, hash_secret},
    users::{self, RegistrationProof},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    cookies::SetCookies,
    credentials::Credential,
    establish::{self, SignIn},
    failure::Failure,
    limits::AccountKey,
};
use crate::{
    error::{ApiError, ApiResult},
    state::AppState,
};

/// Who asks to be let in, from where.
pub struct LogInRequest<'a> {
    /// An address or a user name.
    pub identifier: &'a str,
    pub password: &'a SecretString,
    pub headers: &'a HeaderMap,
    pub address: IpAddr,
}

pub enum LogInOutcome {
    Begun(SetCookies),
    /// Wrong credentials, or right ones of somebody who is no user here: both look the same.
    Refused,
    /// This account was tried too often just now.
    TooMany,
    /// Authentik wants something that only its own pages can ask for, such as a second factor.
    NotAnswerableHere,
}

pub async fn log_in(state: &AppState, request: LogInRequest<'_>) -> ApiResult<LogInOutcome> {
    state.login_limits.log_in_from(request.address).map_err(ApiError::too_many_requests)?;
    let account = aimed_at(state, request.identifier).await?;
    let key = account_key(state, account, &request).await?;
    if state.login_limits.log_in_to(&key).is_err() {
        establish::note_refusal(state, "too_many", account, Some(request.address)).await?;
        return Ok(LogInOutcome::TooMany);
    }
    // Authentik answers both with an error of the field; nothing could match.
    if request.identifier.is_empty() || request.password.expose_secret().is_empty() {
        return Ok(LogInOutcome::Refused);
    }
    let refusal = match state.authentik.log_in(request.identifier, request.password).await.map_err(Failure::from)? {
        LogIn::Success { session, identity } => {
            let identity = establish::provider_identity(&identity, request.address);
            let proof = RegistrationProof::Password(request.password.expose_secret());
            match establish::resolve(state, identity, Some(proof)).await {
                Ok(user) => {
                    let sign_in = SignIn::by_form(&user, &session, request.headers, request.address);
                    return Ok(LogInOutcome::Begun(establish::begin(state, sign_in).await?));
                }
                Err(Failure::Refused) => {
                    establish::end_upstream(state, &session).await;
                    return Ok(LogInOutcome::Refused);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        LogIn::Refused(_) => ("wrong_credentials", LogInOutcome::Refused),
        LogIn::Denied { .. } => ("denied", LogInOutcome::Refused),
        LogIn::NotAnswerableHere { .. } => ("not_answerable_here", LogInOutcome::NotAnswerableHere),
    };
    establish::note_refusal(state, refusal.0, account, Some(request.address)).await?;
    Ok(refusal.1)
}

async fn aimed_at(state: &AppState, identifier: &str) -> ApiResult<Option<UserId>> {
    let mut connection = state.connection().await?;
    Ok(users::queries::find_user_by_identifier(&mut connection, identifier).await?)
}

/// Address and user name of one user are one account. A browser that holds a session of it, even an old one, is known.
async fn account_key(state: &AppState, account: Option<UserId>, request: &LogInRequest<'_>) -> ApiResult<AccountKey> {
    let Some(user_id) = account else {
        let account = hash_secret(&request.identifier.to_lowercase());
        return Ok(AccountKey { account, is_known_browser: false });
    };
    let mut is_known_browser = false;
    for hash in Credential::past_and_present(request.headers, state.config.frontend.secure_cookies) {
        let mut connection = state.connection().await?;
        let past = sessions::queries::find_past_user(&mut connection, &hash).await?;
        is_known_browser |= past == Some(user_id);
    }
    Ok(AccountKey { account: user_id.0.as_bytes().to_vec(), is_known_browser })
}

impl super::LoginLimiter {
    /// Counts an attempt with a password that comes with a registration.
    pub(super) fn log_in_while_registering(&self, username: &str) -> Result<(), u32> {
        self.log_in_to(&AccountKey { account: hash_secret(&username.to_lowercase()), is_known_browser: false })
    }
}
