//! Which part of a text to ask the text's index for.
//!
//! The index has an entry for every three letters, and a search for a word reads those of all its three-letter parts. In a
//! large table the common ones are long, so that `quantique` costs what `tique` does. One part that hardly any row has is
//! enough: what else the pattern asks for is checked on the few rows it leads to. Which parts are rare is learnt from a
//! sample of the table. It is counted there, since a rare word's own rows may be in the sample.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::{Searched, conditions::INDEXED_LENGTH};

/// How long a sample counts; texts change slowly.
const SAMPLE_AGE: Duration = Duration::from_secs(600);
/// A part is rare when one in so many rows has it, or fewer. To fetch a row costs as much as to read about a hundred entries of
/// a common part: with more rows than that, reading the whole word's entries is not dearer.
const RARE_AMONG: usize = 500;

type Part = [char; INDEXED_LENGTH];

/// What is known of one table.
#[derive(Debug, Default)]
pub(crate) struct Fragments(Mutex<Sample>);

#[derive(Debug, Default)]
struct Sample {
    taken: Option<Instant>,
    seen: Option<Arc<Seen>>,
}

/// The three-letter parts of a sample.
#[derive(Debug, Default)]
struct Seen {
    /// The sample's size.
    rows: usize,
    /// How many of the rows have each part.
    rows_with: HashMap<Part, usize>,
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
            let seen = tokio::task::spawn_blocking(move || Seen::of(&texts)).await;
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

impl Seen {
    fn of(texts: &[String]) -> Self {
        let mut rows_with = HashMap::new();
        for text in texts {
            let letters: Vec<char> = text.chars().collect();
            let mut parts: Vec<Part> = parts(&letters).map(|(_, part)| part).collect();
            parts.sort_unstable();
            parts.dedup();
            for part in parts {
                *rows_with.entry(part).or_default() += 1;
            }
        }
        Self { rows: texts.len(), rows_with }
    }

    /// How many of the sample's rows have the part; `None` when it is not rare.
    fn rows_with_rare(&self, part: &Part) -> Option<usize> {
        let rows = self.rows_with.get(part).copied().unwrap_or_default();
        (rows <= self.rows / RARE_AMONG).then_some(rows)
    }
}

/// All parts, with the place where each begins.
fn parts(letters: &[char]) -> impl Iterator<Item = (usize, Part)> {
    letters.array_windows().copied().enumerate()
}

/// Of the runs of letters whose parts are all rare, the one with the rarest part; of several such, the longest.
fn rarest(pattern: &str, seen: &Seen, is_letter: impl Fn(char) -> bool) -> Option<String> {
    let mut best: Option<(usize, &[char])> = None;
    let characters: Vec<char> = pattern.chars().collect();
    for word in characters.split(|character| !is_letter(*character)) {
        let lower: Vec<char> = word.iter().flat_map(|letter| letter.to_lowercase()).collect();
        if lower.len() != word.len() {
            // Places would not be the same any more.
            continue;
        }
        // Where the run begins, and the fewest rows of its parts.
        let mut run: Option<(usize, usize)> = None;
        for (place, part) in parts(&lower) {
            let Some(rows) = seen.rows_with_rare(&part) else {
                run = None;
                continue;
            };
            let (begin, fewest) = run.map_or((place, rows), |(begin, fewest)| (begin, fewest.min(rows)));
            run = Some((begin, fewest));
            let letters = &word[begin..place + INDEXED_LENGTH];
            let order = |(fewest, letters): (usize, &[char])| (fewest, Reverse(letters.len()));
            if best.is_none_or(|best| order((fewest, letters)) < order(best)) {
                best = Some((fewest, letters));
            }
        }
    }
    best.map(|(_, letters)| letters.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rarest_of(pattern: &str) -> Option<String> {
        rarest_among(&["développeur de la boutique\u{1}rust", "quai antique\u{1}sql"], pattern)
    }

    fn rarest_among(texts: &[&str], pattern: &str) -> Option<String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        rarest(pattern, &Seen::of(&texts), char::is_alphanumeric)
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

    /// The sample of a large table may hold one of the few rows that a rare word is in, or some.
    #[test]
    fn a_rare_word_stays_rare_when_the_sample_has_it() {
        let mut texts = vec!["boutique antique"; 1994];
        texts.extend(["calcul quantique quantique", "capteur quantique", "quartz", "quartz", "quartz"]);
        assert_eq!(rarest_among(&texts, "%quantique%").as_deref(), Some("uan"));
        // Five rows have `qua`, more than one in 500; the next three parts are in three rows each, `tza` in none.
        assert_eq!(rarest_among(&texts, "%quartza%").as_deref(), Some("uartza"));
        texts.push("quartz");
        assert_eq!(rarest_among(&texts, "%quartz quantique%").as_deref(), Some("uan"));
        texts.extend(["calcul quantique"; 4]);
        assert_eq!(rarest_among(&texts, "%quantique%"), None);
        assert_eq!(rarest_among(&texts, "%quantique pur%").as_deref(), Some("pur"));
    }
}
