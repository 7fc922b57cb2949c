//! What the stand-in remembers: users, sessions, grants. One lock, no waiting while it is held.
//!
//! Sessions and tokens are kept as SHA-256 only, so the file of a sandbox holds none that could be replayed.

use std::{
    collections::HashMap,
    io::{Error, ErrorKind},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{AuthentikStandInSettings, Behaviour, flows::Plan, session_cookies, users::UserRecord};

/// Name of Authentik's session cookie.
pub(super) const SESSION_COOKIE: &str = "authentik_session";
/// Authentik's sessions end after two weeks.
const SESSION_DAYS: i64 = 14;

/// A browser's session, signed in or not, kept under the hash of its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    /// `pk` of the signed-in user.
    pub user: Option<i64>,
    pub created_at: DateTime<Utc>,
    #[serde(skip)]
    pub plan: Option<Plan>,
}

/// What a code, an access token or a refresh token stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub user: i64,
    /// Hash of the id of the session that granted it.
    pub session: Option<String>,
    pub scope: String,
    pub auth_time: i64,
    pub expires_at: i64,
}

impl Grant {
    pub(super) fn has_scope(&self, wanted: &str) -> bool {
        self.scope.split_whitespace().any(|scope| scope == wanted)
    }
}

/// An authorization code that waits to be exchanged.
#[derive(Clone, Debug)]
pub(super) struct PendingCode {
    pub grant: Grant,
    pub redirect_uri: String,
    pub nonce: Option<String>,
    pub code_challenge: String,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Store {
    pub users: Vec<UserRecord>,
    pub sessions: HashMap<String, Session>,
    pub refresh_tokens: HashMap<String, Grant>,
    #[serde(skip)]
    pub access_tokens: HashMap<String, Grant>,
    #[serde(skip)]
    pub codes: HashMap<String, PendingCode>,
    #[serde(skip)]
    pub behaviour: Behaviour,
    /// Users written by the enrolment flow since the start.
    #[serde(skip)]
    pub enrolments: usize,
    /// How often the signing key was rotated since the start.
    #[serde(skip)]
    pub key_generation: usize,
    #[serde(skip)]
    pub back_channel_logout_url: Option<String>,
}

impl Store {
    /// Reads what [`Shared::save`] wrote; a missing file is an empty store.
    pub(super) fn load(path: &Path) -> std::io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        let mut store: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::new(ErrorKind::InvalidData, format!("{}: {error}", path.display())))?;
        let oldest = Utc::now() - TimeDelta::days(SESSION_DAYS);
        store.sessions.retain(|_, session| session.user.is_some() && session.created_at > oldest);
        let now = Utc::now().timestamp();
        store.refresh_tokens.retain(|_, grant| grant.expires_at > now);
        Ok(store)
    }

    pub(super) fn user(&self, pk: i64) -> Option<&UserRecord> {
        self.users.iter().find(|user| user.public.pk == pk)
    }

    pub(super) fn user_named(&self, username: &str) -> Option<&UserRecord> {
        self.users.iter().find(|user| user.public.username == username)
    }

    /// The active user whose session the request's cookie names, with the hash of that cookie.
    pub(super) fn signed_in(&self, headers: &HeaderMap) -> Option<(String, &UserRecord)> {
        let hash = session_key(&session_cookie(headers)?);
        let user = self.user(self.sessions.get(&hash)?.user?)?;
        user.public.is_active.then_some((hash, user))
    }

    /// Opens a session and returns the value of its cookie.
    pub(super) fn open_session(&mut self, user: Option<i64>) -> String {
        let id = random_hex();
        self.sessions.insert(hash(&id), Session { user, created_at: Utc::now(), plan: None });
        if let Some(record) = self.users.iter_mut().find(|record| Some(record.public.pk) == user) {
            record.last_login = Some(Utc::now());
        }
        session_cookies::sign(&id, user.is_some())
    }

    /// Ends a session and the access tokens it granted; refresh tokens outlive it, as at Authentik.
    pub(super) fn close_session(&mut self, hash: &str) {
        self.sessions.remove(hash);
        self.access_tokens.retain(|_, grant| grant.session.as_deref() != Some(hash));
        self.codes.retain(|_, code| code.grant.session.as_deref() != Some(hash));
    }

    /// The hashes of the ids of a user's sessions.
    pub(super) fn sessions_of(&self, pk: i64) -> Vec<String> {
        let mut hashes: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.user == Some(pk))
            .map(|(hash, _)| hash.clone())
            .collect();
        hashes.sort();
        hashes
    }
}

/// What every handler shares.
pub(super) struct Shared {
    pub settings: AuthentikStandInSettings,
    /// Without a trailing slash.
    pub base_url: String,
    store: Mutex<Store>,
}

impl Shared {
    pub(super) fn new(settings: AuthentikStandInSettings, base_url: String, store: Store) -> Self {
        Self { settings, base_url, store: Mutex::new(store) }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `https://host/application/o/<slug>/`, with the trailing slash that is part of it.
    pub(super) fn issuer(&self) -> String {
        format!("{}/application/o/{}/", self.base_url, self.settings.application_slug)
    }

    /// Writes users, sessions and refresh tokens to the file of the settings, if there is one.
    pub(super) fn save(&self, store: &Store) {
        let Some(path) = &self.settings.persist else { return };
        if let Err(error) = write(path, store) {
            tracing::warn!(%error, path = %path.display(), "the Authentik stand-in could not save its users");
        }
    }

    /// A `Set-Cookie` value; like Authentik, cross-site only where https makes that possible.
    pub(super) fn set_cookie(&self, value: &str) -> String {
        format!("{SESSION_COOKIE}={value}; HttpOnly; Path=/; {}", self.same_site())
    }

    /// A `Set-Cookie` value that removes the session cookie.
    pub(super) fn clear_cookie(&self) -> String {
        let expired = "expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0";
        format!("{SESSION_COOKIE}=\"\"; {expired}; HttpOnly; Path=/; {}", self.same_site())
    }

    fn same_site(&self) -> &'static str {
        if self.base_url.starts_with("https:") { "SameSite=None; Secure" } else { "SameSite=Lax" }
    }
}

fn write(path: &Path, store: &Store) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Renamed into place, so that a kill in between leaves the old file whole.
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, serde_json::to_vec_pretty(store)?)?;
    std::fs::rename(&unfinished, path)
}

/// The request's session cookie; the last one wins when there are several, as in Django.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, value)| *name == SESSION_COOKIE && !value.is_empty())
        .map(|(_, value)| value.trim_matches('"').to_owned())
        .next_back()
}

/// What the session of a cookie is kept under.
pub(super) fn session_key(cookie: &str) -> String {
    hash(&session_cookies::session_id(cookie).unwrap_or_else(|| cookie.to_owned()))
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// 256 random bits as hexadecimal digits.
pub(super) fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// SHA-256 as hexadecimal digits.
pub(super) fn hash(text: &str) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}
