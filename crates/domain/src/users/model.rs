use serde::{Deserialize, Serialize};

use crate::{Timestamp, ids::UserId};

/// What a user is on the platform; chosen at registration and fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"Role\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    Freelance,
    Company,
}

impl Role {
    pub const NAMES: &[&str] = &["FREELANCE", "COMPANY"];
}

/// A row of "User".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub username: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether two addresses name the same person: case does not count.
pub fn same_email(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}
