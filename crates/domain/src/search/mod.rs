//! How the two searches find a page and its total without reading a large table: a look at the newest rows says how
//! common the conditions are; what is common is met by walking on from there, newest first; what is rare is fetched by
//! an index and sorted. Small tables are searched whole.
//!
//! The statements are in `statements`, on the tables that migration 0012 keeps in step by triggers.

mod conditions;
mod fragments;
mod statements;

use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) use self::conditions::{Conditions, containing};
pub(crate) use self::statements::{Freelances, JobPostings, Searched};
use self::{
    conditions::{DrivenBy, Driver, is_letter},
    fragments::Fragments,
};

/// How far a search goes. Tests take smaller ones, so that a few rows are a large table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The newest rows that tell how common a condition is.
    pub look: i64,
    /// A table of so many rows is searched whole; of a larger one, so many of the newest rows are walked through.
    pub near: i64,
    /// In a larger table an index is asked first when it should yield so many rows at most.
    pub rare: i64,
    /// In a larger table an index yields so many rows at most.
    pub few: i64,
    /// Of the matches found by walking, the newest ones that are sorted by skills in common.
    pub ranked: i64,
    /// About so many rows are read now and then, to learn which parts of words are rare: in one row of 500 at most. Of fewer
    /// rows than that, only what none of them has is taken for rare.
    pub sample: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { look: 500, near: 25_000, rare: 1000, few: 5000, ranked: 1000, sample: 2000 }
    }
}

/// How searches are made, and what they have learnt.
#[derive(Debug, Default)]
pub struct Searching {
    pub limits: Limits,
    job_postings: Fragments,
    freelances: Fragments,
}

impl From<Limits> for Searching {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}

/// Which of the results are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub skip: i32,
    pub take: i32,
}

impl Slice {
    /// Beyond every table that is searched whole, and within the range of array subscripts.
    const FURTHEST: i64 = 1_000_000;

    pub fn new(skip: i64, take: i64) -> Self {
        let within = |number: i64| i32::try_from(number.clamp(0, Self::FURTHEST)).unwrap_or_default();
        Self { skip: within(skip), take: within(take) }
    }

    fn end(self) -> i64 {
        i64::from(self.skip) + i64::from(self.take)
    }

    /// What of it is before that place, and what is not.
    fn split_at(self, place: i64) -> (Self, Self) {
        let place = i32::try_from(place).unwrap_or(i32::MAX).max(self.skip);
        let first = self.take.min(place - self.skip);
        (Self { skip: self.skip, take: first }, Self { skip: self.skip + first, take: self.take - first })
    }
}

/// The ids of a page, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub ids: Vec<Uuid>,
    /// How many match on all pages; exact unless the table is large and the matches are many.
    pub total: i64,
}

/// What the newest rows say.
#[derive(Debug)]
pub(crate) struct Look {
    /// How many rows were looked at; less than asked for when the table has no more.
    looked: i64,
    by_text: i64,
    by_skills: i64,
    by_rate: i64,
    by_seniority: i64,
    /// How many of them meet every condition.
    found: i64,
    /// The page, as far as these rows have it.
    page: Vec<Uuid>,
    /// The table's size as the planner knows it.
    rows: f64,
    /// No row of the table is outside of the wanted rates.
    covers_rates: bool,
    /// The database takes letters beyond ASCII for letters, so that the text's index knows them.
    knows_letters: bool,
}

/// Some of the matches.
#[derive(Debug)]
pub(crate) struct Found {
    count: i64,
    page: Vec<Uuid>,
}

/// Finds a page: newest first, then by id; with `common` skills, those rows first that share the most of them.
pub(crate) async fn find<S: Searched>(
    connection: &mut PgConnection,
    mut conditions: Conditions<S::Narrow>,
    common: &[Uuid],
    slice: Slice,
    searching: &Searching,
) -> Result<Page, sqlx::Error> {
    if conditions.cannot_be_met() {
        return Ok(Page::default());
    }
    let limits = &searching.limits;
    let look = S::look(connection, &conditions, slice, limits.look).await?;
    if look.looked < limits.look && common.is_empty() {
        return Ok(Page { ids: look.page, total: look.found });
    }
    if look.covers_rates {
        conditions.drop_rates();
    }
    let table =
        Table { is_small: look.rows <= as_float(limits.near), look, limits, fragments: S::fragments(searching) };
    if conditions.are_none() && common.is_empty() {
        return everything::<S>(connection, slice, &table).await;
    }
    let driver = conditions.driver(&table.look).filter(|driver| table.can_ask(driver));
    let search = Search { conditions: &conditions, common, slice };

    let is_tried = driver.as_ref().is_some_and(|driver| table.prefers(driver));
    if is_tried && let Some(page) = few::<S>(connection, &search, driver.as_ref(), &table).await? {
        return Ok(page);
    }
    let walked = walk::<S>(connection, &search, &table).await?;
    if table.is_small {
        let total = if walked.whole {
            walked.found.count
        } else if conditions.are_none() {
            S::count_all(connection).await?
        } else {
            S::count(connection, &conditions).await?
        };
        return Ok(Page { ids: walked.found.page, total });
    }
    let expected = if walked.whole { table.share(walked.found.count, limits.near) } else { table.expected() };
    if walked.whole
        && !is_tried
        && expected <= as_float(limits.few)
        && let Some(page) = few::<S>(connection, &search, driver.as_ref(), &table).await?
    {
        return Ok(page);
    }
    let seen = i64::from(slice.skip) + i64::try_from(walked.found.page.len()).unwrap_or_default();
    let seen = if walked.found.page.is_empty() { walked.found.count } else { seen.max(walked.found.count) };
    Ok(Page { ids: walked.found.page, total: seen.max(rounded(expected)) })
}

/// A page of all rows.
async fn everything<S: Searched>(
    connection: &mut PgConnection,
    slice: Slice,
    table: &Table<'_>,
) -> Result<Page, sqlx::Error> {
    let is_beyond = i64::from(slice.skip) >= table.limits.near;
    let ids = if is_beyond { Vec::new() } else { S::newest(connection, slice).await? };
    if table.is_small {
        return Ok(Page { ids, total: S::count_all(connection).await? });
    }
    let seen = if ids.is_empty() { 0 } else { i64::from(slice.skip) + i64::try_from(ids.len()).unwrap_or_default() };
    Ok(Page { ids, total: rounded(table.look.rows).max(seen) })
}

struct Search<'a, N> {
    conditions: &'a Conditions<N>,
    common: &'a [Uuid],
    slice: Slice,
}

struct Table<'a> {
    look: Look,
    is_small: bool,
    limits: &'a Limits,
    fragments: &'a Fragments,
}

impl Table<'_> {
    /// How many rows of the table match, if as many do everywhere as among the newest ones.
    fn expected(&self) -> f64 {
        self.share(self.look.found, self.look.looked)
    }

    /// The page, when it is among the newest rows already.
    fn seen<N>(&self, search: &Search<'_, N>) -> Option<Vec<Uuid>> {
        (search.common.is_empty() && self.look.found >= search.slice.end()).then(|| self.look.page.clone())
    }

    fn share(&self, found: i64, of: i64) -> f64 {
        as_float(found) / as_float(of.max(1)) * self.look.rows
    }

    /// Whether the index yields few enough rows to look at, before the other conditions are checked.
    fn can_ask(&self, driver: &Driver<'_>) -> bool {
        self.share(driver.met, self.look.looked) <= as_float(self.limits.near)
    }

    /// Whether the index should be asked before walking.
    fn prefers(&self, driver: &Driver<'_>) -> bool {
        // In a small table it also counts, as long as reading the table itself isn't quicker.
        (self.is_small && driver.met * 2 <= self.look.looked) || self.expected() <= as_float(self.limits.rare)
    }
}

/// All matches by the driver's index, unless they are too many.
async fn few<S: Searched>(
    connection: &mut PgConnection,
    search: &Search<'_, S::Narrow>,
    driver: Option<&Driver<'_>>,
    table: &Table<'_>,
) -> Result<Option<Page>, sqlx::Error> {
    let Some(mut driver) = driver.copied() else { return Ok(None) };
    let most = if table.is_small { table.limits.near } else { table.limits.few };
    // A page that is known needs no sorting: then the index only counts.
    let seen = table.seen(search);
    let slice = if seen.is_some() { Slice { skip: 0, take: 0 } } else { search.slice };
    let fragment = match driver.by {
        DrivenBy::Text(pattern) if !table.is_small => {
            let is_letter = |character| is_letter(character, table.look.knows_letters);
            let share = as_float(table.limits.sample) / table.look.rows;
            table.fragments.rare_part::<S>(connection, share, pattern, is_letter).await?
        }
        _ => None,
    };
    if let Some(fragment) = &fragment {
        driver.by = DrivenBy::Fragment(fragment);
    }
    let found = S::few(connection, &driver, search.conditions, search.common, slice, most + 1).await?;
    Ok((found.count <= most).then(|| Page { ids: seen.unwrap_or(found.page), total: found.count }))
}

struct Walked {
    found: Found,
    /// Everything within the limit was walked through, and there are no more matches in it.
    whole: bool,
}

/// The newest matches, as many as the page needs.
async fn walk<S: Searched>(
    connection: &mut PgConnection,
    search: &Search<'_, S::Narrow>,
    table: &Table<'_>,
) -> Result<Walked, sqlx::Error> {
    let (slice, limits, look) = (search.slice, table.limits, &table.look);
    if i64::from(slice.skip) >= limits.near {
        // No walk gets there.
        return Ok(Walked { found: Found { count: look.found, page: Vec::new() }, whole: false });
    }
    let ranked = if search.common.is_empty() { 0 } else { limits.ranked };
    let (first, rest) = slice.split_at(ranked);
    let mut page = Vec::new();
    if first.take > 0 {
        let found = S::walk_ranked(connection, search.conditions, search.common, first, limits).await?;
        if found.count < ranked || rest.take == 0 {
            let whole = found.count < ranked;
            return Ok(Walked { found, whole });
        }
        page = found.page;
    }
    if let Some(seen) = table.seen(search) {
        return Ok(Walked { found: Found { count: look.found, page: seen }, whole: false });
    }
    let found = S::walk(connection, search.conditions, rest, limits.near, slice.end()).await?;
    page.extend(found.page);
    Ok(Walked { whole: found.count < slice.end(), found: Found { count: found.count, page } })
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows, for estimates")]
fn as_float(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate of a count of rows")]
fn rounded(estimate: f64) -> i64 {
    estimate.round() as i64
}
