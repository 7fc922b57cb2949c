//! Making, adopting and refusing databases.

use freehunt_domain::schema::{self, Outcome, SchemaError};
use freehunt_sandbox::postgres::TestDatabase;
use freehunt_tests::empty_database;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const ORIGINAL_SCHEMA: &str = include_str!("../migrations/0001_original_schema.sql");
const ORIGINAL_MIGRATIONS: &str = include_str!("contract/original-migrations.txt");

async fn with_empty_database(test: impl AsyncFnOnce(&TestDatabase, &mut PgConnection)) {
    let database = empty_database().await;
    let mut connection = PgConnection::connect_with(&database.options).await.unwrap();
    test(&database, &mut connection).await;
    connection.close().await.unwrap();
    database.drop_now().await.unwrap();
}

/// A database as the original leaves it: its schema, its history and some rows.
async fn make_original(connection: &mut PgConnection) {
    sqlx::raw_sql(ORIGINAL_SCHEMA).execute(&mut *connection).await.unwrap();
    sqlx::raw_sql(
        r#"CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz,
               migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
               started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)"#,
    )
    .execute(&mut *connection)
    .await
    .unwrap();
    for name in ORIGINAL_MIGRATIONS.lines() {
        sqlx::query("INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES (gen_random_uuid()::text, 'x', now(), $1)")
            .bind(name)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    sqlx::raw_sql(
        r#"INSERT INTO "User" ("email", "role", "username") VALUES ('Bob@example.org', 'FREELANCE', 'bob'), ('acme@example.org', 'COMPANY', 'acme');
           INSERT INTO "Company" ("userId", "name", "siren", "description", "address")
               SELECT "id", 'Acme', '123456789', '', '' FROM "User" WHERE "username" = 'acme';
           INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority", "totalAmount", "status")
               SELECT "id", 'Old', '', false, 'REMOTE', 333.33, 2, 0.1 + 0.2, 'PUBLISHED' FROM "Company";
           INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "amount", "status")
               SELECT 'Done', '', now(), "id", 0.30000000000000004, 'DONE' FROM "JobPosting";
           INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority")
               SELECT "id", 'Bob', 'B', 10.5, '', '', 0 FROM "User" WHERE "username" = 'bob';
           INSERT INTO "Candidate" ("jobPostingId", "freelanceId")
               SELECT p."id", f."id" FROM "JobPosting" p, "Freelance" f, generate_series(1, 2);
           INSERT INTO "Log" ("tableName", "action") VALUES ('User', 'old')"#,
    )
    .execute(connection)
    .await
    .unwrap();
}

/// A hash of every row of every table of the original, over the original's own columns.
async fn fingerprint(connection: &mut PgConnection) -> Vec<(String, i64, Option<String>)> {
    let tables: Vec<&str> =
        ORIGINAL_SCHEMA.lines().filter_map(|line| line.strip_prefix("CREATE TABLE \"")?.split('"').next()).collect();
    let mut prints = Vec::new();
    for table in tables {
        let columns: Vec<&str> = ORIGINAL_SCHEMA
            .lines()
            .skip_while(|line| !line.starts_with(&format!("CREATE TABLE \"{table}\"")))
            .skip(1)
            .map_while(|line| line.strip_prefix("    \"")?.split('"').next())
            .collect();
        let columns = columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM (SELECT {columns} FROM \"{table}\") r"
        );
        let (count, hash): (i64, Option<String>) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.unwrap();
        prints.push((table.to_owned(), count, hash));
    }
    prints
}

#[tokio::test]
async fn an_empty_database_is_made_and_then_left_alone() {
    with_empty_database(async |_, connection| {
        assert!(!schema::is_current(connection).await.unwrap());
        assert_eq!(schema::migrate(connection).await.unwrap(), Outcome::Created);
        assert!(schema::is_current(connection).await.unwrap());
        assert_eq!(schema::migrate(connection).await.unwrap(), Outcome::Updated { applied: 0 });
    })
    .await;
}

/// Fault case 149.
#[tokio::test]
async fn the_originals_database_is_adopted_with_every_row_as_it_was() {
    with_empty_database(async |_, connection| {
        make_original(connection).await;
        let before = fingerprint(connection).await;
        assert_eq!(schema::migrate(connection).await.unwrap(), Outcome::Adopted);
        assert_eq!(fingerprint(connection).await, before);
        // A published posting and a settled checkpoint without recorded money are known as such.
        let legacy: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM legacy_publication), (SELECT count(*) FROM legacy_settlement)",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        assert_eq!(legacy, (1, 1));
        // The rows break the rule "one application each": its index is left out, and nothing else.
        let unique: Option<String> = sqlx::query_scalar("SELECT to_regclass('candidate_once_per_posting')::text")
            .fetch_one(connection)
            .await
            .unwrap();
        assert_eq!(unique, None);
    })
    .await;
}

/// Fault case 146.
#[tokio::test]
async fn three_replicas_that_start_together_migrate_once() {
    with_empty_database(async |database, connection| {
        let mut replicas = Vec::new();
        for _ in 0..3 {
            let options = database.options.clone();
            replicas.push(tokio::spawn(async move {
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                let outcome = schema::migrate(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                outcome
            }));
        }
        let mut created = 0;
        for replica in replicas {
            created += usize::from(replica.await.unwrap() == Outcome::Created);
        }
        assert_eq!(created, 1);
        assert!(schema::is_current(connection).await.unwrap());
    })
    .await;
}

/// Fault case 147: the original's inserts name its own columns only, so an added column must not demand a value.
#[tokio::test]
async fn the_original_can_still_write_after_the_migration() {
    with_empty_database(async |_, connection| {
        sqlx::raw_sql(ORIGINAL_SCHEMA).execute(&mut *connection).await.unwrap();
        let original: Vec<(String, String)> = columns(connection).await.into_iter().map(|row| (row.0, row.1)).collect();
        sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut *connection).await.unwrap();
        schema::migrate(connection).await.unwrap();
        let now = columns(connection).await;
        for (table, column) in &original {
            assert!(now.iter().any(|row| (&row.0, &row.1) == (table, column)), "{table}.{column} is gone");
        }
        let demanding: Vec<_> = now
            .iter()
            .filter(|(table, column, _)| {
                original.iter().any(|(known, _)| known == table) && !original.contains(&(table.clone(), column.clone()))
            })
            .filter(|(_, _, demands_a_value)| *demands_a_value)
            .collect();
        assert!(demanding.is_empty(), "{demanding:?}");
    })
    .await;
}

async fn columns(connection: &mut PgConnection) -> Vec<(String, String, bool)> {
    sqlx::query_as(
        "SELECT table_name::text, column_name::text, is_nullable = 'NO' AND column_default IS NULL
         FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// Fault case 147: a replica of the previous version starts on the schema of the next one.
#[tokio::test]
async fn a_newer_schema_is_served() {
    with_empty_database(async |_, connection| {
        schema::migrate(connection).await.unwrap();
        sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'from the future', now(), true, '\\x00', 0)")
            .execute(&mut *connection)
            .await
            .unwrap();
        assert_eq!(schema::migrate(connection).await.unwrap(), Outcome::Updated { applied: 0 });
        assert!(schema::is_current(connection).await.unwrap());
    })
    .await;
}

/// Fault case 148.
#[tokio::test]
async fn half_migrated_and_unknown_databases_are_refused() {
    with_empty_database(async |_, connection| {
        schema::migrate(connection).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET success = false WHERE version = 4")
            .execute(&mut *connection)
            .await
            .unwrap();
        assert!(matches!(schema::migrate(connection).await, Err(SchemaError::Interrupted(4))));
        assert!(!schema::is_current(connection).await.unwrap());
        sqlx::query("UPDATE _sqlx_migrations SET success = true, checksum = '\\x00' WHERE version = 4")
            .execute(&mut *connection)
            .await
            .unwrap();
        assert!(matches!(schema::migrate(connection).await, Err(SchemaError::Changed(4))));
    })
    .await;
    with_empty_database(async |_, connection| {
        sqlx::query("CREATE TABLE somebody_elses (id int)").execute(&mut *connection).await.unwrap();
        assert!(matches!(schema::migrate(connection).await, Err(SchemaError::Unknown(_))));
    })
    .await;
}

/// Fault case 148, for a database of the original.
#[tokio::test]
async fn an_unfinished_or_other_history_of_the_original_is_refused() {
    with_empty_database(async |_, connection| {
        make_original(connection).await;
        sqlx::query("UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '20250706144257%'")
            .execute(&mut *connection)
            .await
            .unwrap();
        assert!(matches!(schema::migrate(connection).await, Err(SchemaError::OriginalUnfinished(_))));
        sqlx::query("DELETE FROM _prisma_migrations WHERE finished_at IS NULL")
            .execute(&mut *connection)
            .await
            .unwrap();
        assert!(matches!(schema::migrate(connection).await, Err(SchemaError::OriginalVersion { count: 27, .. })));
    })
    .await;
    with_empty_database(async |_, connection| {
        make_original(connection).await;
        sqlx::query(r#"ALTER TABLE "Freelance" DROP COLUMN "stripeAccountId""#)
            .execute(&mut *connection)
            .await
            .unwrap();
        let refusal = schema::migrate(connection).await.unwrap_err().to_string();
        assert!(refusal.contains("stripeAccountId"), "{refusal}");
    })
    .await;
}

/// The search's migration says in one line what a database needs whose owner may not create the extension.
#[tokio::test]
async fn a_missing_extension_is_named() {
    with_empty_database(async |database, connection| {
        let role = format!("limited_{}", database.name);
        let setup = format!(r#"CREATE ROLE "{role}"; GRANT ALL ON SCHEMA public TO "{role}"; SET ROLE "{role}""#);
        sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut *connection).await.unwrap();
        let refusal = schema::migrate(connection).await.unwrap_err().to_string();
        assert!(refusal.contains("pg_trgm") && refusal.contains("superuser") && !refusal.contains('\n'), "{refusal}");
        let cleanup = format!(r#"RESET ROLE; DROP OWNED BY "{role}"; DROP ROLE "{role}""#);
        sqlx::raw_sql(AssertSqlSafe(cleanup)).execute(connection).await.unwrap();
    })
    .await;
}
