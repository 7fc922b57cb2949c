//! All skills at once, as they were at one moment: there are some hundreds, every page shows some, and they hardly ever
//! change. Who keeps one must hear of changes (see [`CHANNEL`]); this module only knows how to read and use it.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Skill, queries};

/// Notified, with an empty payload, when any row of "Skill" changes.
pub const CHANNEL: &str = "freehunt_skills";

/// The list of skills.
#[derive(Debug)]
pub struct SkillCatalog {
    /// Oldest first.
    skills: Vec<Skill>,
    /// Index in `skills`.
    places: HashMap<Uuid, usize>,
}

impl SkillCatalog {
    pub async fn load(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        Ok(Self::of(queries::list_skills(connection).await?))
    }

    fn of(skills: Vec<Skill>) -> Self {
        let places = skills.iter().enumerate().map(|(place, skill)| (skill.id.0, place)).collect();
        Self { skills, places }
    }

    /// Oldest first.
    pub fn all(&self) -> &[Skill] {
        &self.skills
    }

    /// The skills with these ids, oldest first, as the original has them.
    pub async fn find(&self, connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Skill>, sqlx::Error> {
        let found = self.find_each(connection, &[ids]).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// As [`SkillCatalog::find`], for several lists. A skill that was made after the catalog takes one statement for all.
    pub async fn find_each(
        &self,
        connection: &mut PgConnection,
        lists: &[&[Uuid]],
    ) -> Result<Vec<Vec<Skill>>, sqlx::Error> {
        if lists.iter().all(|ids| ids.iter().all(|id| self.places.contains_key(id))) {
            return Ok(lists.iter().map(|ids| self.known(ids)).collect());
        }
        let newer = Self::load(connection).await?;
        Ok(lists.iter().map(|ids| newer.known(ids)).collect())
    }

    /// Those of the skills that are in the catalog.
    fn known(&self, ids: &[Uuid]) -> Vec<Skill> {
        let mut places: Vec<usize> = ids.iter().filter_map(|id| self.places.get(id).copied()).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.skills.get(place).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;
    use crate::{
        Timestamp,
        ids::SkillId,
        skills::{SkillFields, SkillType},
    };

    fn skill(number: u128, name: &str) -> Skill {
        Skill::from(SkillFields {
            id: SkillId(Uuid::from_u128(number)),
            name: name.to_owned(),
            normalized_name: name.to_owned(),
            aliases: Vec::new(),
            r#type: SkillType::Technical,
            created_at: Timestamp(NaiveDateTime::default()),
            updated_at: Timestamp(NaiveDateTime::default()),
        })
    }

    #[test]
    fn skills_come_oldest_first_and_unknown_ones_not_at_all() {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let catalog = SkillCatalog::of(vec![skill(1, "c"), skill(2, "a"), skill(3, "b")]);
        let names = |ids: &[Uuid]| catalog.known(ids).iter().map(|skill| skill.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&[ids[2], ids[0], ids[1]]), ["c", "a", "b"]);
        assert_eq!(names(&[ids[0], Uuid::from_u128(4)]), ["c"]);
    }
}
