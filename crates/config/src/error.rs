//! What went wrong while reading the configuration: names and reasons, never values.

use std::fmt;

/// One setting that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the setting, as in the environment.
    pub name: &'static str,
    /// What is wrong, as the rest of a sentence that begins with the name. Holds no value.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.reason)
    }
}

/// Every problem found in one reading of the configuration. Displays one line per problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The problems, in the order in which the settings were read.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
