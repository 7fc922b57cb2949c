//! The table of settings and what the loaders really read agree.

use std::collections::BTreeSet;

use super::source_with;
use crate::reader::Reader;
use crate::{ApiConfig, MessagingConfig, Program, SettingDefault, settings, settings_markdown};

fn documented(program: Program) -> BTreeSet<&'static str> {
    settings().iter().filter(|setting| setting.programs.contains(&program)).map(|setting| setting.name).collect()
}

#[test]
fn every_setting_read_is_documented_and_every_documented_setting_is_read() {
    let source = source_with(&[]);
    let mut reader = Reader::new(&source);
    assert!(ApiConfig::read(&mut reader).is_ok());
    assert_eq!(reader.asked, documented(Program::Api));

    let mut reader = Reader::new(&source);
    assert!(MessagingConfig::read(&mut reader).is_ok());
    assert_eq!(reader.asked, documented(Program::Messaging));
}

/// An error in one setting must not hide the others of the same program.
#[test]
fn all_settings_are_read_even_when_all_required_ones_are_missing() {
    let empty = crate::Source::from_map(Vec::<(String, String)>::new(), "/nonexistent");
    let mut reader = Reader::new(&empty);
    assert!(ApiConfig::read(&mut reader).is_err());
    assert_eq!(reader.asked, documented(Program::Api));
}

#[test]
fn names_are_unique_and_upper_case() {
    let names: BTreeSet<&str> = settings().iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), settings().len());
    let allowed = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    assert!(names.iter().all(|name| name.chars().all(allowed)));
}

#[test]
fn no_secret_has_a_default() {
    for setting in settings().iter().filter(|setting| setting.secret) {
        assert!(
            matches!(setting.default, SettingDefault::Required | SettingDefault::Unset),
            "{} has a default",
            setting.name
        );
    }
}

#[test]
fn the_markdown_table_has_one_complete_row_per_setting() {
    let markdown = settings_markdown();
    let rows: Vec<&str> = markdown.lines().skip(2).collect();
    assert_eq!(rows.len(), settings().len());
    for (row, setting) in rows.iter().zip(settings()) {
        assert!(row.starts_with(&format!("| `{}` |", setting.name)), "{row}");
        assert_eq!(row.matches('|').count(), 6, "{row}");
        assert!(setting.meaning.ends_with('.'), "{row}");
    }
    assert!(markdown.contains("| `DATABASE_URL` | api, messaging | **required** | secret |"));
    assert!(markdown.contains("| `S3_REGION` | api | `eu-west-3` |"));
}
