//! Brings a database to this version's schema: makes it from nothing, adopts one made by the original backend, or
//! refuses a database it does not recognise. Safe when several replicas start at once.

use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The original's last migration; a history that ends elsewhere is not ours to adopt.
const LAST_ORIGINAL_MIGRATION: &str = "20250706144257_add_job_posting_cancellation";
const ORIGINAL_MIGRATIONS: i64 = 28;

/// Held while the schema is looked at and changed. The number is arbitrary, and differs from Prisma's 72707369.
const ADVISORY_LOCK: i64 = 0x0046_7265_6548_756e;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The database was empty; everything was created.
    Created,
    /// A database of the original was adopted, with every row as it was.
    Adopted,
    /// The schema was ours; `applied` newer migrations were added.
    Updated { applied: usize },
}

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    #[error(
        "the database has tables that FreeHunt did not make ({0}), and no history of its migrations: refusing to touch it"
    )]
    Unknown(String),
    #[error(
        "the original backend's migration {0} was begun and not finished: finish or roll it back with `prisma migrate resolve` first"
    )]
    OriginalUnfinished(String),
    #[error(
        "the original backend's history has {count} migrations and ends with {last}; expected {ORIGINAL_MIGRATIONS}, ending with {LAST_ORIGINAL_MIGRATION}"
    )]
    OriginalVersion { count: i64, last: String },
    #[error("the original backend's schema is damaged: {0} is missing")]
    OriginalDamaged(String),
    #[error(
        "migration {0} was interrupted half-way: restore the backup, or repair it and remove its row from _sqlx_migrations"
    )]
    Interrupted(i64),
    #[error("migration {0} was changed after it ran here: this program and this database do not belong together")]
    Changed(i64),
    #[error("the migrations failed: {0}")]
    Migration(String),
}

/// Changes whenever a migration does; names the tests' template database.
pub fn fingerprint() -> String {
    let all: Vec<u8> = MIGRATIONS.iter().flat_map(|migration| migration.checksum.iter().copied()).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, &all);
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs everything that is missing. Other replicas wait meanwhile, and then find nothing to do.
///
/// A database with newer migrations than this program knows is accepted: they only ever add, and a rolled-back
/// replica has to serve.
pub async fn migrate(connection: &mut PgConnection) -> Result<Outcome, SchemaError> {
    sqlx::query!("SELECT pg_advisory_lock($1)", ADVISORY_LOCK).fetch_one(&mut *connection).await?;
    let result = migrate_locked(connection).await;
    // The lock ends with the connection in any case; a failure to unlock must not hide the result.
    let _unlocked = sqlx::query!("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK).fetch_one(&mut *connection).await;
    result
}

async fn migrate_locked(connection: &mut PgConnection) -> Result<Outcome, SchemaError> {
    let tables = list_tables(connection).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if has("_sqlx_migrations") {
        let before = count_applied(connection).await?;
        run(connection).await?;
        let applied = usize::try_from(count_applied(connection).await? - before).unwrap_or_default();
        return Ok(if before == 0 { Outcome::Created } else { Outcome::Updated { applied } });
    }
    if has("_prisma_migrations") {
        check_original(connection, &tables).await?;
        record_baseline(connection).await?;
        run(connection).await?;
        return Ok(Outcome::Adopted);
    }
    if !tables.is_empty() {
        return Err(SchemaError::Unknown(tables.into_iter().take(3).collect::<Vec<_>>().join(", ")));
    }
    run(connection).await?;
    Ok(Outcome::Created)
}

/// Whether every migration of this program has run. Readiness asks this.
pub async fn is_current(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if !list_tables(connection).await?.iter().any(|table| table == "_sqlx_migrations") {
        return Ok(false);
    }
    Ok(count_applied(connection).await? >= i64::try_from(MIGRATIONS.iter().count()).unwrap_or(i64::MAX))
}

async fn run(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.set_ignore_missing(true).set_locking(false);
    migrator.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Dirty(version) => SchemaError::Interrupted(version),
        MigrateError::VersionMismatch(version) => SchemaError::Changed(version),
        other => SchemaError::Migration(other.to_string()),
    })
}

async fn list_tables(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT table_name::text AS "name!" FROM information_schema.tables
           WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"#
    )
    .fetch_all(connection)
    .await
}

async fn count_applied(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    // Not a checked query: the table is sqlx's own and absent while the queries are checked on a fresh database.
    sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success").fetch_one(connection).await
}

/// The original's history must be complete, and its tables must be there.
async fn check_original(connection: &mut PgConnection, tables: &[String]) -> Result<(), SchemaError> {
    let unfinished: Option<String> = sqlx::query_scalar(
        "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(name) = unfinished {
        return Err(SchemaError::OriginalUnfinished(name));
    }
    let (count, last): (i64, Option<String>) = sqlx::query_as(
        "SELECT count(DISTINCT migration_name), max(migration_name) FROM _prisma_migrations WHERE finished_at IS NOT NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    let last = last.unwrap_or_default();
    if count != ORIGINAL_MIGRATIONS || last != LAST_ORIGINAL_MIGRATION {
        return Err(SchemaError::OriginalVersion { count, last });
    }
    for table in original_tables() {
        if !tables.iter().any(|present| present == table) {
            return Err(SchemaError::OriginalDamaged(format!("table \"{table}\"")));
        }
    }
    check_original_columns(connection).await
}

/// The tables of the first migration, read from its own text so that the two can't disagree.
fn original_tables() -> impl Iterator<Item = &'static str> {
    baseline().sql.as_str().lines().filter_map(|line| line.strip_prefix("CREATE TABLE \"")?.split('"').next())
}

fn baseline() -> &'static sqlx::migrate::Migration {
    MIGRATIONS.iter().next().expect("the migrations are compiled in, and there is a first one")
}

async fn check_original_columns(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let present: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = current_schema()",
    )
    .fetch_all(connection)
    .await?;
    let mut table = "";
    for line in baseline().sql.as_str().lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE \"") {
            table = rest.split('"').next().unwrap_or_default();
        } else if let Some(column) = line.strip_prefix("    \"").and_then(|rest| rest.split('"').next())
            && !present.iter().any(|(in_table, name)| in_table == table && name == column)
        {
            return Err(SchemaError::OriginalDamaged(format!("column \"{table}\".\"{column}\"")));
        }
    }
    Ok(())
}

/// Marks the first migration as run, since the original's own migrations did what it says.
async fn record_baseline(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let mut transaction = connection.begin().await?;
    // The shape sqlx itself creates; it keeps a table that exists.
    sqlx::query(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
             installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL,
             checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)",
    )
    .execute(&mut *transaction)
    .await?;
    let baseline = baseline();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES ($1, $2, now(), true, $3, 0)")
        .bind(baseline.version)
        .bind(baseline.description.as_ref())
        .bind(baseline.checksum.as_ref())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
