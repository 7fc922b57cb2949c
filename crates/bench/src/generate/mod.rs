//! Generated data: the same rows for the same sizes on every machine, made by PostgreSQL itself, a million postings in
//! a minute or two. Only an empty database is filled.

mod bulk;
mod statements;
pub mod words;

use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use freehunt_domain::schema;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use self::statements::{FILLINGS, HELPERS};

/// Counted up when the same sizes give other rows than before.
const VERSION: i32 = 1;

/// How much there is of everything.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Job postings; there is a company for every twenty
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(i64).range(100..=10_000_000))]
    pub postings: i64,
    /// Freelances; as many as postings when not given
    #[arg(long, value_parser = clap::value_parser!(i64).range(100..=10_000_000))]
    pub freelances: Option<i64>,
    /// Messages, fifty in a conversation
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(5_000..=100_000_000))]
    pub messages: i64,
}

impl Sizes {
    pub fn freelances(&self) -> i64 {
        self.freelances.unwrap_or(self.postings)
    }

    pub fn conversations(&self) -> i64 {
        (self.messages / 50).max(1)
    }

    /// The name of the database that holds data of these sizes.
    pub fn database(&self) -> String {
        format!("bench_{}_{}_{}", self.postings, self.freelances(), self.messages)
    }
}

/// Brings the schema up to date and fills the database, unless it is filled already.
pub async fn ensure_filled(connection: &mut PgConnection, sizes: Sizes) -> anyhow::Result<()> {
    schema::migrate(connection).await.context("the schema cannot be brought up to date")?;
    if is_filled(connection, sizes).await? {
        return Ok(());
    }
    let users: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "User""#).fetch_one(&mut *connection).await?;
    if users > 0 {
        bail!("the database has {users} users: generated data only goes into an empty one");
    }
    fill(connection, sizes).await
}

async fn is_filled(connection: &mut PgConnection, sizes: Sizes) -> anyhow::Result<bool> {
    let is_begun: bool =
        sqlx::query_scalar("SELECT to_regclass('bench.filled') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !is_begun {
        return Ok(false);
    }
    let row = sqlx::query("SELECT postings, freelances, messages, version FROM bench.filled")
        .fetch_optional(&mut *connection)
        .await?
        .context("the database was filled half-way: drop it and start over")?;
    let found = (row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2), row.get::<i32, _>(3));
    if found != (sizes.postings, sizes.freelances(), sizes.messages, VERSION) {
        bail!("the database holds other generated data ({found:?}): drop it and start over");
    }
    Ok(true)
}

async fn fill(connection: &mut PgConnection, sizes: Sizes) -> anyhow::Result<()> {
    let began = Instant::now();
    sqlx::raw_sql(HELPERS).execute(&mut *connection).await?;
    insert_words(connection).await?;
    sqlx::raw_sql("SET work_mem = '256MB'; SET maintenance_work_mem = '1GB'; SET synchronous_commit = off")
        .execute(&mut *connection)
        .await?;
    let tables: Vec<&str> = FILLINGS.iter().map(|filling| filling.table).collect();
    let suspended = bulk::suspend(connection, &tables).await?;
    switch_search_triggers(connection, &tables, "DISABLE").await?;
    for filling in FILLINGS {
        let began = Instant::now();
        let result = sqlx::query(filling.sql)
            .bind(sizes.postings)
            .bind(sizes.freelances())
            .bind(sizes.messages)
            .execute(&mut *connection)
            .await
            .with_context(|| format!("{} cannot be filled", filling.table))?;
        progress(&format!("{} × {}", result.rows_affected(), filling.table), began);
    }
    let indexing = Instant::now();
    suspended.restore(connection).await?;
    progress("indexes", indexing);
    let searching = Instant::now();
    fill_search(connection).await?;
    switch_search_triggers(connection, &tables, "ENABLE").await?;
    progress("what the searches look at", searching);
    let analysing = Instant::now();
    for table in tables {
        sqlx::raw_sql(AssertSqlSafe(format!(r#"VACUUM (ANALYZE) "{table}""#))).execute(&mut *connection).await?;
    }
    progress("statistics", analysing);
    sqlx::query("INSERT INTO bench.filled VALUES ($1, $2, $3, $4)")
        .bind(sizes.postings)
        .bind(sizes.freelances())
        .bind(sizes.messages)
        .bind(VERSION)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("RESET work_mem; RESET maintenance_work_mem; RESET synchronous_commit; CHECKPOINT")
        .execute(connection)
        .await?;
    progress("generated in all", began);
    Ok(())
}

/// The tables of the searches, at once: row by row, their triggers would need the indexes that are taken away meanwhile.
async fn fill_search(connection: &mut PgConnection) -> anyhow::Result<()> {
    const SEARCHED: [&str; 2] = ["job_posting_search", "freelance_search"];
    let suspended = bulk::suspend(connection, &SEARCHED).await?;
    for table in SEARCHED {
        let fill =
            format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {table}_source ORDER BY created_at, id");
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *connection).await?;
    }
    suspended.restore(connection).await?;
    for table in SEARCHED {
        sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (ANALYZE) {table}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn switch_search_triggers(connection: &mut PgConnection, tables: &[&str], how: &str) -> anyhow::Result<()> {
    let triggers: Vec<(String, String)> = sqlx::query_as(
        r"SELECT tgrelid::regclass::text, quote_ident(tgname) FROM pg_trigger
          WHERE tgname LIKE 'follow\_%' AND tgrelid = ANY(SELECT quote_ident(name)::regclass FROM unnest($1::text[]) name)",
    )
    .bind(tables.iter().map(|table| (*table).to_owned()).collect::<Vec<String>>())
    .fetch_all(&mut *connection)
    .await?;
    for (relation, name) in triggers {
        let switch = format!("ALTER TABLE {relation} {how} TRIGGER {name}");
        sqlx::raw_sql(AssertSqlSafe(switch)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_words(connection: &mut PgConnection) -> anyhow::Result<()> {
    let lists = [
        ("role", words::ROLES),
        ("technology", words::TECHNOLOGIES),
        ("domain", words::DOMAINS),
        ("context", words::CONTEXTS),
        ("city", words::CITIES),
        ("first name", words::FIRST_NAMES),
        ("last name", words::LAST_NAMES),
        ("sentence", words::SENTENCES),
        ("skill form", words::SKILL_FORMS),
    ];
    for (kind, list) in lists {
        sqlx::query("INSERT INTO bench.word SELECT $1, number, word FROM unnest($2::text[]) WITH ORDINALITY AS w (word, number)")
            .bind(kind)
            .bind(list)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn progress(what: &str, began: Instant) {
    eprintln!("{:>7.1} s  {what}", began.elapsed().as_secs_f64());
}
