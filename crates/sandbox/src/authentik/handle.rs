//! What tests and the sandbox do to the stand-in from outside HTTP: what an administrator of Authentik could do.
//!
//! A method that names a user who does not exist panics at its caller: that is a mistake in the test.

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use http::StatusCode;

use super::{
    AuthentikStandIn, AuthentikStandInSettings, Behaviour, session_cookies,
    state::{Grant, Store, hash},
    tokens::{self, TokenOptions},
    users::{self, NewUser, PasswordHash, StandInUser, UserRecord, UserRefused},
};
use crate::stand_in::Controls;

/// Scopes of the tokens made for tests.
const TEST_SCOPE: &str = "openid email profile";
/// Time for the receiver of a back-channel logout to answer.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);

impl AuthentikStandIn {
    /// Base URL without a trailing slash: the public one of the settings, or the listener's.
    pub fn url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// The OpenID Connect issuer, with its trailing slash.
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    pub fn controls(&self) -> &Controls {
        &self.running.controls
    }

    pub fn settings(&self) -> &AuthentikStandInSettings {
        &self.shared.settings
    }

    /// Makes a user; refused by the rules of enrolment unless `new.skip_rules`, and always for a taken user name.
    pub fn add_user(&self, new: NewUser) -> Result<StandInUser, UserRefused> {
        let password = PasswordHash::new(&new.password);
        let mut store = self.shared.store();
        let user = users::insert(&mut store, new, password)?;
        self.shared.save(&store);
        Ok(user)
    }

    /// The user with this name, made if there is none yet: a second start of the sandbox finds its accounts.
    pub fn ensure_user(&self, new: NewUser) -> Result<StandInUser, UserRefused> {
        match self.user(&new.username) {
            Some(user) => Ok(user),
            None => self.add_user(new),
        }
    }

    pub fn users(&self) -> Vec<StandInUser> {
        self.shared.store().users.iter().map(|user| user.public.clone()).collect()
    }

    /// The user with exactly this user name.
    pub fn user(&self, username: &str) -> Option<StandInUser> {
        self.shared.store().user_named(username).map(|user| user.public.clone())
    }

    /// How many users the enrolment flow has written since the start.
    pub fn enrolments(&self) -> usize {
        self.shared.store().enrolments
    }

    /// Deactivates a user, which ends their sessions and tokens.
    #[track_caller]
    pub fn deactivate(&self, username: &str) {
        let pk = self.change(username, |user| user.public.is_active = false);
        let mut store = self.shared.store();
        end_sessions(&mut store, pk);
        store.access_tokens.retain(|_, grant| grant.user != pk);
        store.refresh_tokens.retain(|_, grant| grant.user != pk);
        self.shared.save(&store);
    }

    #[track_caller]
    pub fn reactivate(&self, username: &str) {
        self.change(username, |user| user.public.is_active = true);
    }

    /// Changes the e-mail, without any rule about it.
    #[track_caller]
    pub fn set_email(&self, username: &str, email: &str) {
        self.change(username, |user| email.clone_into(&mut user.public.email));
    }

    #[track_caller]
    pub fn set_password(&self, username: &str, password: &str) {
        let password = PasswordHash::new(password);
        self.change(username, |user| user.password = password);
    }

    /// The cookie value of a new session, as Authentik itself gives at a login.
    #[track_caller]
    pub fn session_for(&self, username: &str) -> String {
        let pk = self.known(username).pk;
        let mut store = self.shared.store();
        let cookie = store.open_session(Some(pk));
        self.shared.save(&store);
        cookie
    }

    /// Another cookie of the session of this one, as Authentik issues when something about the session changes.
    #[track_caller]
    pub fn reissued_cookie(&self, cookie: &str) -> String {
        let id =
            session_cookies::session_id(cookie).unwrap_or_else(|| panic!("the stand-in did not issue that cookie"));
        session_cookies::sign(&id, false)
    }

    /// How many sessions of this user are open.
    #[track_caller]
    pub fn open_sessions(&self, username: &str) -> usize {
        let pk = self.known(username).pk;
        self.shared.store().sessions_of(pk).len()
    }

    /// Ends all sessions of a user, as an administrator does. Sends no back-channel logout by itself.
    #[track_caller]
    pub fn end_all_sessions(&self, username: &str) {
        let pk = self.known(username).pk;
        let mut store = self.shared.store();
        end_sessions(&mut store, pk);
        self.shared.save(&store);
    }

    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.store().behaviour = behaviour;
    }

    /// From now on tokens are signed with another key under another id, and only that one is published.
    pub fn rotate_signing_key(&self) {
        self.shared.store().key_generation += 1;
    }

    /// A good access token of the configured application.
    #[track_caller]
    pub fn access_token_for(&self, username: &str) -> String {
        self.access_token_with(username, &TokenOptions::default())
    }

    /// An access token that differs from a good one as `options` say.
    #[track_caller]
    pub fn access_token_with(&self, username: &str, options: &TokenOptions) -> String {
        let user = self.known(username);
        let mut store = self.shared.store();
        let now = Utc::now().timestamp();
        let session = store.sessions_of(user.pk).into_iter().next();
        let expires_at = now + options.lifetime_seconds;
        let grant = Grant { user: user.pk, session, scope: TEST_SCOPE.to_owned(), auth_time: now, expires_at };
        let token = tokens::access_token(&self.shared, store.key_generation, &user, &grant, options);
        store.access_tokens.insert(hash(&token), grant);
        token
    }

    /// Where back-channel logouts are sent.
    pub fn set_back_channel_logout_url(&self, url: Option<String>) {
        self.shared.store().back_channel_logout_url = url;
    }

    /// The logout tokens that ending this user's sessions would send: one a session (`sub` and `sid`), or one for the
    /// user (`sub` only) who has none.
    #[track_caller]
    pub fn logout_tokens_for(&self, username: &str) -> Vec<String> {
        let user = self.known(username);
        let store = self.shared.store();
        let sessions = store.sessions_of(user.pk);
        let token = |session: Option<&str>| tokens::logout_token(&self.shared, store.key_generation, &user, session);
        if sessions.is_empty() {
            return vec![token(None)];
        }
        sessions.iter().map(|session| token(Some(session))).collect()
    }

    /// Posts the user's logout tokens to the configured address; the statuses it answered.
    pub async fn send_back_channel_logout(&self, username: &str) -> anyhow::Result<Vec<StatusCode>> {
        let url = self.shared.store().back_channel_logout_url.clone().context("no back-channel logout URL is set")?;
        // An error says that another provider is installed already, which serves as well.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(LOGOUT_TIMEOUT).build()?;
        let mut statuses = Vec::new();
        for token in self.logout_tokens_for(username) {
            statuses.push(client.post(&url).form(&[("logout_token", token)]).send().await?.status());
        }
        Ok(statuses)
    }

    #[track_caller]
    fn known(&self, username: &str) -> StandInUser {
        self.user(username).unwrap_or_else(|| panic!("the Authentik stand-in has no user {username:?}"))
    }

    #[track_caller]
    fn change(&self, username: &str, change: impl FnOnce(&mut UserRecord)) -> i64 {
        let pk = self.known(username).pk;
        let mut store = self.shared.store();
        if let Some(user) = store.users.iter_mut().find(|user| user.public.pk == pk) {
            change(user);
        }
        self.shared.save(&store);
        pk
    }
}

fn end_sessions(store: &mut Store, pk: i64) {
    for session in store.sessions_of(pk) {
        store.close_session(&session);
    }
}
