//! Users: their records and passwords, the rules for new ones, and Authentik's `core/users` API.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::state::{Shared, Store, bearer, random_hex};

/// Enough to show that passwords are not kept; low, because tests log in hundreds of times unoptimised.
const HASH_ROUNDS: NonZeroU32 = NonZeroU32::new(2_000).expect("not zero");
/// First key given; a fresh Authentik has a handful of users of its own.
const FIRST_PK: i64 = 10;
/// Authentik's page size when none is asked for.
const DEFAULT_PAGE_SIZE: usize = 20;
/// A 1x1 SVG; Authentik sends initials as a data URI.
pub(super) const AVATAR: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=";
/// The group that the enrolment flow puts users in.
const GROUP_NAME: &str = "freehunt-users";
const GROUP_PK: &str = "5f0c8d52-6a0e-4d0b-9a7e-0c4f2f9a7f11";

/// A user as Authentik knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandInUser {
    pub pk: i64,
    /// Stable for the life of the user: 64 hexadecimal digits. Also the OpenID Connect `sub`.
    pub uid: String,
    pub uuid: Uuid,
    pub username: String,
    pub email: String,
    pub name: String,
    pub is_active: bool,
}

/// A user to be made without going through the enrolment flow.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub password: String,
    pub name: String,
    /// `None` draws a random one.
    pub uid: Option<String>,
    /// Allows what the enrolment flow refuses: an e-mail used twice, an `@` in the user name.
    pub skip_rules: bool,
}

/// Why a user was not made: messages by field, as in `response_errors`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("refused: {0:?}")]
pub struct UserRefused(pub BTreeMap<String, String>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UserRecord {
    pub public: StandInUser,
    pub password: PasswordHash,
    pub date_joined: DateTime<Utc>,
    pub last_login: Option<DateTime<Utc>>,
    pub password_change_date: DateTime<Utc>,
}

/// A salted PBKDF2 hash, in hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PasswordHash {
    salt: String,
    hash: String,
}

impl PasswordHash {
    pub(super) fn new(password: &str) -> Self {
        let salt = random_hex();
        let mut hash = [0_u8; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, HASH_ROUNDS, salt.as_bytes(), password.as_bytes(), &mut hash);
        Self { salt, hash: hex::encode(hash) }
    }

    fn matches(&self, password: &str) -> bool {
        let Ok(expected) = hex::decode(&self.hash) else { return false };
        let (salt, password) = (self.salt.as_bytes(), password.as_bytes());
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, HASH_ROUNDS, salt, password, &expected).is_ok()
    }
}

/// The active user with this e-mail or user name and password. An unknown user costs as much time as a known one.
pub(super) fn authenticate(shared: &Shared, identifier: &str, password: &str) -> Option<StandInUser> {
    let found = identify(&shared.store(), identifier).cloned();
    // The hash is computed without the lock, because it takes long.
    let matches = match &found {
        Some(user) => user.password.matches(password),
        None => PasswordHash { salt: String::new(), hash: hex::encode([0; 32]) }.matches(password),
    };
    found.filter(|user| matches && user.public.is_active && !password.is_empty()).map(|user| user.public)
}

/// Authentik looks for e-mail or user name, ignoring case, and takes the first it finds.
pub(super) fn identify<'store>(store: &'store Store, identifier: &str) -> Option<&'store UserRecord> {
    store.users.iter().find(|user| same(&user.public.email, identifier) || same(&user.public.username, identifier))
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// What the enrolment rules say against a user name and an e-mail, by field.
pub(super) fn rule_errors(store: &Store, username: &str, email: &str) -> BTreeMap<String, String> {
    let mut errors = BTreeMap::new();
    if username.contains('@') {
        errors.insert("username".to_owned(), "Username must not contain '@'.".to_owned());
    } else if store.users.iter().any(|user| same(&user.public.username, username)) {
        errors.insert("username".to_owned(), "Username is already taken.".to_owned());
    }
    if store.users.iter().any(|user| same(&user.public.email, email)) {
        errors.insert("email".to_owned(), "Email already taken".to_owned());
    }
    errors
}

/// Adds a user; two users never share a user name, whatever `new.skip_rules` says.
pub(super) fn insert(store: &mut Store, new: NewUser, password: PasswordHash) -> Result<StandInUser, UserRefused> {
    let mut errors = rule_errors(store, &new.username, &new.email);
    if new.skip_rules {
        let taken = store.user_named(&new.username).is_some();
        errors.retain(|field, _| taken && field == "username");
    }
    if !errors.is_empty() {
        return Err(UserRefused(errors));
    }
    let now = Utc::now();
    let public = StandInUser {
        pk: store.users.iter().map(|user| user.public.pk + 1).max().unwrap_or(FIRST_PK),
        uid: new.uid.unwrap_or_else(random_hex),
        uuid: Uuid::new_v4(),
        username: new.username,
        email: new.email,
        name: new.name,
        is_active: true,
    };
    store.users.push(UserRecord {
        public: public.clone(),
        password,
        date_joined: now,
        last_login: None,
        password_change_date: now,
    });
    Ok(public)
}

/// `GET /api/v3/core/users/me/`: the user of the session cookie, or the administrator of the API token.
pub(super) async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(token) = bearer(&headers) {
        return match token == shared.settings.admin_token {
            true => Json(json!({ "user": administrator() })).into_response(),
            false => forbidden("Token invalid/expired"),
        };
    }
    match shared.store().signed_in(&headers) {
        Some((_, user)) => Json(json!({ "user": own_user(&user.public) })).into_response(),
        None => forbidden("Authentication credentials were not provided."),
    }
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    page: Option<usize>,
    page_size: Option<usize>,
    email: Option<String>,
    username: Option<String>,
    search: Option<String>,
    is_active: Option<bool>,
}

impl ListQuery {
    fn wants(&self, user: &StandInUser) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        self.email.as_ref().is_none_or(|email| user.email == *email)
            && self.username.as_ref().is_none_or(|username| user.username == *username)
            && self.is_active.is_none_or(|active| user.is_active == active)
            && self.search.as_ref().is_none_or(|part| contains(&user.username, part) || contains(&user.email, part))
    }
}

/// `GET /api/v3/core/users/`: for the API token only, in pages, by user name.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Response {
    let store = shared.store();
    match bearer(&headers) {
        Some(token) if token == shared.settings.admin_token => {}
        Some(_) => return forbidden("Token invalid/expired"),
        None if store.signed_in(&headers).is_some() => {
            return forbidden("You do not have permission to perform this action.");
        }
        None => return forbidden("Authentication credentials were not provided."),
    }
    let mut found: Vec<&UserRecord> = store.users.iter().filter(|user| query.wants(&user.public)).collect();
    found.sort_by(|left, right| left.public.username.cmp(&right.public.username));
    let page_size = query.page_size.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, store.behaviour.max_page_size.max(1));
    let total_pages = found.len().div_ceil(page_size).max(1);
    let current = query.page.unwrap_or(1);
    if current == 0 || current > total_pages {
        return (StatusCode::NOT_FOUND, Json(json!({ "detail": "Invalid page." }))).into_response();
    }
    let start = (current - 1) * page_size;
    let results: Vec<Value> = found.iter().skip(start).take(page_size).map(|user| listed_user(user)).collect();
    let pagination = json!({
        "next": if current < total_pages { current + 1 } else { 0 },
        "previous": current - 1,
        "count": found.len(),
        "current": current,
        "total_pages": total_pages,
        "start_index": if found.is_empty() { 0 } else { start + 1 },
        "end_index": start + results.len(),
    });
    Json(json!({ "pagination": pagination, "results": results })).into_response()
}

fn forbidden(detail: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "detail": detail }))).into_response()
}

fn own_user(user: &StandInUser) -> Value {
    json!({
        "pk": user.pk,
        "username": user.username,
        "name": user.name,
        "is_active": user.is_active,
        "is_superuser": false,
        "groups": [{ "name": GROUP_NAME, "pk": GROUP_PK }],
        "email": user.email,
        "avatar": AVATAR,
        "uid": user.uid,
        "settings": {},
        "type": "external",
        "system_permissions": [],
    })
}

fn administrator() -> Value {
    json!({
        "pk": 1,
        "username": "akadmin",
        "name": "authentik Default Admin",
        "is_active": true,
        "is_superuser": true,
        "groups": [],
        "email": "akadmin@example.com",
        "avatar": AVATAR,
        "uid": super::state::hash("akadmin"),
        "settings": {},
        "type": "internal",
        "system_permissions": [],
    })
}

fn listed_user(user: &UserRecord) -> Value {
    let public = &user.public;
    json!({
        "pk": public.pk,
        "username": public.username,
        "name": public.name,
        "is_active": public.is_active,
        "last_login": user.last_login,
        "date_joined": user.date_joined,
        "is_superuser": false,
        "groups": [GROUP_PK],
        "groups_obj": null,
        "email": public.email,
        "avatar": AVATAR,
        "attributes": {},
        "uid": public.uid,
        "path": "users",
        "type": "external",
        "uuid": public.uuid,
        "password_change_date": user.password_change_date,
    })
}

/// The claims that the scopes `email` and `profile` add.
pub(super) fn profile_claims(user: &StandInUser, has_scope: impl Fn(&str) -> bool) -> serde_json::Map<String, Value> {
    let mut claims = serde_json::Map::new();
    if has_scope("email") {
        claims.insert("email".to_owned(), json!(user.email));
        claims.insert("email_verified".to_owned(), json!(true));
    }
    if has_scope("profile") {
        claims.insert("name".to_owned(), json!(user.name));
        claims.insert("given_name".to_owned(), json!(user.name));
        claims.insert("preferred_username".to_owned(), json!(user.username));
        claims.insert("nickname".to_owned(), json!(user.username));
        claims.insert("groups".to_owned(), json!([GROUP_NAME]));
    }
    claims
}
