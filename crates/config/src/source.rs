//! Where settings come from: environment variables and a directory of secret files.
//!
//! Knows how to fetch a raw text by name, not what the text means.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Directory in which Docker mounts the secrets of a service.
const SECRETS_DIRECTORY: &str = "/run/secrets";

/// The environment variables and secret files that one configuration is read from.
pub struct Source {
    variables: Variables,
    secrets_directory: PathBuf,
}

enum Variables {
    Process,
    Map(HashMap<String, String>),
}

/// The variable is set to bytes that are not UTF-8.
pub(crate) struct NotUnicode;

impl Source {
    /// The environment of this process and `/run/secrets`.
    pub fn process() -> Self {
        Self { variables: Variables::Process, secrets_directory: PathBuf::from(SECRETS_DIRECTORY) }
    }

    /// The given variables and the files of `secrets_directory` (which need not exist). The process environment is
    /// not looked at.
    pub fn from_map<Name, Value>(
        variables: impl IntoIterator<Item = (Name, Value)>,
        secrets_directory: impl Into<PathBuf>,
    ) -> Self
    where
        Name: Into<String>,
        Value: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Variables::Map(variables), secrets_directory: secrets_directory.into() }
    }

    /// The variable, trimmed. `None` when it is unset, empty or blank.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        let value = match &self.variables {
            Variables::Process => process_variable(name)?,
            Variables::Map(map) => map.get(name).cloned(),
        };
        Ok(value.and_then(|text| trimmed(&text)))
    }

    /// The content of the secret file of this setting, trimmed. `None` when there is no such file or it is blank.
    pub(crate) fn secret(&self, name: &str) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.secret_path(name)) {
            Ok(text) => Ok(trimmed(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a secret file for this setting, readable or not.
    pub(crate) fn has_secret(&self, name: &str) -> bool {
        self.secret_path(name).exists()
    }

    /// Path of the secret file of this setting: its name in lower case.
    pub(crate) fn secret_path(&self, name: &str) -> PathBuf {
        Path::new(&self.secrets_directory).join(name.to_ascii_lowercase())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variables hold secrets.
        formatter.debug_struct("Source").field("secrets_directory", &self.secrets_directory).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the process environment")]
fn process_variable(name: &str) -> Result<Option<String>, NotUnicode> {
    std::env::var_os(name).map(|value| value.into_string().map_err(|_| NotUnicode)).transpose()
}

/// `docker secret create` from `echo` leaves a line end, a Windows editor CRLF and a byte order mark.
fn trimmed(text: &str) -> Option<String> {
    let text = text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_environment_is_read_by_name() {
        let source = Source::process();
        assert!(source.variable("PATH").is_ok_and(|value| value.is_some()));
        assert!(source.variable("FREEHUNT_CONFIG_TEST_UNSET").is_ok_and(|value| value.is_none()));
        assert_eq!(source.secret_path("S3_ACCESS_KEY"), Path::new("/run/secrets/s3_access_key"));
    }

    #[test]
    fn debug_output_shows_no_variable() {
        let source = Source::from_map([("S3_SECRET_KEY", "canary")], "/nonexistent");
        assert!(!format!("{source:?}").contains("canary"));
    }
}
