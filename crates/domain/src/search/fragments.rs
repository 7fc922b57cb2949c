//! Which part of a text to ask the text's index for.
//!
//! The index has an entry for every three letters, and a search for a word reads those of all its three-letter parts. In a
//! large table the common ones are long, so that `quantique` costs what `tique` does. One part that hardly any row has is
//! enough: what else the pattern asks for is checked on the few rows it leads to. Which parts are rare is learnt from a
//! sample of the table.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::{Searched, conditions::INDEXED_LENGTH};

/// How long a sample counts; texts change slowly.
const SAMPLE_AGE: Duration = Duration::from_secs(600);

type Part = [char; INDEXED_LENGTH];

/// What is known of one table.
#[derive(Debug, Default)]
pub(crate) struct Fragments(Mutex<Sample>);

#[derive(Debug, Default)]
struct Sample {
    taken: Option<Instant>,
    /// The three-letter parts that its rows have.
    seen: Option<Arc<HashSet<Part>>>,
}

impl Fragments {
    /// A pattern for rows that have a rare part of the text in `pattern`; `None` when no part of it is known to be rare.
    /// `share` of the table is read when a sample is due.
    pub async fn rare_part<S: Searched>(
        &self,
        connection: &mut PgConnection,
        share: f64,
        pattern: &str,
        is_letter: impl Fn(char) -> bool,
    ) -> Result<Option<String>, sqlx::Error> {
        if self.is_due() {
            let texts = S::sample(connection, share).await?;
            let seen = tokio::task::spawn_blocking(move || parts_of(&texts)).await;
            self.lock().seen = seen.ok().map(Arc::new);
        }
        let seen = self.lock().seen.clone();
        Ok(seen.and_then(|seen| rarest(pattern, &seen, is_letter)).map(|part| format!("%{part}%")))
    }

    /// Whether the caller is to take a sample. Others do without meanwhile.
    fn is_due(&self) -> bool {
        let mut sample = self.lock();
        let is_due = sample.taken.is_none_or(|taken| taken.elapsed() > SAMPLE_AGE);
        if is_due {
            sample.taken = Some(Instant::now());
        }
        is_due
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts_of(texts: &[String]) -> HashSet<Part> {
    let mut seen = HashSet::new();
    for text in texts {
        seen.extend(parts(&text.chars().collect::<Vec<_>>()).map(|(_, part)| part));
    }
    seen
}

/// All parts, with the place where each begins.
fn parts(letters: &[char]) -> impl Iterator<Item = (usize, Part)> {
    letters.array_windows().copied().enumerate()
}

/// The longest run of letters of which no part was seen.
fn rarest(pattern: &str, seen: &HashSet<Part>, is_letter: impl Fn(char) -> bool) -> Option<String> {
    let mut longest: &[char] = &[];
    let characters: Vec<char> = pattern.chars().collect();
    for word in characters.split(|character| !is_letter(*character)) {
        let lower: Vec<char> = word.iter().flat_map(|letter| letter.to_lowercase()).collect();
        if lower.len() != word.len() {
            // Places would not be the same any more.
            continue;
        }
        let mut begin = None;
        for (place, part) in parts(&lower) {
            if seen.contains(&part) {
                begin = None;
                continue;
            }
            let begin = *begin.get_or_insert(place);
            let run = &word[begin..place + INDEXED_LENGTH];
            if run.len() > longest.len() {
                longest = run;
            }
        }
    }
    (!longest.is_empty()).then(|| longest.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rarest_of(pattern: &str) -> Option<String> {
        let seen = parts_of(&["développeur de la boutique\u{1}rust".to_owned(), "quai antique\u{1}sql".to_owned()]);
        rarest(pattern, &seen, char::is_alphanumeric)
    }

    #[test]
    fn the_part_that_no_row_has_is_asked_for() {
        assert_eq!(rarest_of("%quantique%").as_deref(), Some("uan"));
        assert_eq!(rarest_of("%QUANTIQUE%").as_deref(), Some("UAN"));
        assert_eq!(rarest_of("%Rustacé de la zoologie%").as_deref(), Some("zoologie"));
        assert_eq!(rarest_of("%boutique%"), None);
        assert_eq!(rarest_of("%la c++ de%"), None);
        assert_eq!(rarest_of(r"%50\%xyz%").as_deref(), Some("xyz"));
    }
}
