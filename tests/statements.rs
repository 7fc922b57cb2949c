//! No request runs a number of statements that grows with the rows it answers: every list is asked for with few rows and
//! with many, and the statements that reach PostgreSQL are counted.

mod proxy;

use std::{net::SocketAddr, path::Path};

use axum::Router;
use freehunt_config::{ApiConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_tests::{Persona, TestApp, eventually};
use reqwest::Method;
use serde_json::json;
use tokio::{net::TcpListener, task::AbortHandle};

use self::proxy::{Counter, counted};
use crate::world::{Names, World};

/// Who asks for what with which body, and how many statements the answer may take at most, the session's check included.
const LISTS: [(&str, &str, &str, &str, u64); 30] = [
    ("anonymous", "GET", "/skills", "", 1),
    ("anonymous", "POST", "/freelances/search", r#"{"take":100}"#, 4),
    ("anonymous", "POST", "/freelances/search", r#"{"query":"a","skillNames":["Rust"],"take":100}"#, 4),
    ("anonymous", "POST", "/job-postings/search", r#"{"take":100}"#, 6),
    ("alice", "POST", "/job-postings/search", r#"{"title":"site","skillNames":["Rust"],"take":100}"#, 9),
    ("anonymous", "GET", "/job-postings/{{jPublished}}", "", 6),
    ("acme", "GET", "/job-postings/{{jPublished}}", "", 8),
    ("acme", "GET", "/job-postings/company/{{jPublished}}", "", 8),
    ("acme", "GET", "/job-postings", "", 9),
    ("alice", "GET", "/job-postings", "", 9),
    ("acme", "GET", "/job-postings/user/{{uAcme}}", "", 8),
    ("acme", "GET", "/job-postings/user/{{uAcme}}/status/PUBLISHED", "", 8),
    ("acme", "GET", "/job-postings/{{jPublished}}/can-be-cancelled", "", 8),
    ("anonymous", "GET", "/checkpoints/job-posting/{{jPublished}}", "", 3),
    ("acme", "GET", "/candidates/company/{{cAcme}}", "", 8),
    ("acme", "GET", "/candidates/job-posting/{{jPublished}}", "", 8),
    ("alice", "GET", "/projects", "", 10),
    ("acme", "GET", "/projects/company/{{cAcme}}", "", 11),
    ("alice", "GET", "/projects/freelance/{{fAlice}}", "", 11),
    ("alice", "GET", "/projects/{{pr1}}", "", 12),
    ("alice", "GET", "/conversations", "", 5),
    ("acme", "GET", "/conversations/user/{{uAcme}}", "", 5),
    ("alice", "GET", "/conversations/{{cv1}}", "", 6),
    ("alice", "GET", "/conversations/project/{{pr1}}", "", 5),
    ("alice", "GET", "/messages/conversation/{{cv1}}", "", 4),
    ("alice", "POST", "/conversations/find-or-create", r#"{"receiverId":"{{uAcme}}","projectId":"{{pr1}}"}"#, 16),
    ("alice", "GET", "/upload?userId={{uAlice}}", "", 3),
    ("alice", "GET", "/auth/getme", "", 5),
    ("alice", "GET", "/users/{{uAlice}}", "", 5),
    ("anonymous", "GET", "/freelances/{{fAlice}}", "", 4),
];
/// The first answers also check the session and ask PostgreSQL about types that the connection has not met.
const REPEATS: usize = 3;
const MANY: usize = 30;

#[tokio::test]
async fn statements_do_not_grow_with_rows() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let server = CountedServer::start(app).await;
        let mut few = Vec::new();
        for list in LISTS {
            few.push(server.count(app, &world, list).await);
        }
        grow(app, &world).await;
        // What is kept in memory is forgotten when the server hears of the change.
        let anonymous = server.persona(app, &world, "anonymous");
        let lists_all = async || anonymous.get("/skills").await.body.as_array().is_some_and(|list| list.len() > MANY);
        eventually("the new skills are listed", lists_all).await;
        let mut faults = Vec::new();
        for (list, (statements, _)) in LISTS.into_iter().zip(few) {
            let (with_many, rows) = server.count(app, &world, list).await;
            let (who, method, path, _, most) = list;
            let what = format!("{method} {path} as {who}: {statements} statements, with {rows:?} rows {with_many}");
            if with_many > statements || statements > most {
                faults.push(format!("{what}, allowed {most}"));
            } else if rows.is_some_and(|rows| rows < MANY) && !path.starts_with("/upload") {
                faults.push(format!("{what}: too few to tell"));
            }
            println!("{what}");
        }
        assert!(faults.is_empty(), "{faults:#?}");
    })
    .await;
}

/// What many ask for is read once, and then kept in memory.
#[tokio::test]
async fn a_public_posting_and_ones_own_account_take_no_statement_the_next_time() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let server = CountedServer::start(app).await;
        for (who, path) in
            [("anonymous", "/job-postings/{{jPublished}}"), ("bob", "/auth/getme"), ("bob", "/users/{{uBob}}")]
        {
            // The server listens a moment after its first request.
            let is_kept = async || server.count(app, &world, (who, "GET", path, "", 0)).await.0 == 0;
            eventually(path, is_kept).await;
        }
    })
    .await;
}

/// Accepting rejects the others, however many there are, in as many statements.
#[tokio::test]
async fn an_acceptance_takes_the_same_statements_for_few_and_for_many_candidates() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let server = CountedServer::start(app).await;
        let accept = async |name: &str, rivals: usize| {
            let candidate = world.fill(app, &mut Names::new(), "{{new-pending}}").await;
            let posting = format!(r#"(SELECT "jobPostingId" FROM "Candidate" WHERE "id" = '{candidate}')"#);
            add_freelances(app, &world, name, rivals, &posting).await;
            let (acme, path) = (server.persona(app, &world, "acme"), format!("/candidates/{candidate}/company"));
            // The session is looked up once, and known for a while.
            acme.get("/auth/getme").await.expect(200);
            let before = server.counter.read();
            acme.put(&path, json!({ "status": "ACCEPTED" })).await.expect(200);
            server.counter.read() - before
        };
        let (mut few, mut many) = (u64::MAX, u64::MAX);
        for round in 0..REPEATS {
            few = few.min(accept(&format!("few{round}-"), 1).await);
            many = many.min(accept(&format!("many{round}-"), MANY).await);
        }
        assert_eq!(few, many);
    })
    .await;
}

/// Another replica without its background work, whose statements are counted.
struct CountedServer {
    url: String,
    counter: Counter,
    serving: AbortHandle,
}

impl Drop for CountedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl CountedServer {
    async fn start(app: &TestApp) -> Self {
        let (database, counter) = counted(&app.settings()["DATABASE_URL"]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut settings = app.settings().clone();
        settings.insert("DATABASE_URL".to_owned(), database);
        settings.insert("PORT".to_owned(), address.port().to_string());
        settings.insert("DATABASE_MAX_CONNECTIONS".to_owned(), "2".to_owned());
        let config = ApiConfig::load(&Source::from_map(settings, Path::new("/nonexistent"))).expect("good settings");
        let server = freehunt_api::build(config, Clock::system()).expect("the server can be built");
        let serving = tokio::spawn(async move {
            let router = Router::new().fallback_service(server.into_service());
            axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
        });
        Self { url: format!("http://{address}"), counter, serving: serving.abort_handle() }
    }

    fn persona(&self, app: &TestApp, world: &World, name: &str) -> Persona {
        app.at(world.persona(name), &self.url)
    }

    /// The statements of one answer, and how many rows it had, if it is a list.
    async fn count(
        &self,
        app: &TestApp,
        world: &World,
        (who, method, path, body, _): (&str, &str, &str, &str, u64),
    ) -> (u64, Option<usize>) {
        // Sessions of the tests are confirmed once; the slowest machine takes longer than that lasts.
        sqlx::query("UPDATE session SET validated_at = now()")
            .execute(&app.pool)
            .await
            .expect("sessions can be confirmed");
        let persona = self.persona(app, world, who);
        let path = world.fill(app, &mut Names::new(), path).await;
        let body = world.fill(app, &mut Names::new(), body).await;
        let mut least = u64::MAX;
        let mut rows = None;
        for _ in 0..REPEATS {
            let mut request = persona.request(method.parse::<Method>().expect("a method"), &path);
            if !body.is_empty() {
                request = request.header("content-type", "application/json").body(body.clone());
            }
            let before = self.counter.read();
            let answer = persona.answer(request).await;
            least = least.min(self.counter.read() - before);
            assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text);
            let list = if answer.body.is_array() { &answer.body } else { &answer.body["data"] };
            rows = list.as_array().map(Vec::len);
        }
        (least, rows)
    }
}

/// Freelances, each with an application to the posting that the SQL expression names.
async fn add_freelances(app: &TestApp, world: &World, name: &str, count: usize, posting: &str) {
    let statement = format!(
        r#"WITH people AS (
               INSERT INTO "User" ("email", "username", "role")
               SELECT '{name}' || n || '@example.org', '{name}' || n, 'FREELANCE' FROM generate_series(1, {count}) n
               RETURNING "id"),
           profiles AS (
               INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority")
               SELECT "id", 'Anne', 'Martin', 450, 'Développeuse', 'Lyon', 5 FROM people RETURNING "id")
           INSERT INTO "Candidate" ("jobPostingId", "freelanceId") SELECT {posting}, "id" FROM profiles"#
    );
    world.execute(app, &statement).await;
}

/// Many of everything that is listed, with relations of its own.
async fn grow(app: &TestApp, world: &World) {
    add_freelances(app, world, "many", MANY, "'{{jPublished}}'").await;
    let statements = format!(
        r#"INSERT INTO "Skill" ("name", "normalizedName", "type")
           SELECT 'Skill ' || n, 'skill-' || n, 'TECHNICAL' FROM generate_series(1, {MANY}) n;
           INSERT INTO "_FreelanceToSkill" ("A", "B")
           SELECT f."id", s."id" FROM "Freelance" f, "Skill" s ON CONFLICT DO NOTHING;
           INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority", "totalAmount", "status")
           SELECT '{{{{cAcme}}}}', 'Un site ' || n, 'Une mission', false, 'REMOTE', 400, 3, 500, 'PUBLISHED' FROM generate_series(1, 2 * {MANY}) n;
           INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId", "amount")
           SELECT 'Étape ' || n, 'Une étape', timestamp '2027-01-10', p."id", 10 FROM "JobPosting" p, generate_series(1, {MANY}) n;
           INSERT INTO "_JobPostingToSkill" ("A", "B") SELECT p."id", s."id" FROM "JobPosting" p, "Skill" s ON CONFLICT DO NOTHING;
           WITH taken AS (SELECT "id" FROM "JobPosting" WHERE "title" LIKE 'Un site %' ORDER BY "id" LIMIT {MANY}),
           talks AS (
               INSERT INTO "Conversation" ("senderId", "receiverId")
               SELECT '{{{{uAcme}}}}', '{{{{uAlice}}}}' FROM taken RETURNING "id"),
           pairs AS (
               SELECT t."id" AS posting, c."id" AS talk FROM (SELECT "id", row_number() OVER () AS n FROM taken) t
               JOIN (SELECT "id", row_number() OVER () AS n FROM talks) c USING (n)),
           accepted AS (
               INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status")
               SELECT posting, '{{{{fAlice}}}}', 'ACCEPTED' FROM pairs)
           INSERT INTO "Project" ("name", "description", "freelanceId", "companyId", "jobPostingId", "conversationId", "startDate", "endDate")
           SELECT 'Projet', 'Une mission', '{{{{fAlice}}}}', '{{{{cAcme}}}}', posting, talk, now(), now() FROM pairs;
           INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content")
           SELECT c."id", '{{{{uAcme}}}}', '{{{{uAlice}}}}', 'Bonjour ' || n
           FROM "Conversation" c, generate_series(1, {MANY}) n WHERE c."senderId" = '{{{{uAcme}}}}';"#
    );
    world.execute(app, &statements).await;
}
