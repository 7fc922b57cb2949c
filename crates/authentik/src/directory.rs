//! Authentik's list of users, for the operator's command that binds existing rows to identities.
//!
//! Needs an API token that may list users; nothing that serves requests uses it.

use std::fmt;

use chrono::{DateTime, Utc};
use http::header;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    client::Authentik,
    error::{Unavailable, UnavailableKind},
    flow::api_url,
    session::secret_header,
};

const PAGE_SIZE: &str = "100";

/// An account in Authentik's directory.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct DirectoryUser {
    pub pk: i64,
    pub uid: String,
    pub username: String,
    #[serde(default)]
    pub email: String,
    pub is_active: bool,
    /// `internal`, `external`, `service_account` or `internal_service_account`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// When the account was made; Authentik 2025.2 does not say.
    #[serde(default)]
    pub date_joined: Option<DateTime<Utc>>,
}

impl fmt::Debug for DirectoryUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirectoryUser").field("pk", &self.pk).field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// One page of the directory.
#[derive(Debug)]
pub struct UserPage {
    pub users: Vec<DirectoryUser>,
    /// Number of the next page, `None` on the last one.
    pub next: Option<u32>,
}

#[derive(Deserialize)]
struct Listing {
    pagination: Pagination,
    results: Vec<DirectoryUser>,
}

#[derive(Deserialize)]
struct Pagination {
    /// 0 on the last page.
    #[serde(default)]
    next: f64,
}

impl Authentik {
    /// One page of all users, counted from 1. A token that may not list users is [`UnavailableKind::Status`] 401
    /// or 403.
    pub async fn list_users(&self, admin_token: &SecretString, page: u32) -> Result<UserPage, Unavailable> {
        let bearer = secret_header(&format!("Bearer {}", admin_token.expose_secret()));
        let bearer = bearer.ok_or(UnavailableKind::Status(401))?;
        let mut url = api_url(&self.settings.url, &["core", "users"]);
        url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("page_size", PAGE_SIZE);
        let answer = self.http.send(self.http.get(url).header(header::AUTHORIZATION, bearer)).await?;
        let listing: Listing = answer.success_json()?;
        // Going forward only, so that a wrong answer cannot make a caller loop for ever.
        let following = page.saturating_add(1);
        let next = (listing.pagination.next >= f64::from(following)).then_some(following);
        Ok(UserPage { users: listing.results, next })
    }

    /// All users, page after page.
    pub async fn all_users(&self, admin_token: &SecretString) -> Result<Vec<DirectoryUser>, Unavailable> {
        let mut users = Vec::new();
        let mut next = Some(1);
        while let Some(page) = next {
            let listed = self.list_users(admin_token, page).await?;
            users.extend(listed.users);
            next = listed.next;
        }
        Ok(users)
    }
}
