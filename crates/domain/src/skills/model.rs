use std::{
    borrow::Cow,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

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
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Skill)]
pub struct SkillFields {
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

/// A skill, which is shown on many pages: its copies share the row, and its JSON is written once.
#[derive(Clone, Debug)]
pub struct Skill(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    fields: SkillFields,
    json: OnceLock<Option<Box<RawValue>>>,
}

impl From<SkillFields> for Skill {
    fn from(fields: SkillFields) -> Self {
        Self(Arc::new(Shared { fields, json: OnceLock::new() }))
    }
}

impl Deref for Skill {
    type Target = SkillFields;

    fn deref(&self) -> &SkillFields {
        &self.0.fields
    }
}

impl Serialize for Skill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.json.get_or_init(|| to_raw_value(&self.0.fields).ok()) {
            Some(json) => json.serialize(serializer),
            None => self.0.fields.serialize(serializer),
        }
    }
}

impl PartialSchema for Skill {
    fn schema() -> RefOr<Schema> {
        SkillFields::schema()
    }
}

impl ToSchema for Skill {
    fn name() -> Cow<'static, str> {
        SkillFields::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        SkillFields::schemas(schemas);
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
