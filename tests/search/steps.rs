//! The searched tables follow every write, whoever makes it: here as the original backend does, in plain SQL.

use freehunt_tests::eventually;
use sqlx::{Connection, PgConnection};

use super::{run, with_database};

/// The texts of the postings that can be found, in order; first both tables must hold what they should.
async fn findable(connection: &mut PgConnection) -> Vec<String> {
    let differences: Vec<String> = sqlx::query_scalar(
        "(SELECT 'missing or stale ' || p::text FROM (TABLE job_posting_search_source EXCEPT TABLE job_posting_search) p)
         UNION ALL (SELECT 'too many ' || p::text FROM (TABLE job_posting_search EXCEPT TABLE job_posting_search_source) p)
         UNION ALL (SELECT 'missing or stale ' || f::text FROM (TABLE freelance_search_source EXCEPT TABLE freelance_search) f)
         UNION ALL (SELECT 'too many ' || f::text FROM (TABLE freelance_search EXCEPT TABLE freelance_search_source) f)",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert_eq!(differences, Vec::<String>::new());
    let sql = r"SELECT replace(text, E'\x01', '|') FROM job_posting_search ORDER BY text";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

async fn profiles(connection: &mut PgConnection) -> Vec<String> {
    findable(connection).await;
    let sql = r"SELECT replace(text, E'\x01', '|') FROM freelance_search ORDER BY text";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

/// A company, a freelance, two skills, and a published posting "Moteur" with one checkpoint.
async fn prepare(connection: &mut PgConnection) {
    run(
        connection,
        r#"INSERT INTO "User" ("email", "role", "username") VALUES ('a@example.org', 'COMPANY', 'acme'), ('b@example.org', 'FREELANCE', 'bob');
           INSERT INTO "Company" ("userId", "name", "siren", "description", "address")
               SELECT "id", 'Acme', '123456789', '', '' FROM "User" WHERE "username" = 'acme';
           INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority")
               SELECT "id", 'Bob', 'Martin', 450, 'Développeur', 'LYON', 3 FROM "User" WHERE "username" = 'bob';
           INSERT INTO "Skill" ("id", "name", "normalizedName", "type")
               VALUES ('00000000-0000-4000-8000-000000000001', 'Rust', 'rust', 'TECHNICAL'),
                      ('00000000-0000-4000-8000-000000000002', 'SQL', 'sql', 'TECHNICAL');
           INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority")
               SELECT "id", 'Moteur', '', false, 'REMOTE', 500, 2 FROM "Company";
           INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId") SELECT 'Un', '', now(), "id" FROM "JobPosting";
           UPDATE "JobPosting" SET "status" = 'PUBLISHED'"#,
    )
    .await;
}

#[tokio::test]
async fn a_posting_is_found_as_its_rows_say() {
    with_database(async |_, connection| {
        prepare(connection).await;
        assert_eq!(findable(connection).await, ["moteur"]);
        for (sql, expected) in [
            (r#"UPDATE "JobPosting" SET "status" = 'CANCELED'"#, ""),
            (r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED', "title" = 'Été'"#, "été"),
            (r#"UPDATE "JobPosting" SET "averageDailyRate" = 600.5, "seniority" = 0, "location" = 'HYBRID'"#, "été"),
            (r#"UPDATE "JobPosting" SET "createdAt" = '2020-01-01'"#, "été"),
            (
                r#"INSERT INTO "_JobPostingToSkill" SELECT p."id", s."id" FROM "JobPosting" p, "Skill" s"#,
                "été|rust|sql",
            ),
            (r#"UPDATE "Skill" SET "name" = 'RUST 2' WHERE "name" = 'Rust'"#, "été|rust 2|sql"),
            (r#"UPDATE "Skill" SET "aliases" = '{x}'"#, "été|rust 2|sql"),
            (
                r#"DELETE FROM "_JobPostingToSkill" WHERE "B" = '00000000-0000-4000-8000-000000000001'"#,
                "été|sql",
            ),
            (r#"UPDATE "_JobPostingToSkill" SET "B" = '00000000-0000-4000-8000-000000000001'"#, "été|rust 2"),
            (r#"DELETE FROM "Skill" WHERE "name" = 'RUST 2'"#, "été"),
            (r#"UPDATE "JobPosting" SET "id" = '00000000-0000-4000-8000-00000000000a'"#, "été"),
            (
                r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") SELECT p."id", f."id" FROM "JobPosting" p, "Freelance" f"#,
                "été",
            ),
            (r#"UPDATE "Candidate" SET "status" = 'ACCEPTED'"#, ""),
            (r#"UPDATE "JobPosting" SET "title" = 'Automne'"#, ""),
            (r#"UPDATE "Candidate" SET "status" = 'REJECTED'"#, "automne"),
            (r#"UPDATE "Candidate" SET "status" = 'ACCEPTED'"#, ""),
            (r#"DELETE FROM "Candidate""#, "automne"),
            (
                r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status") SELECT p."id", f."id", 'ACCEPTED' FROM "JobPosting" p, "Freelance" f"#,
                "",
            ),
            (r#"DELETE FROM "Candidate""#, "automne"),
            (r#"UPDATE "Checkpoint" SET "status" = 'DONE'"#, "automne"),
            (r#"DELETE FROM "Checkpoint""#, ""),
            (
                r#"INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId") SELECT 'Deux', '', now(), "id" FROM "JobPosting""#,
                "automne",
            ),
            (
                r#"INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority", "status")
                   SELECT "id", 'Seconde', '', false, 'REMOTE', 500, 2, 'PUBLISHED' FROM "Company""#,
                "automne",
            ),
            (
                r#"UPDATE "Checkpoint" SET "jobPostingId" = (SELECT "id" FROM "JobPosting" WHERE "title" = 'Seconde')"#,
                "seconde",
            ),
            (r#"DELETE FROM "Checkpoint"; DELETE FROM "JobPosting""#, ""),
        ] {
            run(connection, sql).await;
            assert_eq!(findable(connection).await.join(", "), expected, "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_profile_is_found_as_its_rows_say() {
    with_database(async |_, connection| {
        prepare(connection).await;
        assert_eq!(profiles(connection).await, ["bob|martin|développeur|lyon"]);
        for (sql, expected) in [
            (r#"UPDATE "Freelance" SET "firstName" = 'ZOÉ', "stripeAccountId" = 'x'"#, "zoé|martin|développeur|lyon"),
            (
                r#"INSERT INTO "_FreelanceToSkill" SELECT f."id", s."id" FROM "Freelance" f, "Skill" s"#,
                "zoé|martin|développeur|lyon|rust|sql",
            ),
            (r#"UPDATE "Skill" SET "name" = 'Go' WHERE "name" = 'SQL'"#, "zoé|martin|développeur|lyon|rust|go"),
            (r#"DELETE FROM "Skill" WHERE "name" = 'Rust'"#, "zoé|martin|développeur|lyon|go"),
            (r#"DELETE FROM "_FreelanceToSkill""#, "zoé|martin|développeur|lyon"),
            (
                r#"UPDATE "Freelance" SET "jobTitle" = 'Testeur', "averageDailyRate" = 1, "seniority" = 9"#,
                "zoé|martin|testeur|lyon",
            ),
            (r#"DELETE FROM "Freelance""#, ""),
        ] {
            run(connection, sql).await;
            assert_eq!(profiles(connection).await.join(", "), expected, "{sql}");
        }
    })
    .await;
}

/// Of two transactions that change one posting the second one waits, and then sees what the first one did.
#[tokio::test]
async fn two_writers_at_once_leave_no_stale_row() {
    for (first, second) in [
        (
            r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status") SELECT p."id", f."id", 'ACCEPTED' FROM "JobPosting" p, "Freelance" f"#,
            r#"UPDATE "JobPosting" SET "title" = 'Autre'"#,
        ),
        (
            r#"DELETE FROM "Checkpoint""#,
            r#"INSERT INTO "_JobPostingToSkill" SELECT p."id", s."id" FROM "JobPosting" p, "Skill" s"#,
        ),
        (r#"UPDATE "JobPosting" SET "status" = 'CANCELED'"#, r#"UPDATE "Skill" SET "name" = "name" || '!'"#),
    ] {
        with_database(async |database, connection| {
            prepare(connection).await;
            if second.contains(r#"UPDATE "Skill""#) {
                run(
                    connection,
                    r#"INSERT INTO "_JobPostingToSkill" SELECT p."id", s."id" FROM "JobPosting" p, "Skill" s"#,
                )
                .await;
            }
            let mut transaction = connection.begin().await.unwrap();
            sqlx::raw_sql(first).execute(&mut *transaction).await.unwrap();
            let mut other = PgConnection::connect_with(&database.options).await.unwrap();
            let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut other).await.unwrap();
            let waiter = tokio::spawn(async move {
                sqlx::raw_sql(second).execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            });
            let mut watcher = PgConnection::connect_with(&database.options).await.unwrap();
            eventually("the second writer waits", async || {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
                sqlx::query_scalar::<_, i64>(sql).bind(pid).fetch_one(&mut watcher).await.unwrap() == 1
            })
            .await;
            watcher.close().await.unwrap();
            transaction.commit().await.unwrap();
            waiter.await.unwrap();
            assert_eq!(findable(connection).await, Vec::<String>::new(), "{first}; {second}");
        })
        .await;
    }
}
