use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::{Timestamp, ids::SkillId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "\"SkillType\"", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SkillType {
    Technical,
    Soft,
}

impl SkillType {
    pub const NAMES: &[&str] = &["TECHNICAL", "SOFT"];
}

/// A row of "Skill".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    pub id: SkillId,
    #[schema(example = "JavaScript")]
    pub name: String,
    /// See [`normalize_name`]; unique.
    #[schema(example = "javascript")]
    pub normalized_name: String,
    #[schema(example = json!(["JS", "ECMAScript"]))]
    pub aliases: Vec<String>,
    pub r#type: SkillType,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A row of "Skill" as PostgreSQL's `json_agg` writes it: times have no zone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SkillRow {
    id: SkillId,
    name: String,
    normalized_name: String,
    aliases: Option<Vec<String>>,
    r#type: SkillType,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<SkillRow> for Skill {
    fn from(row: SkillRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            normalized_name: row.normalized_name,
            aliases: row.aliases.unwrap_or_default(),
            r#type: row.r#type,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        }
    }
}

/// The form under which two spellings of a skill are the same one: lower case, runs of white space become `-`.
pub fn normalize_name(name: &str) -> String {
    let mut normalized = String::with_capacity(name.len());
    let mut in_space = false;
    for character in name.chars() {
        if character.is_whitespace() {
            if !in_space {
                normalized.push('-');
            }
            in_space = true;
        } else {
            normalized.extend(character.to_lowercase());
            in_space = false;
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_collapses_to_a_hyphen() {
        assert_eq!(normalize_name("Gestion  de\tProjet Été"), "gestion-de-projet-été");
        assert_eq!(normalize_name("JavaScript"), "javascript");
    }
}
