//! Answers that are kept in memory: a published posting as everybody sees it, and one's own account. Whoever changes a row
//! they are made of, every replica reads it anew.

use freehunt_domain::time::Clock;
use freehunt_tests::{Persona, TestApp, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    auth::{LISTENERS_ENDED, Replica},
    world::{Names, World},
};

/// What is changed, by a program that knows nothing of the servers, and what the next answer has at which place.
const POSTING_CHANGES: [(&str, &str, &str); 15] = [
    (r#"UPDATE "JobPosting" SET "title" = 'Autre' WHERE "id" = '{{jPublished}}'"#, "/title", r#""Autre""#),
    (r#"UPDATE "Company" SET "name" = 'Acme SARL' WHERE "id" = '{{cAcme}}'"#, "/company/name", r#""Acme SARL""#),
    (
        r#"UPDATE "Checkpoint" SET "name" = 'Jalon' WHERE "jobPostingId" = '{{jPublished}}'"#,
        "/checkpoints/0/name",
        r#""Jalon""#,
    ),
    (
        r#"INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "amount")
           VALUES ('Dernier', '', now() + interval '90 years', '{{jPublished}}', 1)"#,
        "/checkpoints/2/name",
        r#""Dernier""#,
    ),
    // Moved to another posting, and back.
    (r#"UPDATE "Checkpoint" SET "jobPostingId" = '{{jUnpaid}}' WHERE "name" = 'Dernier'"#, "/checkpoints/2", "null"),
    (
        r#"UPDATE "Checkpoint" SET "jobPostingId" = '{{jPublished}}' WHERE "name" = 'Dernier'"#,
        "/checkpoints/2/name",
        r#""Dernier""#,
    ),
    (r#"DELETE FROM "Checkpoint" WHERE "name" = 'Dernier'"#, "/checkpoints/2", "null"),
    (r#"UPDATE "Skill" SET "name" = 'Ferris' WHERE "id" = '{{skRust}}'"#, "/skills/0/name", r#""Ferris""#),
    (r#"UPDATE "_JobPostingToSkill" SET "B" = '{{skSQL}}' WHERE "A" = '{{jPublished}}'"#, "/skills/0/name", r#""SQL""#),
    (r#"DELETE FROM "_JobPostingToSkill" WHERE "A" = '{{jPublished}}'"#, "/skills/0", "null"),
    (
        r#"INSERT INTO "_JobPostingToSkill" ("A", "B") VALUES ('{{jPublished}}', '{{skJS}}')"#,
        "/skills/0/name",
        r#""JavaScript""#,
    ),
    // A hundred and more at once are announced as one.
    (
        r#"INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority")
               SELECT '{{cAcme}}', 'Une parmi d''autres', '', false, 'REMOTE', 1, 1 FROM generate_series(1, 150);
           UPDATE "JobPosting" SET "description" = 'Partout'"#,
        "/description",
        r#""Partout""#,
    ),
    // Taken away and brought back.
    (
        r#"UPDATE "JobPosting" SET "status" = 'DRAFT' WHERE "id" = '{{jPublished}}'"#,
        "/message",
        r#""Annonce avec l'ID {{jPublished}} introuvable""#,
    ),
    (r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED' WHERE "id" = '{{jPublished}}'"#, "/status", r#""PUBLISHED""#),
    (r#"TRUNCATE "JobPosting" CASCADE"#, "/statusCode", "404"),
];

const ACCOUNT_CHANGES: [(&str, &str, &str, &str); 14] = [
    ("alice", r#"UPDATE "User" SET "username" = 'alicia' WHERE "id" = '{{uAlice}}'"#, "/username", r#""alicia""#),
    (
        "alice",
        r#"UPDATE "Freelance" SET "jobTitle" = 'Autre' WHERE "id" = '{{fAlice}}'"#,
        "/freelance/jobTitle",
        r#""Autre""#,
    ),
    (
        "alice",
        r#"UPDATE "Skill" SET "name" = 'Ferris' WHERE "id" = '{{skRust}}'"#,
        "/freelance/skills/1/name",
        r#""Ferris""#,
    ),
    ("alice", r#"DELETE FROM "_FreelanceToSkill" WHERE "B" = '{{skRust}}'"#, "/freelance/skills/1/name", r#""DevOps""#),
    (
        "alice",
        r#"INSERT INTO "_FreelanceToSkill" ("A", "B") VALUES ('{{fAlice}}', '{{skSQL}}')"#,
        "/freelance/skills/2/name",
        r#""SQL""#,
    ),
    (
        "alice",
        r#"UPDATE "_FreelanceToSkill" SET "B" = '{{skRust}}' WHERE "A" = '{{fAlice}}' AND "B" = '{{skSQL}}'"#,
        "/freelance/skills/1/name",
        r#""Ferris""#,
    ),
    (
        "acme",
        r#"UPDATE "Company" SET "address" = 'Ailleurs' WHERE "id" = '{{cAcme}}'"#,
        "/company/address",
        r#""Ailleurs""#,
    ),
    (
        "dora",
        r#"INSERT INTO "Company" ("userId", "name", "siren", "description", "address")
           VALUES ('{{uDora}}', 'Dora', '123456789', '', '')"#,
        "/company/name",
        r#""Dora""#,
    ),
    ("dora", r#"DELETE FROM "Company" WHERE "userId" = '{{uDora}}'"#, "/company", "null"),
    (
        "carol",
        r#"INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority")
           VALUES ('{{uCarol}}', 'Carol', 'C', 1, '', '', 0)"#,
        "/freelance/firstName",
        r#""Carol""#,
    ),
    ("carol", r#"DELETE FROM "Freelance" WHERE "userId" = '{{uCarol}}'"#, "/freelance", "null"),
    // A company changes hands: both sides see it.
    (
        "dora",
        r#"UPDATE "Company" SET "userId" = '{{uDora}}' WHERE "userId" = '{{uGlobex}}'"#,
        "/company/name",
        r#""globex SAS""#,
    ),
    ("dora", r#"UPDATE "Company" SET "userId" = '{{uGlobex}}' WHERE "userId" = '{{uDora}}'"#, "/company", "null"),
    ("bob", r#"TRUNCATE "_FreelanceToSkill""#, "/freelance/skills/0", "null"),
];

/// What `path` of the answer is, `null` when there is nothing.
async fn shown(reader: &Persona, path: &str, pointer: &str) -> Value {
    reader.get(path).await.body.pointer(pointer).cloned().unwrap_or(Value::Null)
}

/// Asked often enough that the answer is kept, if it is kept at all.
async fn warm_up(reader: &Persona, path: &str) -> Value {
    reader.get(path).await;
    reader.get(path).await.body
}

#[tokio::test]
async fn every_replica_forgets_a_posting_that_changed() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let second = Replica::start(app, Clock::system()).await;
        // Bob has no part in it, and is shown what strangers are.
        let readers = [app.anonymous(), app.at(world.persona("bob"), &second.url)];
        let path = format!("/job-postings/{}", world.get("jPublished"));
        for (change, pointer, expected) in POSTING_CHANGES {
            let expected: Value =
                serde_json::from_str(&world.fill(app, &mut Names::new(), expected).await).expect("JSON");
            for reader in &readers {
                let before = warm_up(reader, &path).await;
                assert_ne!(before.pointer(pointer).unwrap_or(&Value::Null), &expected, "{change} changes nothing");
            }
            world.execute(app, change).await;
            for reader in &readers {
                eventually(change, async || shown(reader, &path, pointer).await == expected).await;
            }
        }
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn every_replica_forgets_an_account_that_changed() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let second = Replica::start(app, Clock::system()).await;
        for (who, change, pointer, expected) in ACCOUNT_CHANGES {
            let expected: Value = serde_json::from_str(expected).expect("JSON");
            let readers = [world.persona(who).clone(), app.at(world.persona(who), &second.url)];
            let paths = ["/auth/getme".to_owned(), format!("/users/{}", readers[0].user_id)];
            for (reader, path) in readers.iter().zip(&paths) {
                let before = warm_up(reader, path).await;
                assert_ne!(before.pointer(pointer).unwrap_or(&Value::Null), &expected, "{change} changes nothing");
            }
            world.execute(app, change).await;
            for (reader, path) in readers.iter().zip(&paths) {
                eventually(change, async || shown(reader, path, pointer).await == expected).await;
            }
        }
        second.stop().await;
    })
    .await;
}

/// A column of a table whose changes nobody announces any more, and where it is shown.
struct Silence<'a> {
    table: &'a str,
    column: &'a str,
    reader: &'a Persona,
    path: &'a str,
    pointer: &'a str,
}

impl<'a> Silence<'a> {
    fn of_job_title(reader: &'a Persona) -> Self {
        let (table, column) = ("Freelance", "jobTitle");
        Self { table, column, reader, path: "/auth/getme", pointer: "/freelance/jobTitle" }
    }

    fn of_title(reader: &'a Persona, path: &'a str) -> Self {
        Self { table: "JobPosting", column: "title", reader, path, pointer: "/title" }
    }

    async fn begin(&self, app: &TestApp) {
        app.execute(&format!(r#"ALTER TABLE "{}" DISABLE TRIGGER announce_update"#, self.table)).await;
    }

    /// Until the server listens, which it does with its first requests, it reads. After this it shows what is no more.
    async fn is_kept(&self, app: &TestApp) {
        let mut number = 0;
        let is_kept = async || {
            let before = warm_up(self.reader, self.path).await;
            number += 1;
            app.execute(&format!(r#"UPDATE "{}" SET "{}" = 'Silence {number}'"#, self.table, self.column)).await;
            Some(&self.shown().await) == before.pointer(self.pointer)
        };
        eventually("it is kept", is_kept).await;
    }

    async fn shown(&self) -> Value {
        shown(self.reader, self.path, self.pointer).await
    }
}

/// What the other tests wait for would come without a trigger too, if nothing were kept. Fault case 12's like: while a
/// process does not hear of changes, it trusts nothing that it keeps.
#[tokio::test]
async fn a_change_that_nobody_announces_is_seen_once_nothing_is_heard() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let posting = format!("/job-postings/{}", world.get("jPublished"));
        let silences = [
            Silence::of_title(world.persona("anonymous"), &posting),
            Silence::of_title(world.persona("bob"), &posting),
            Silence::of_job_title(world.persona("alice")),
        ];
        let mut before = Vec::new();
        for silence in &silences {
            silence.begin(app).await;
            silence.is_kept(app).await;
            before.push(silence.shown().await);
        }
        // Those who are connected stay; nobody else comes in.
        let let_in = async |is_let_in: bool| {
            let statement =
                format!("UPDATE pg_database SET datallowconn = {is_let_in} WHERE datname = current_database()");
            app.execute(&statement).await;
        };
        let_in(false).await;
        app.execute(LISTENERS_ENDED).await;
        for (silence, before) in silences.iter().zip(before) {
            eventually("it is read again", async || silence.shown().await != before).await;
        }
        let_in(true).await;
    })
    .await;
}

/// Nobody waits for a notification to see what they did themselves, and what is read while they do it is not kept.
#[tokio::test]
async fn a_change_of_ones_own_account_is_seen_at_once() {
    TestApp::run(async |app| {
        let bob = app.freelance("bob").await;
        let silence = Silence::of_job_title(&bob);
        silence.begin(app).await;
        silence.is_kept(app).await;
        app.execute(r#"ALTER TABLE "User" DISABLE TRIGGER announce_update"#).await;
        let mut in_the_way = app.pool.begin().await.unwrap();
        sqlx::query(r#"SELECT FROM "User" FOR UPDATE"#).execute(&mut *in_the_way).await.unwrap();
        let path = format!("/users/{}", bob.user_id);
        let change = bob.patch(&path, json!({ "username": "robert" }));
        let reads_meanwhile = async {
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let is_waiting = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(&app.pool).await.unwrap() > 0;
            eventually("the change waits", is_waiting).await;
            let before = warm_up(&bob, "/auth/getme").await;
            in_the_way.commit().await.unwrap();
            before
        };
        let (changed, before) = tokio::join!(change, reads_meanwhile);
        changed.expect(200);
        assert_eq!(before["username"], "bob");
        assert_eq!(bob.get("/auth/getme").await.expect(200)["username"], "robert");
    })
    .await;
}

/// Searching, writing and whatever else is no change of the account leave it where it is.
#[tokio::test]
async fn a_search_does_not_make_the_account_be_read_again() {
    TestApp::run(async |app| {
        let bob = app.freelance("bob").await;
        let silence = Silence::of_job_title(&bob);
        silence.begin(app).await;
        silence.is_kept(app).await;
        let before = silence.shown().await;
        bob.post("/job-postings/search", json!({ "take": 1 })).await.expect(200);
        assert_eq!(silence.shown().await, before);
    })
    .await;
}

/// A draft is nobody's but its owner's, also when its id was asked for before it was published, and after.
#[tokio::test]
async fn what_strangers_see_is_not_what_the_owner_sees() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let path = format!("/job-postings/{posting}");
        app.anonymous().get(&path).await.expect(404);
        sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED', "stripeSessionId" = 'cs_1'"#)
            .execute(&app.pool)
            .await
            .unwrap();
        eventually("it is published", async || app.anonymous().get(&path).await.status == 200).await;
        let to_everybody = warm_up(&app.anonymous(), &path).await;
        assert!(to_everybody.get("stripeSessionId").is_none() && to_everybody["company"].get("siren").is_none());
        assert_eq!(acme.get(&path).await.expect(200)["stripeSessionId"], "cs_1");
        let alice = app.freelance("alice").await;
        assert_eq!(alice.get(&path).await.expect(200), to_everybody);
        alice
            .post(
                "/candidates",
                json!({ "jobPostingId": posting, "freelanceId": alice.freelance_id(), "status": "PENDING" }),
            )
            .await
            .expect(201);
        assert_eq!(alice.get(&path).await.expect(200)["company"]["siren"], "123456789");
        assert_eq!(warm_up(&app.anonymous(), &path).await, to_everybody);
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_has_the_tag_of_what_was_read() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let paths =
            [("anonymous", format!("/job-postings/{}", world.get("jPublished"))), ("bob", "/auth/getme".into())];
        for (who, path) in &paths {
            let reader = world.persona(who);
            let read = reader.get(path).await;
            let kept = reader.get(path).await;
            assert_eq!((&read.text, &read.headers["etag"]), (&kept.text, &kept.headers["etag"]), "{path}");
            assert_eq!(kept.headers["content-type"], read.headers["content-type"]);
            let tag = kept.headers["etag"].clone();
            let again = reader.answer(reader.request(Method::GET, path).header("if-none-match", tag)).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        }
    })
    .await;
}
