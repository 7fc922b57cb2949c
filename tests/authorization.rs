//! The authorization table, run against the real server: fault cases 26, 27, 28 and 47.
//!
//! `contract/authorization.txt` is the table. Each cell is one request; what is refused, and every GET, must leave the
//! database as it was; no answer may carry what its reader may not see; every status must be in the document.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use freehunt_domain::users::Role;
use freehunt_tests::{Answer, Persona, TestApp};
use serde_json::Value;

use crate::{
    audience, canaries, database,
    money::jobs_are_done,
    operations::{document, operations, template_of, without_names},
    world::{Names, World},
};

const TABLE: &str = include_str!("contract/authorization.txt");

pub struct Row {
    pub method: String,
    pub path: String,
    /// Anonymous, stranger freelance, stranger company, counterpart, owner.
    pub cells: [(String, u16); 5],
    pub body: Body,
}

pub enum Body {
    Nothing,
    Json(Value),
    Picture,
}

pub fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

fn row(line: &str) -> Row {
    let columns: Vec<&str> = line.split(" | ").collect();
    let [operation, subject, statuses, body @ ..] = columns.as_slice() else { panic!("a short row: {line}") };
    let (method, path) = operation.split_once(' ').unwrap_or_else(|| panic!("no path: {line}"));
    let (owner, counterpart) = subject.split_once(' ').unwrap_or_else(|| panic!("no counterpart: {line}"));
    let personas = ["anonymous", "bob", "globex", counterpart, owner];
    let statuses: Vec<u16> = statuses.split(' ').map(|status| status.parse().expect("a status")).collect();
    assert_eq!(statuses.len(), personas.len(), "{line}");
    let body = match body.first() {
        None => Body::Nothing,
        Some(&"picture") => Body::Picture,
        Some(text) => Body::Json(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {line}"))),
    };
    let cells = std::array::from_fn(|index| (personas[index].to_owned(), statuses[index]));
    Row { method: method.to_owned(), path: path.to_owned(), cells, body }
}

/// Fault cases 26, 27, 28, 47.
#[tokio::test]
async fn every_operation_answers_every_persona_as_the_table_says() {
    let document = document();
    let operations = operations(&document);
    TestApp::run(async |app| {
        let world = World::build(app).await;
        canaries::plant(app).await;
        let mut findings = Vec::new();
        for row in rows() {
            for (persona, status) in &row.cells {
                let cell = Cell { app, world: &world, row: &row, persona: world.persona(persona), status: *status };
                for finding in cell.run(&document, &operations).await {
                    findings.push(format!("{} {} as {persona}: {finding}", row.method, row.path));
                }
            }
        }
        assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    })
    .await;
}

struct Cell<'a> {
    app: &'a TestApp,
    world: &'a World,
    row: &'a Row,
    persona: &'a Persona,
    status: u16,
}

impl Cell<'_> {
    async fn run(&self, document: &Value, operations: &[(String, String)]) -> Vec<String> {
        let mut fresh = Names::new();
        let path = self.world.fill(self.app, &mut fresh, &self.row.path).await;
        let request = self.request(&mut fresh, &path).await;
        let asked = format!("{path} {}", self.sent(&mut fresh).await);
        let must_not_change = self.status >= 400 || self.row.method == "GET";
        let before = if must_not_change {
            // What Stripe tells of an earlier request would be taken for a change by this one.
            self.app.stripe.wait_until_delivered().await;
            jobs_are_done(self.app).await;
            database::fingerprint(&self.app.pool).await
        } else {
            BTreeMap::new()
        };
        let answer = self.persona.answer(request).await;
        let mut findings = Vec::new();
        if answer.status != self.status {
            findings.push(format!("expected {}, got {} {}", self.status, answer.status, start(&answer)));
        } else if must_not_change {
            let changed = database::changed(&before, &database::fingerprint(&self.app.pool).await);
            if !changed.is_empty() {
                findings.push(format!("changed {}", changed.join(", ")));
            }
        }
        findings.extend(envelope_problem(&answer));
        match template_of(operations, &self.row.method, &path) {
            Some(template) => {
                findings.extend(self.against_document(document, template, &answer));
                let operation = self.operation(template);
                let seen = canaries::seen(self.app, self.persona, &operation, &asked, &answer.text).await;
                findings.extend(seen.into_iter().map(|canary| format!("shows the {canary}")));
            }
            None => findings.push("is not in the document".to_owned()),
        }
        findings
    }

    async fn request(&self, fresh: &mut Names, path: &str) -> reqwest::RequestBuilder {
        let method = self.row.method.parse().expect("a method");
        let request = self.persona.request(method, path);
        match &self.row.body {
            Body::Nothing => request,
            Body::Json(body) => request.json(&self.world.fill_json(self.app, fresh, body).await),
            Body::Picture => {
                request.header("content-type", "multipart/form-data; boundary=picture").body(multipart_picture())
            }
        }
    }

    fn against_document(&self, document: &Value, template: &str, answer: &Answer) -> Vec<String> {
        let method = self.row.method.to_lowercase();
        let operation = &document["paths"][template][&method];
        let mut findings: Vec<String> = Vec::new();
        if operation["responses"][answer.status.to_string()].is_null() {
            findings.push(format!("the document does not say {}", answer.status));
        }
        let role = self.role();
        let leaks = audience::leaks(self.persona, role, &self.operation(template), &answer.body);
        findings.extend(leaks.into_iter().map(|pointer| format!("shows {pointer}")));
        findings
    }

    fn operation(&self, template: &str) -> String {
        format!("{} {}", self.row.method, without_names(template).replace("{}", "{id}"))
    }

    /// The body that was sent, as text.
    async fn sent(&self, fresh: &mut Names) -> String {
        match &self.row.body {
            Body::Json(body) => self.world.fill_json(self.app, fresh, body).await.to_string(),
            Body::Nothing | Body::Picture => String::new(),
        }
    }

    fn role(&self) -> Option<Role> {
        match self.persona.name.as_str() {
            "anonymous" => None,
            "acme" | "globex" | "dora" => Some(Role::Company),
            _ => Some(Role::Freelance),
        }
    }
}

/// Every refusal has the envelope; the webhook's are text, as Stripe's senders expect.
fn envelope_problem(answer: &Answer) -> Option<String> {
    let is_envelope = answer.body["statusCode"] == answer.status && !answer.body["message"].is_null();
    let is_webhook = answer.text.starts_with("Webhook Error: ");
    (answer.status >= 400 && !is_envelope && !is_webhook).then(|| format!("no envelope: {}", start(answer)))
}

fn start(answer: &Answer) -> String {
    answer.text.chars().take(160).collect()
}

/// A form with the field `file` and a picture of one pixel.
pub fn multipart_picture() -> Vec<u8> {
    const PIXEL: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let picture = STANDARD.decode(PIXEL).expect("the picture is base64");
    let head = "--picture\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n";
    [head.as_bytes(), &picture, b"\r\n--picture--\r\n"].concat()
}

/// A new operation needs a row before it can be served.
#[test]
fn the_table_has_every_operation() {
    let operations = operations(&document());
    let rows = rows();
    let covered: Vec<(String, &str)> = rows
        .iter()
        .filter_map(|row| {
            template_of(&operations, &row.method, &row.path).map(|template| (row.method.clone(), template))
        })
        .collect();
    let lacking: Vec<_> = operations
        .iter()
        .filter(|(method, path)| !covered.iter().any(|(known, template)| known == method && template == path))
        .collect();
    assert!(lacking.is_empty(), "no row for {lacking:?}");
}

/// Requests of somebody who may make them, each with one id of somebody else's in it. The swapped name stands alone.
const SWAPS: [(&str, &str, &str, u16, &str); 24] = [
    (
        "dora",
        "POST",
        "/companies",
        403,
        r#"{"name":"n","description":"d","address":"a","siren":"123456789","userId":"{{uGlobex}}"}"#,
    ),
    ("acme", "PATCH", "/companies/{{cGlobex}}", 403, r#"{"name":"n","userId":"{{uAcme}}"}"#),
    ("acme", "DELETE", "/companies/{{cGlobex}}", 403, ""),
    ("bob", "PATCH", "/freelances/{{fAlice}}", 403, r#"{"location":"Nantes","skillIds":[]}"#),
    ("bob", "PATCH", "/freelances/{{fBob}}", 403, r#"{"stripeAccountId":"{{acctAlice}}"}"#),
    (
        "acme",
        "POST",
        "/job-postings",
        403,
        r#"{"title":"t","description":"d","location":"REMOTE","isPromoted":false,"averageDailyRate":1,"seniority":1,"companyId":"{{cGlobex}}"}"#,
    ),
    ("acme", "PATCH", "/job-postings/{{jUnpaid}}", 403, r#"{"companyId":"{{cGlobex}}"}"#),
    ("acme", "PATCH", "/job-postings/{{jGlobex}}", 403, r#"{"title":"t"}"#),
    (
        "acme",
        "POST",
        "/job-postings/{{jGlobex}}/create-payment",
        403,
        r#"{"successUrl":"{{FRONTEND}}/","cancelUrl":"{{FRONTEND}}/","customerEmail":"{{eAcme}}"}"#,
    ),
    (
        "acme",
        "POST",
        "/job-postings/{{jUnpaid}}/create-payment",
        403,
        r#"{"successUrl":"{{FRONTEND}}/","cancelUrl":"{{FRONTEND}}/","customerEmail":"{{eGlobex}}"}"#,
    ),
    (
        "acme",
        "POST",
        "/checkpoints",
        403,
        r#"{"name":"n","description":"d","date":"2027-01-01","status":"TODO","amount":5,"jobPostingId":"{{jGlobex}}"}"#,
    ),
    ("acme", "DELETE", "/checkpoints/{{kGlobex}}", 404, ""),
    ("acme", "PUT", "/checkpoints/{{kProject}}", 403, r#"{"status":"DONE","userId":"{{uAlice}}"}"#),
    ("alice", "PUT", "/checkpoints/{{kProject}}", 403, r#"{"status":"DONE","userId":"{{uAcme}}"}"#),
    (
        "bob",
        "POST",
        "/candidates",
        403,
        r#"{"jobPostingId":"{{jPublished}}","freelanceId":"{{fAlice}}","status":"PENDING"}"#,
    ),
    ("bob", "DELETE", "/candidates/{{caPublished}}", 404, ""),
    ("globex", "PUT", "/candidates/{{caPublished}}/company", 403, r#"{"status":"ACCEPTED"}"#),
    ("bob", "POST", "/conversations", 403, r#"{"senderId":"{{uAlice}}","receiverId":"{{uAcme}}"}"#),
    ("bob", "POST", "/conversations", 403, r#"{"senderId":"{{uBob}}","receiverId":"{{uAcme}}","projectId":"{{pr1}}"}"#),
    (
        "bob",
        "POST",
        "/conversations/find-or-create",
        403,
        r#"{"senderId":"{{uBob}}","receiverId":"{{uAcme}}","projectId":"{{pr1}}"}"#,
    ),
    (
        "bob",
        "POST",
        "/messages",
        404,
        r#"{"content":"x","senderId":"{{uBob}}","receiverId":"{{uAcme}}","conversationId":"{{cv1}}"}"#,
    ),
    (
        "acme",
        "POST",
        "/messages",
        404,
        r#"{"content":"x","senderId":"{{uAcme}}","receiverId":"{{uAlice}}","conversationId":"{{cv1}}","documentId":"{{dAlice}}"}"#,
    ),
    ("bob", "POST", "/documents", 400, r#"{"name":"a.png","type":"AVATAR","url":"{{avatarUrl}}","userId":"{{uBob}}"}"#),
    (
        "bob",
        "POST",
        "/stripe/confirm-account-activation",
        409,
        r#"{"freelanceId":"{{fBob}}","accountId":"{{acctAlice}}"}"#,
    ),
];

/// The canaries are seen by whom they are hidden from, and only by them.
#[tokio::test]
async fn a_canary_is_found_wherever_it_stands() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        canaries::plant(app).await;
        let account = world.get("acctAlice");
        let (message, siren): (String, String) = sqlx::query_as(
            r#"SELECT m."content", c."siren" FROM "Message" m, "Company" c WHERE m."id" = $1::uuid AND c."id" = $2::uuid"#,
        )
        .bind(world.get("mAlice"))
        .bind(world.get("cGlobex"))
        .fetch_one(&app.pool)
        .await
        .unwrap();
        let answer = format!(r#"{{"any":["{message}"],"siren":"{siren}","x":"{account} {}"}}"#, world.get("eAcme"));
        let seen = async |name: &str, operation: &str, asked: &str| {
            canaries::seen(app, world.persona(name), operation, asked, &answer).await.len()
        };
        for (name, hidden) in [("anonymous", 5), ("bob", 5), ("globex", 4), ("acme", 2), ("alice", 2)] {
            assert_eq!(seen(name, "GET /projects/{id}", "").await, hidden, "{name}");
        }
        assert_eq!(seen("bob", "GET /companies/{id}", "").await, 4, "the address of a company that publishes");
        assert_eq!(seen("bob", "GET /companies/{id}", &siren).await, 3);
    })
    .await;
}

/// Fault case 27, beside the table: ids in bodies, and ids of a stranger's own kind.
#[tokio::test]
async fn an_id_of_somebody_else_is_refused_and_changes_nothing() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut findings = Vec::new();
        for (persona, method, path, status, body) in SWAPS {
            let mut fresh = Names::new();
            let path = world.fill(app, &mut fresh, path).await;
            let mut request = world.persona(persona).request(method.parse().expect("a method"), &path);
            if !body.is_empty() {
                let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
                request = request.json(&world.fill_json(app, &mut fresh, &body).await);
            }
            let before = database::fingerprint(&app.pool).await;
            let answer = world.persona(persona).answer(request).await;
            let changed = database::changed(&before, &database::fingerprint(&app.pool).await);
            if answer.status != status || !changed.is_empty() {
                findings.push(format!(
                    "{method} {path} {body} as {persona}: {} {} {changed:?}",
                    answer.status,
                    start(&answer)
                ));
            }
        }
        assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    })
    .await;
}

/// Fault case 37: what is hidden and what does not exist look the same, to the byte.
#[tokio::test]
async fn hidden_and_absent_are_one() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let hidden = [
            ("globex", "/job-postings/", "jUnpaid"),
            ("anonymous", "/job-postings/", "jUnpaid"),
            ("anonymous", "/checkpoints/", "kUnpaid"),
            ("anonymous", "/checkpoints/job-posting/", "jUnpaid"),
            ("anonymous", "/companies/", "cGlobex"),
            ("bob", "/users/", "uAlice"),
            ("bob", "/candidates/", "caPublished"),
            ("bob", "/candidates/job-posting/", "jPublished"),
            ("bob", "/conversations/", "cv1"),
            ("bob", "/messages/", "mAlice"),
            ("bob", "/messages/conversation/", "cv1"),
        ];
        for (persona, path, name) in hidden {
            let persona = world.persona(persona);
            let (id, absent) = (world.get(name), "12345678-1234-4234-8234-123456789abc");
            let answer = persona.get(&format!("{path}{id}")).await;
            let nothing = persona.get(&format!("{path}{absent}")).await;
            assert_eq!((answer.status, nothing.status), (404, 404), "{path}{name}");
            assert_eq!(answer.text.replace(id, ""), nothing.text.replace(absent, ""), "{path}{name}");
        }
    })
    .await;
}

/// What a stranger has in the place of what a name stands for: bob and globex, who share nothing with the others.
const STRANGERS: [(&str, &str); 15] = [
    ("uAlice", "uBob"),
    ("uAcme", "uGlobex"),
    ("uBob", "uAlice"),
    ("uCarol", "uAlice"),
    ("uDora", "uAcme"),
    ("fAlice", "fBob"),
    ("fBob", "fAlice"),
    ("cAcme", "cGlobex"),
    ("jUnpaid", "jGlobex"),
    ("jProject", "jGlobex"),
    ("jPublished", "jGlobex"),
    ("kUnpaid", "kGlobex"),
    ("kProject", "kGlobex"),
    ("eAcme", "eGlobex"),
    ("avatarUrl", "foreignUrl"),
];

/// Fault case 27, made from the table: every id of every request that succeeds, one by one replaced by the same kind of
/// somebody else's. What a request may say of others (whom to write to, which posting to apply to) is not replaced.
#[tokio::test]
async fn fault_case_27_every_id_in_a_path_or_body_is_checked() {
    TestApp::run(async |app| {
        let mut world = World::build(app).await;
        let foreign = world.get("avatarUrl").replace(world.get("uAlice"), world.get("uBob"));
        world.name("foreignUrl", foreign);
        let (mut findings, mut tried) = (Vec::new(), 0);
        for row in rows() {
            let (owner, status) = &row.cells[4];
            if *status >= 300 {
                continue;
            }
            let body = if let Body::Json(body) = &row.body { body.to_string() } else { String::new() };
            for (name, other) in STRANGERS {
                let place = format!("{{{{{name}}}}}");
                for (in_path, text) in [(true, &row.path), (false, &body)] {
                    if !text.contains(&place) || is_free_to_name(&row, &body, in_path, name) {
                        continue;
                    }
                    let swapped = text.replace(&place, &format!("{{{{{other}}}}}"));
                    let mut fresh = Names::new();
                    let path = if in_path { &swapped } else { &row.path };
                    let path = world.fill(app, &mut fresh, path).await;
                    let mut request = world.persona(owner).request(row.method.parse().expect("a method"), &path);
                    let body = if in_path { &body } else { &swapped };
                    if !body.is_empty() {
                        let body = serde_json::from_str(body).expect("a body is JSON");
                        request = request.json(&world.fill_json(app, &mut fresh, &body).await);
                    }
                    let before = database::fingerprint(&app.pool).await;
                    let answer = world.persona(owner).answer(request).await;
                    let changed = database::changed(&before, &database::fingerprint(&app.pool).await);
                    tried += 1;
                    // Whether a hidden posting has a project is "no", as for one that is not there.
                    let is_refused = [400, 403, 404, 409].contains(&answer.status) || answer.text == "false";
                    if !is_refused || !changed.is_empty() {
                        let what = if in_path { "path" } else { "body" };
                        findings.push(format!(
                            "{} {} with {other} in its {what} as {owner}: {} {changed:?}",
                            row.method,
                            row.path,
                            start(&answer)
                        ));
                    }
                }
            }
        }
        assert!(findings.is_empty(), "{} of {tried}\n{}", findings.len(), findings.join("\n"));
        assert!(tried >= 36, "only {tried} swaps were made");
    })
    .await;
}

/// Names that a request may fill with anybody's: what is public, whom one writes to, what one applies to, and what a
/// message says of its sender and receiver, which is ignored.
fn is_free_to_name(row: &Row, body: &str, in_path: bool, name: &str) -> bool {
    let is_public = row.cells[0].1 < 300;
    let is_receiver = !in_path && body.contains(&format!("\"receiverId\":\"{{{{{name}}}}}\""));
    let is_ignored = !in_path && row.path == "/messages" && name.starts_with('u');
    let applies = row.path == "/candidates" && name.starts_with('j');
    is_public || is_receiver || is_ignored || applies
}

/// Fault cases 41 and 42, over every operation that changes something: not from another site, and not as a form.
#[tokio::test]
async fn fault_cases_41_and_42_no_operation_is_open_to_other_sites() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut findings = Vec::new();
        for row in rows().iter().filter(|row| row.method != "GET" && row.cells[4].1 < 300) {
            for (what, expected) in [("origin", 403), ("form", 415), ("text", 415)] {
                let Body::Json(body) = &row.body else { continue };
                // Signing out reads no body; that it comes from the frontend is all that matters.
                if expected == 415 && row.path.contains("logout") {
                    continue;
                }
                let mut fresh = Names::new();
                let path = world.fill(app, &mut fresh, &row.path).await;
                let persona = world.persona(&row.cells[4].0);
                let text = world.fill_json(app, &mut fresh, body).await.to_string();
                let request = persona.request(row.method.parse().expect("a method"), &path);
                let kind = match what {
                    "form" => "application/x-www-form-urlencoded",
                    "text" => "text/plain",
                    _ => "application/json",
                };
                let mut request = request.header("content-type", kind).body(text).build().expect("well formed");
                if what == "origin" {
                    request
                        .headers_mut()
                        .insert("origin", "https://freehunt.fr.evil.example".parse().expect("a header"));
                }
                let before = database::fingerprint(&app.pool).await;
                let answer = persona.execute(request).await;
                let changed = database::changed(&before, &database::fingerprint(&app.pool).await);
                if answer.status != expected || !changed.is_empty() {
                    findings.push(format!("{} {} {what}: {} {changed:?}", row.method, row.path, start(&answer)));
                }
            }
        }
        assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    })
    .await;
}
