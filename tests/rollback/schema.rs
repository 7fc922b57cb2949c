use std::{collections::BTreeSet, path::Path};

use freehunt_tests::empty_database;
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator};

use super::ROLLED_BACK_TO;

/// What statements depend on, a row each: of which table (none for a type or a function), what it is, and whether it is
/// harmless where an older table gets it.
const DEPENDED_ON: &str = r"
    SELECT t.oid::regclass::text, format('column %s %s%s%s', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attnotnull THEN ' NOT NULL' END,
               CASE WHEN a.atthasdef OR a.attidentity <> '' THEN ' DEFAULT' END),
           NOT a.attnotnull OR a.atthasdef OR a.attidentity <> ''
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p', 'v', 'm')
    UNION ALL
    SELECT conrelid::regclass::text, format('constraint %s', pg_get_constraintdef(oid)), false
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
    UNION ALL
    SELECT indrelid::regclass::text, regexp_replace(pg_get_indexdef(indexrelid), ' INDEX \S+ ', ' INDEX '), false
    FROM pg_index JOIN pg_class t ON t.oid = indrelid
    WHERE indisunique AND t.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT tgrelid::regclass::text, pg_get_triggerdef(g.oid),
           -- After the statement, and announcing only (NOTIFY): by the name of its function.
           tgtype & 1 = 0 AND tgtype & 2 = 0
               AND f.proname IN ('notify_of_job_postings', 'notify_of_checkpoints', 'notify_of_job_posting_skills', 'notify_of_users',
                   'notify_of_companies', 'notify_of_freelances', 'notify_of_freelance_skills', 'notify_of_company_names')
    FROM pg_trigger g JOIN pg_class t ON t.oid = tgrelid JOIN pg_proc f ON f.oid = tgfoid
    WHERE NOT tgisinternal AND t.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT NULL, format('type %s: %s', t.oid::regtype, string_agg(enumlabel, ', ' ORDER BY enumsortorder)), true
    FROM pg_type t JOIN pg_enum ON enumtypid = t.oid WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.oid
    UNION ALL
    SELECT NULL, format('function %s(%s) %s', proname, pg_get_function_identity_arguments(oid),
               pg_get_function_result(oid)), true
    FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";

type Row = (Option<String>, String, bool);

async fn depended_on(connection: &mut PgConnection) -> BTreeSet<Row> {
    sqlx::query_as(DEPENDED_ON).fetch_all(connection).await.unwrap().into_iter().collect()
}

/// What an older program could trip over: what is gone or differs, and what its rows now have to satisfy.
fn findings(old: &BTreeSet<Row>, new: &BTreeSet<Row>) -> Vec<String> {
    let tables: BTreeSet<_> = old.iter().filter_map(|row| row.0.as_ref()).collect();
    let gone = old.difference(new).map(|(table, what, _)| format!("gone: {} {what}", table.as_deref().unwrap_or("")));
    let added = new
        .difference(old)
        .filter(|(table, _, is_harmless)| !is_harmless && table.as_ref().is_some_and(|table| tables.contains(table)));
    let added = added.map(|(table, what, _)| format!("demanded: {} {what}", table.as_deref().unwrap_or("")));
    gone.chain(added).collect()
}

async fn migrate_to(connection: &mut PgConnection, last: i64) {
    let all = Migrator::new(Path::new("../migrations")).await.unwrap();
    let some = all.iter().filter(|migration| migration.version <= last).cloned().collect();
    let mut migrator = Migrator::with_migrations(some);
    migrator.set_ignore_missing(true).set_locking(false);
    migrator.run_direct(None, connection, false).await.unwrap();
}

async fn at_the_older_version(test: impl AsyncFnOnce(&mut PgConnection, BTreeSet<Row>)) {
    let database = empty_database().await;
    let mut connection = PgConnection::connect_with(&database.options).await.unwrap();
    migrate_to(&mut connection, ROLLED_BACK_TO).await;
    let old = depended_on(&mut connection).await;
    assert!(old.len() > 200, "{} facts", old.len());
    test(&mut connection, old).await;
    connection.close().await.unwrap();
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn fault_case_147_newer_migrations_take_nothing_away_and_demand_nothing() {
    at_the_older_version(async |connection, old| {
        migrate_to(connection, i64::MAX).await;
        let new = depended_on(connection).await;
        assert!(new.len() > old.len(), "there is no newer migration: ROLLED_BACK_TO is too high");
        let findings = findings(&old, &new);
        assert!(findings.is_empty(), "older programs fail on it: {findings:#?}");
    })
    .await;
}

/// The rule itself: what it lets through, and what it does not.
#[tokio::test]
async fn a_change_that_an_older_program_trips_over_is_found() {
    at_the_older_version(async |connection, old| {
        for (change, is_found) in [
            (r#"ALTER TABLE "User" ADD COLUMN nickname text"#, false),
            (r#"ALTER TABLE "User" ADD COLUMN nickname text NOT NULL DEFAULT ''"#, false),
            (r#"CREATE TABLE nickname (user_id uuid UNIQUE REFERENCES "User", name text NOT NULL CHECK (name <> ''))"#, false),
            (r#"CREATE INDEX nickname ON "User" (lower("username"))"#, false),
            ("CREATE TYPE nickname AS ENUM ('a')", false),
            (r#"ALTER TABLE "User" ADD COLUMN nickname text NOT NULL"#, true),
            (r#"ALTER TABLE "User" ADD CHECK ("username" <> 'x')"#, true),
            (r#"CREATE UNIQUE INDEX nickname ON "User" (lower("username"), "email")"#, true),
            (r#"ALTER TABLE "User" RENAME COLUMN "username" TO nickname"#, true),
            (r#"ALTER TABLE "Message" DROP COLUMN "content""#, true),
            (r#"ALTER TABLE "Message" ALTER COLUMN "content" TYPE varchar(10)"#, true),
            (r#"ALTER TABLE "Message" ALTER COLUMN "content" DROP NOT NULL"#, true),
            (r#"ALTER TABLE "Message" ALTER COLUMN "createdAt" DROP DEFAULT"#, true),
            (r#"ALTER TYPE "Role" ADD VALUE 'ROBOT'"#, true),
            (r#"DROP TABLE "Log""#, true),
            (
                r#"CREATE FUNCTION notify_of_users() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                   CREATE TRIGGER nickname AFTER TRUNCATE ON "User" FOR EACH STATEMENT
                   EXECUTE FUNCTION notify_of_users()"#,
                false,
            ),
            (
                r#"CREATE FUNCTION notify_of_users() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                   CREATE TRIGGER nickname BEFORE TRUNCATE ON "User" FOR EACH STATEMENT
                   EXECUTE FUNCTION notify_of_users()"#,
                true,
            ),
            (
                r#"CREATE TRIGGER nickname AFTER TRUNCATE ON "User" FOR EACH STATEMENT
                   EXECUTE FUNCTION refuse_audit_truncation()"#,
                true,
            ),
            (
                r#"CREATE TRIGGER nickname BEFORE INSERT ON "User" FOR EACH ROW
                   EXECUTE FUNCTION suppress_redundant_updates_trigger()"#,
                true,
            ),
        ] {
            let mut transaction = connection.begin().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut *transaction).await.unwrap();
            let new = depended_on(&mut transaction).await;
            transaction.rollback().await.unwrap();
            assert_eq!(!findings(&old, &new).is_empty(), is_found, "{change}: {:?}", findings(&old, &new));
        }
    })
    .await;
}
