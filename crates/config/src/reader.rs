//! Reads settings one after the other and remembers every problem, so that all are reported at once.
//!
//! A method that fails has already recorded its problem and returns [`Reported`]; the caller reads its other settings
//! first and then gives up with `?`.

#[cfg(test)]
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{ConfigErrors, Problem};
use crate::parse;
use crate::settings;
use crate::source::Source;

/// The value could not be had, and the reason is in the reader's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported;

pub(crate) struct Reader<'source> {
    source: &'source Source,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    #[cfg(test)]
    pub(crate) asked: BTreeSet<&'static str>,
}

impl<'source> Reader<'source> {
    pub(crate) fn new(source: &'source Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
            warnings: Vec::new(),
            #[cfg(test)]
            asked: BTreeSet::new(),
        }
    }

    /// The result with its warnings, or every problem recorded on the way.
    pub(crate) fn finish<T>(self, result: Result<T, Reported>) -> Result<(T, Vec<String>), ConfigErrors> {
        match result {
            Ok(value) if self.problems.is_empty() => Ok((value, self.warnings)),
            _ => Err(ConfigErrors { problems: self.problems }),
        }
    }

    /// Records that this setting has an unusable value. `reason` continues a sentence that begins with the name.
    pub(crate) fn problem(&mut self, name: &'static str, reason: impl Into<String>) -> Reported {
        self.problems.push(Problem { name, reason: reason.into() });
        Reported
    }

    /// Records something the operator should know although it stops nothing.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The value of a setting, or the default that the table of settings gives, or else the problem that it is missing.
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Reported> {
        let text = match self.text(name)? {
            Some(text) => text,
            None => match settings::default_of(name) {
                Some(default) => default.to_owned(),
                None => return Err(self.missing(name)),
            },
        };
        parse(&text).map_err(|reason| self.problem(name, reason))
    }

    /// The value of a setting that may be left out.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Reported> {
        match self.text(name)? {
            Some(text) => parse(&text).map(Some).map_err(|reason| self.problem(name, reason)),
            None => Ok(None),
        }
    }

    /// A whole number within the range.
    pub(crate) fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> Result<T, Reported>
    where
        T: TryFrom<u64> + Into<u64> + Copy,
    {
        self.value(name, parse::number(range))
    }

    /// A duration in milliseconds, between 1 ms and one hour.
    pub(crate) fn milliseconds(&mut self, name: &'static str) -> Result<Duration, Reported> {
        self.number(name, 1..=3_600_000_u64).map(Duration::from_millis)
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Reported> {
        #[cfg(test)]
        self.asked.insert(name);
        let path = self.source.secret_path(name);
        match self.source.variable(name) {
            Err(_) => Err(self.problem(name, "is not valid UTF-8")),
            Ok(Some(text)) => {
                if self.source.has_secret(name) {
                    let path = path.display();
                    self.warn(format!("{name} is set in the environment and in {path}: the environment is used"));
                }
                Ok(Some(text))
            }
            Ok(None) => self.source.secret(name).map_err(|error| {
                self.problem(name, format!("cannot be read from {}: {}", path.display(), error.kind()))
            }),
        }
    }

    fn missing(&mut self, name: &'static str) -> Reported {
        let path = self.source.secret_path(name);
        self.problem(name, format!("is missing (set it in the environment or in {})", path.display()))
    }
}
