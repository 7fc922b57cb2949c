//! Large tables are never read: each search of 50 000 postings or profiles touches a bounded number of rows, by index.

use freehunt_domain::{
    freelances::{self, FreelanceSearch},
    job_postings::search::{self, JobPostingSearch},
    search::Searching,
    skills::SkillCatalog,
};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{run, seeker, with_database};

/// Without triggers, which a load of this size does not need: 50 000 postings and profiles with three of 60 skills each. One title in a hundred has "blockchain" in it, one in
/// ten thousand "quantique", and "fossile" is only in the oldest ones.
const ROWS: &str = r#"
SET session_replication_role = replica;
INSERT INTO "User" ("id", "email", "role", "username")
    SELECT md5('u' || i)::uuid, 'u' || i, 'FREELANCE', 'u' || i FROM generate_series(1, 50000) i;
INSERT INTO "Company" ("userId", "name", "siren", "description", "address") VALUES (md5('u1')::uuid, 'Acme', '1', '', '');
INSERT INTO "Skill" ("id", "name", "normalizedName", "type")
    SELECT md5('s' || i)::uuid, 'Skill ' || i, 's' || i, 'TECHNICAL' FROM generate_series(0, 59) i;
INSERT INTO "Skill" ("id", "name", "normalizedName", "type") VALUES (md5('rare')::uuid, 'Cobol', 'cobol', 'TECHNICAL');
INSERT INTO "JobPosting" ("id", "companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority", "status", "createdAt")
    SELECT md5('p' || i)::uuid, c."id",
           'Développeur ' || (ARRAY['rust', 'java', 'web'])[1 + i % 3]
           || CASE WHEN i % 10000 = 5 THEN ' quantique' WHEN i % 100 = 7 THEN ' blockchain' WHEN i < 50 THEN ' fossile' ELSE '' END,
           '', false, 'REMOTE', 200 + i % 1000, i % 15, 'PUBLISHED', timestamp '2020-01-01' + i * interval '1 minute'
    FROM "Company" c, generate_series(1, 50000) i;
INSERT INTO "_JobPostingToSkill" SELECT DISTINCT md5('p' || i)::uuid, md5('s' || (i * k * k) % 60)::uuid
    FROM generate_series(1, 50000) i, generate_series(1, 3) k;
INSERT INTO "_JobPostingToSkill" SELECT md5('p' || i * 5000)::uuid, md5('rare')::uuid FROM generate_series(1, 10) i;
INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId") SELECT 'Un', '', now(), "id" FROM "JobPosting";
INSERT INTO "Freelance" ("id", "userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority", "createdAt")
    SELECT md5('f' || i)::uuid, md5('u' || i)::uuid, 'Alice', 'Martin', 200 + i % 1000,
           'Développeur' || CASE WHEN i % 10000 = 5 THEN ' quantique' ELSE '' END, 'Lyon', i % 15,
           timestamp '2020-01-01' + i * interval '1 minute'
    FROM generate_series(1, 50000) i;
INSERT INTO "_FreelanceToSkill" SELECT DISTINCT md5('f' || i)::uuid, md5('s' || (i * k * k) % 60)::uuid
    FROM generate_series(1, 50000) i, generate_series(1, 3) k;
DROP INDEX job_posting_search_text, freelance_search_text;
INSERT INTO job_posting_search SELECT * FROM job_posting_search_source ORDER BY created_at;
INSERT INTO freelance_search SELECT * FROM freelance_search_source ORDER BY created_at;
CREATE INDEX job_posting_search_text ON job_posting_search USING gin (text gin_trgm_ops, skills) WITH (fastupdate = off);
CREATE INDEX freelance_search_text ON freelance_search USING gin (text gin_trgm_ops, skills) WITH (fastupdate = off);
SET session_replication_role = origin;
ANALYZE"#;

/// The plans that connections use for good are those without the values.
const GENERIC: &str = "SET plan_cache_mode = force_generic_plan";

/// How often large tables were read as a whole, and how many rows of the searched tables were fetched so far.
async fn touched(connection: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "SELECT coalesce(sum(seq_scan), 0)::int8,
                coalesce(sum(idx_tup_fetch) FILTER (WHERE relname LIKE '%\\_search'), 0)::int8
         FROM pg_stat_xact_user_tables WHERE relname NOT IN ('Skill', 'Company')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Runs a search until its statements have their final plans, and says how many rows the last run fetched.
macro_rules! fetched {
    ($connection:expr, $search:expr) => {{
        run($connection, "BEGIN").await;
        let mut rows = 0;
        let mut found = None;
        for _ in 0..7 {
            let before = touched($connection).await;
            found = Some($search.await.unwrap());
            let after = touched($connection).await;
            assert_eq!(after.0, before.0, "a table was read as a whole");
            rows = after.1 - before.1;
        }
        run($connection, "ROLLBACK").await;
        (rows, found.unwrap())
    }};
}

/// No statement that was run on the searched tables would read one of them as a whole; how many there were.
async fn assert_indexed(connection: &mut PgConnection) -> usize {
    run(connection, GENERIC).await;
    let statements: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT name, statement, cardinality(parameter_types)::int8 FROM pg_prepared_statements
         WHERE statement LIKE '%\\_search%' AND statement NOT LIKE '%pg_stat%' AND statement NOT LIKE '%pg_prepared%'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for (name, statement, parameters) in &statements {
        let nulls = vec!["NULL"; usize::try_from(*parameters).unwrap()].join(", ");
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE {name}({nulls})"));
        let plan: Vec<String> =
            sqlx::query_scalar(explain).persistent(false).fetch_all(&mut *connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan on job_posting_search"), "{statement}\n{plan}");
        assert!(!plan.contains("Seq Scan on freelance_search"), "{statement}\n{plan}");
    }
    statements.len()
}

#[tokio::test]
async fn no_search_reads_a_large_table() {
    with_database(async |_, connection| {
        run(connection, ROWS).await;
        // As autovacuum does: then an index alone is enough for what it holds.
        run(connection, "VACUUM ANALYZE job_posting_search").await;
        run(connection, "VACUUM ANALYZE freelance_search").await;
        search_postings(connection).await;
        search_profiles(connection).await;
        assert!(assert_indexed(connection).await >= 9, "a statement was not run");
    })
    .await;
}

async fn search_postings(connection: &mut PgConnection) {
    let seeker = seeker(connection).await;
    let base = JobPostingSearch {
        minimum_daily_rate: Some(0.0),
        maximum_daily_rate: Some(1500.0),
        take: 10,
        ..JobPostingSearch::default()
    };
    let titled = |title: &str| JobPostingSearch { title: Some(title.to_owned()), ..base.clone() };
    // The search, who asks, how many rows it may fetch, and how many matches it must know at least and at most.
    let cases = [
        ("anonymous", base.clone(), false, 600, 45_000..=55_000),
        ("a common word", titled("Rust"), false, 600, 14_000..=20_000),
        ("a word everywhere", titled("développeur"), false, 600, 45_000..=55_000),
        ("a word of one in a hundred", titled("blockchain"), false, 1100, 500..=500),
        ("a rare word", titled("quantique"), false, 600, 5..=5),
        ("old postings", titled("fossile"), false, 600, 47..=47),
        ("a word that is nowhere", titled("introuvable"), false, 600, 0..=0),
        ("two letters that are nowhere", titled("zq"), false, 25_600, 0..=0),
        ("a deep page", JobPostingSearch { skip: 10_000, ..base.clone() }, false, 600, 45_000..=55_000),
        (
            "a deep page of a common word",
            JobPostingSearch { skip: 3000, ..titled("rust") },
            false,
            9_800,
            14_000..=20_000,
        ),
        ("a page beyond", JobPostingSearch { skip: 2_000_000, ..base.clone() }, false, 600, 45_000..=55_000),
        (
            "a page beyond, common word",
            JobPostingSearch { skip: 60_000, ..titled("rust") },
            false,
            600,
            14_000..=20_000,
        ),
        ("skills in common", base.clone(), true, 2600, 45_000..=55_000),
        ("skills in common, rare word", titled("quantique"), true, 600, 5..=5),
        (
            "a common skill",
            JobPostingSearch { skill_names: vec!["skill 1".into()], ..base.clone() },
            false,
            1500,
            500..=3000,
        ),
        ("a rare skill", JobPostingSearch { skill_names: vec!["COBOL".into()], ..base.clone() }, false, 600, 10..=10),
        (
            "a narrow range of rates",
            JobPostingSearch { minimum_daily_rate: Some(500.0), maximum_daily_rate: Some(500.5), ..base.clone() },
            false,
            600,
            50..=50,
        ),
        (
            "a rare word of one seniority",
            JobPostingSearch { minimum_seniority: Some(5.0), maximum_seniority: Some(5.0), ..titled("quantique") },
            false,
            600,
            1..=5,
        ),
    ];
    let searching = Searching::default();
    let catalog = SkillCatalog::load(connection).await.unwrap();
    // The first search for a word takes the sample that the others use.
    search::search(connection, &catalog, &titled("quantique"), None, &searching).await.unwrap();
    for (name, search, asks, most, totals) in cases {
        let asker = asks.then_some(seeker);
        let (rows, found) = fetched!(connection, search::search(connection, &catalog, &search, asker, &searching));
        assert!(rows <= most, "{name}: {rows} rows");
        assert!(totals.contains(&found.total), "{name}: total {}", found.total);
        let beyond = search.skip > 50_000;
        let expected = if beyond { 0 } else { usize::try_from(found.total.min(10)).unwrap() };
        assert_eq!(found.page.len(), expected, "{name}");
    }
}

async fn search_profiles(connection: &mut PgConnection) {
    let base = FreelanceSearch {
        query: Some(String::new()),
        min_daily_rate: Some(0.0),
        max_daily_rate: Some(1500.0),
        take: 10,
        ..FreelanceSearch::default()
    };
    let asking = |query: &str| FreelanceSearch { query: Some(query.to_owned()), ..base.clone() };
    let titled = |title: &str| FreelanceSearch { job_title: Some(title.to_owned()), ..base.clone() };
    let cases = [
        ("all", base.clone(), 600, 45_000..=55_000),
        ("a common word", asking("MARTIN"), 600, 45_000..=55_000),
        ("a rare word", asking("quantique"), 600, 5..=5),
        ("a rare job title", titled("quantique"), 600, 5..=5),
        ("a job title that is a name", titled("martin"), 25_600, 0..=0),
        ("a deep page", FreelanceSearch { skip: 10_000, ..base.clone() }, 600, 45_000..=55_000),
        ("a skill", FreelanceSearch { skill_names: Some(vec!["Skill 7".into()]), ..base.clone() }, 1500, 500..=3000),
    ];
    let searching = Searching::default();
    let catalog = SkillCatalog::load(connection).await.unwrap();
    freelances::search(connection, &catalog, &asking("quantique"), &searching).await.unwrap();
    for (name, search, most, totals) in cases {
        let (rows, page) = fetched!(connection, freelances::search(connection, &catalog, &search, &searching));
        assert!(rows <= most, "{name}: {rows} rows");
        assert!(totals.contains(&page.total), "{name}: total {}", page.total);
        assert_eq!(page.found.len(), usize::try_from(page.total.min(10)).unwrap(), "{name}");
    }
}
