//! What a search asks for, as the statements take it, and which condition an index can be asked for.

use uuid::Uuid;

use super::Look;

/// Between the parts of a searched text; see migration 0012.
const SEPARATOR: char = '\u{1}';
/// So many letters or digits in a row make an entry of the text's index.
pub(super) const INDEXED_LENGTH: usize = 3;

/// All conditions that are given must be met. `N` is the one that only this search has.
#[derive(Clone, Debug)]
pub(crate) struct Conditions<N> {
    /// A pattern of [`containing`], in any case.
    pub text: Option<String>,
    /// One of these is enough; none of them cannot be met.
    pub skills: Option<Vec<Uuid>>,
    /// In euros.
    pub minimum_daily_rate: Option<f64>,
    pub maximum_daily_rate: Option<f64>,
    /// In years.
    pub minimum_seniority: Option<i64>,
    pub maximum_seniority: Option<i64>,
    pub narrow: Option<N>,
}

/// The condition whose index is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driver<'a> {
    pub by: DrivenBy<'a>,
    /// How many of the newest rows meet it.
    pub met: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum DrivenBy<'a> {
    Text(&'a str),
    /// A part of the text that fewer rows have than each of its other parts.
    Fragment(&'a str),
    Skills(&'a [Uuid]),
    Rate {
        minimum: f64,
        maximum: f64,
    },
    Seniority {
        minimum: i64,
        maximum: i64,
    },
}

impl<N> Conditions<N> {
    pub fn cannot_be_met(&self) -> bool {
        self.skills.as_ref().is_some_and(Vec::is_empty)
            || self.text.as_ref().is_some_and(|text| text.contains(SEPARATOR))
    }

    /// Every row meets them.
    pub fn are_none(&self) -> bool {
        self.text.is_none()
            && self.skills.is_none()
            && self.minimum_daily_rate.is_none()
            && self.maximum_daily_rate.is_none()
            && self.minimum_seniority.is_none()
            && self.maximum_seniority.is_none()
            && self.narrow.is_none()
    }

    pub fn drop_rates(&mut self) {
        self.minimum_daily_rate = None;
        self.maximum_daily_rate = None;
    }

    /// The given condition that an index knows and that the fewest rows meet.
    pub fn driver(&self, look: &Look) -> Option<Driver<'_>> {
        let text = self.text.as_deref().filter(|text| is_indexed(text, look.knows_letters));
        let rate = self.minimum_daily_rate.is_some() || self.maximum_daily_rate.is_some();
        let seniority = self.minimum_seniority.is_some() || self.maximum_seniority.is_some();
        let drivers = [
            text.map(|text| Driver { by: DrivenBy::Text(text), met: look.by_text }),
            self.skills.as_deref().map(|skills| Driver { by: DrivenBy::Skills(skills), met: look.by_skills }),
            rate.then(|| Driver {
                by: DrivenBy::Rate {
                    minimum: self.minimum_daily_rate.unwrap_or(f64::NEG_INFINITY),
                    maximum: self.maximum_daily_rate.unwrap_or(f64::INFINITY),
                },
                met: look.by_rate,
            }),
            seniority.then(|| Driver {
                by: DrivenBy::Seniority {
                    minimum: self.minimum_seniority.unwrap_or(i64::MIN),
                    maximum: self.maximum_seniority.unwrap_or(i64::MAX),
                },
                met: look.by_seniority,
            }),
        ];
        drivers.into_iter().flatten().min_by_key(|driver| driver.met)
    }
}

/// The pattern for `LIKE` that matches texts with `text` in them; `%`, `_` and `\` have no meaning in it.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Whether the text's index takes the character for a letter.
pub(super) fn is_letter(character: char, knows_letters: bool) -> bool {
    if knows_letters { character.is_alphanumeric() } else { character.is_ascii_alphanumeric() }
}

/// Whether the pattern has an entry in the text's index. Without one, all of the index would be read.
fn is_indexed(pattern: &str, knows_letters: bool) -> bool {
    let is_separator = |character| !is_letter(character, knows_letters);
    pattern.split(is_separator).any(|word| word.chars().count() >= INDEXED_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            looked: 1000,
            by_text: 50,
            by_skills: 20,
            by_rate: 10,
            by_seniority: 30,
            found: 0,
            page: Vec::new(),
            rows: 1e6,
            covers_rates: false,
            knows_letters: true,
        }
    }

    fn conditions(text: &str) -> Conditions<()> {
        Conditions {
            text: Some(containing(text)),
            skills: None,
            minimum_daily_rate: None,
            maximum_daily_rate: None,
            minimum_seniority: None,
            maximum_seniority: None,
            narrow: None,
        }
    }

    /// Fault case 53.
    #[test]
    fn wildcards_are_literal() {
        assert_eq!(containing(r"50 %_\ a"), r"%50 \%\_\\ a%");
        assert_eq!(containing("';--"), "%';--%");
    }

    #[test]
    fn short_texts_have_no_index() {
        for (text, ascii, letters) in [
            ("rust", true, true),
            ("c++ 17b", true, true),
            ("go", false, false),
            ("a b-c_d", false, false),
            ("%%%", false, false),
            ("été", false, true),
            ("hôte", false, true),
        ] {
            assert_eq!(is_indexed(&containing(text), false), ascii, "{text}");
            assert_eq!(is_indexed(&containing(text), true), letters, "{text}");
        }
    }

    #[test]
    fn the_rarest_condition_drives() {
        let mut conditions = conditions("rust");
        assert!(matches!(conditions.driver(&look()), Some(Driver { by: DrivenBy::Text("%rust%"), met: 50 })));
        conditions.minimum_seniority = Some(3);
        let driver = conditions.driver(&look());
        assert!(matches!(driver, Some(Driver { by: DrivenBy::Seniority { minimum: 3, maximum: i64::MAX }, .. })));
        conditions.skills = Some(vec![Uuid::nil()]);
        assert!(matches!(conditions.driver(&look()), Some(Driver { by: DrivenBy::Skills(_), .. })));
        conditions.maximum_daily_rate = Some(500.0);
        assert!(matches!(conditions.driver(&look()), Some(Driver { by: DrivenBy::Rate { .. }, .. })));
        conditions.drop_rates();
        assert!(matches!(conditions.driver(&look()), Some(Driver { by: DrivenBy::Skills(_), .. })));
    }

    #[test]
    fn some_searches_cannot_be_met() {
        assert!(!conditions("rust").cannot_be_met());
        assert!(conditions("rust\u{1}sql").cannot_be_met());
        assert!(Conditions { skills: Some(Vec::new()), ..conditions("rust") }.cannot_be_met());
        assert!(conditions("go").driver(&look()).is_none());
    }
}
