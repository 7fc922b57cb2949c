//! Whatever is sent, the answer is 2xx or 4xx with the envelope, soon: fault cases 48 to 63.

use std::time::{Duration, Instant};

use freehunt_tests::{Answer, Persona, TestApp};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Names, World};

/// Requests that succeed, from the authorization table: who may send them, and a body that is right.
const TABLE: &str = include_str!("contract/authorization.txt");
/// Random bodies for each operation: twice every way of [`damaged`].
const BODIES: usize = 16;
/// Who else sends them: both roles, strangers and nobody.
const OTHERS: [&str; 4] = ["bob", "globex", "anonymous", "carol"];

#[derive(Clone)]
struct Operation {
    method: Method,
    path: String,
    owner: String,
    body: Option<Value>,
}

fn operations() -> Vec<Operation> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains("logout |"));
    rows.map(|line| {
        let columns: Vec<&str> = line.split(" | ").collect();
        let (method, path) = columns[0].split_once(' ').expect("a path");
        let owner = columns[1].split(' ').next().expect("an owner").to_owned();
        let body = columns.get(3).and_then(|text| serde_json::from_str(text).ok());
        Operation { method: method.parse().expect("a method"), path: path.to_owned(), owner, body }
    })
    .collect()
}

impl Operation {
    async fn send(&self, app: &TestApp, world: &World, body: Vec<u8>) -> Answer {
        self.send_as(&self.owner, app, world, body).await
    }

    async fn send_as(&self, sender: &str, app: &TestApp, world: &World, body: Vec<u8>) -> Answer {
        let path = world.fill(app, &mut Names::new(), &self.path).await;
        let persona = world.persona(sender);
        let request = persona.request(self.method.clone(), &path).header("content-type", "application/json");
        persona.answer(request.body(body)).await
    }
}

/// The finding, if an answer is none that a client can work with.
fn fault(answer: &Answer, began: Instant) -> Option<String> {
    let slow = began.elapsed() > Duration::from_secs(5);
    let refused = answer.status >= 400;
    let is_webhook = answer.text.starts_with("Webhook Error: ");
    let has_envelope = answer.body["statusCode"] == answer.status && !answer.body["message"].is_null();
    if answer.status >= 500 || slow || (refused && !has_envelope && !is_webhook) {
        let text: String = answer.text.chars().take(200).collect();
        Some(format!("{} after {:?}: {text}", answer.status, began.elapsed()))
    } else {
        None
    }
}

/// Any text, but nothing that reads as somebody's address: answers name unknown properties, and every test looks for
/// addresses in what comes out.
fn any_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('@', "＠"))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
        "[a-z%_'\\\\;\"\u{0}-]{0,12}".prop_map(Value::from),
        Just(json!("00000000-0000-4000-8000-000000000000")),
        Just(json!("2027-01-01T00:00:00.000Z")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A right body with one thing wrong, in one of eight ways; without a right one, `random` itself.
fn damaged(right: Option<&Map<String, Value>>, number: usize, random: Value) -> Value {
    let Some(right) = right.filter(|right| !right.is_empty() && !number.is_multiple_of(8)) else { return random };
    let field = right.keys().nth(number / 2 % right.len()).expect("a field").clone();
    let mut body = right.clone();
    match number % 8 {
        1 => {
            body.remove(&field);
        }
        2 => {
            body.insert(random.to_string().chars().take(40).collect(), Value::Null);
        }
        3 => {
            body[&field] = json!([body[&field].clone(), random]);
        }
        4 => {
            body[&field] = json!({ &field: body[&field].clone() });
        }
        5 => {
            body[&field] = match &body[&field] {
                Value::Number(number) => json!(number.as_f64().unwrap_or_default() * -1e15),
                Value::String(text) => json!(format!("{text}\u{0}{}", "é".repeat(30_000))),
                other => json!([other.clone(), null]),
            };
        }
        6 => {
            return Value::Array(vec![Value::Object(body), random]);
        }
        _ => {
            body[&field] = random;
        }
    }
    Value::Object(body)
}

/// Any JSON at all, and right bodies that were damaged, from whom the operation is for and from others.
#[tokio::test]
async fn any_json_into_any_endpoint_is_answered() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut runner = TestRunner::new(Config::default());
        let (mut faults, mut reached) = (Vec::new(), 0);
        let operations = operations();
        for operation in &operations {
            for number in 0..BODIES {
                let random = any_json().new_tree(&mut runner).expect("a value").current();
                let right = match &operation.body {
                    Some(right) => world.fill_json(app, &mut Names::new(), right).await,
                    None => Value::Null,
                };
                let body = damaged(right.as_object(), number, random);
                let sender = if number % 4 == 3 { OTHERS[number / 4] } else { &operation.owner };
                let began = Instant::now();
                let answer = operation.send_as(sender, app, &world, body.to_string().into_bytes()).await;
                reached += usize::from(answer.status != 401);
                faults.extend(fault(&answer, began).map(|fault| {
                    let body: String = body.to_string().chars().take(300).collect();
                    format!("{} {} as {sender} {body}: {fault}", operation.method, operation.path)
                }));
            }
        }
        assert!(reached > operations.len() * BODIES * 3 / 4, "only {reached} got past the session");
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    })
    .await;
}

/// Fault cases 48 (in paths) and 55.
#[tokio::test]
async fn ids_in_paths_are_uuids_or_refused() {
    const NOT_IDS: [&str; 10] = [
        "x",
        "%7B00000000-0000-4000-8000-000000000000%7D",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "00000000000040008000000000000000",
        "00000000-0000-4000-8000-0000000000000",
        "00000000-0000-4000-8000-000000000000%0A",
        "00000000-0000-4000-8000-00000000000%00",
        "%F0%9F%98%80",
        "'%20OR%201=1--",
        "00000000-0000-4000-8000-00000000000g",
    ];
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut faults = Vec::new();
        for operation in operations().iter().filter(|operation| operation.path.contains("/{{")) {
            let is_closed_or_text = operation.path.contains("/users/email/");
            for not_id in NOT_IDS {
                let segments = operation.path.split('/').map(|part| if part.starts_with("{{") { not_id } else { part });
                let path = segments.collect::<Vec<_>>().join("/");
                let persona = world.persona(&operation.owner);
                let mut request = persona.request(operation.method.clone(), &path);
                if let Some(body) = &operation.body {
                    request = request.json(&world.fill_json(app, &mut Names::new(), body).await);
                }
                let began = Instant::now();
                let answer = persona.answer(request).await;
                let expected = [400, 403, 415].contains(&answer.status) || is_closed_or_text && answer.status == 404;
                if fault(&answer, began).is_some() || !expected {
                    faults.push(format!("{} {path}: {} {}", operation.method, answer.status, answer.text));
                }
            }
        }
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    })
    .await;
}

/// Sends the right body of every operation with each of its fields that `picks` replaced by raw text.
async fn replace_fields(picks: impl Fn(&Value) -> bool, texts: &[&str], allowed: &[u16]) {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut faults = Vec::new();
        for operation in operations() {
            let Some(Value::Object(right)) = operation.body.clone() else { continue };
            for (field, _) in right.iter().filter(|(_, value)| picks(value)) {
                for text in texts {
                    let mut body = world.fill_json(app, &mut Names::new(), &Value::Object(right.clone())).await;
                    body[field.as_str()] = json!("@@");
                    let raw = body.to_string().replace("\"@@\"", text);
                    let began = Instant::now();
                    let answer = operation.send(app, &world, raw.into_bytes()).await;
                    let shown: String = text.chars().take(40).collect();
                    if let Some(fault) = fault(&answer, began) {
                        faults.push(format!("{} {} {field}={shown}: {fault}", operation.method, operation.path));
                    } else if !allowed.is_empty() && !allowed.contains(&answer.status) {
                        faults.push(format!(
                            "{} {} {field}={shown}: {}",
                            operation.method, operation.path, answer.status
                        ));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    })
    .await;
}

/// Fault cases 48 and 49: what PostgreSQL or Unicode cannot hold. The log-in form may refuse in its own way.
#[tokio::test]
async fn impossible_text_is_refused() {
    let texts = ["\"a\\u0000b\"", "\"\\ud800\"", "\"\\udc00\\ud800\""];
    replace_fields(Value::is_string, &texts, &[400, 403, 409]).await;
}

/// Fault case 51: refused or a documented value, but never a fault.
#[tokio::test]
async fn odd_numbers_are_refused_or_understood() {
    let texts = [
        "1e308",
        "1e999",
        "-1",
        "-0",
        "0.001",
        "\"5\"",
        "null",
        "true",
        "[1]",
        "9007199254740993",
        "99999999999999999999",
    ];
    replace_fields(Value::is_number, &texts, &[]).await;
    replace_fields(Value::is_number, &["1e999", "NaN", "Infinity", "0x10", "01", "\"5\"", "true", "{}"], &[400, 403])
        .await;
}

/// Fault case 60. A search for what nobody can have written finds nothing, and passwords are Authentik's to judge.
#[tokio::test]
async fn texts_have_an_end() {
    let long = format!("\"{}\"", "x".repeat(20_001));
    replace_fields(Value::is_string, &[&long], &[400, 403, 409, 201, 200]).await;
}

async fn skills(persona: &Persona, raw: impl Into<reqwest::Body>) -> Answer {
    let request = persona.request(Method::POST, "/skills").header("content-type", "application/json");
    persona.answer(request.body(raw)).await
}

/// Fault case 50.
#[tokio::test]
async fn bodies_have_a_size_and_a_depth() {
    TestApp::run(async |app| {
        let bob = app.freelance("bob").await;
        let padded = |length: usize| {
            let start = r#"{"name":"Padded","aliases":[],"type":"SOFT"}"#;
            format!("{start}{}", " ".repeat(length - start.len()))
        };
        skills(&bob, padded(100 * 1024)).await.expect(201);
        let refused = skills(&bob, padded(100 * 1024 + 1)).await;
        assert_eq!(refused.message(), "request entity too large");
        refused.expect(413);
        let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
        skills(&bob, format!(r#"{{"name":{nested},"aliases":[],"type":"SOFT"}}"#)).await.expect(400);
        let items = vec!["0"; 1_000_000].join(",");
        skills(&bob, format!(r#"{{"name":"Many","aliases":[{items}],"type":"SOFT"}}"#)).await.expect(413);
        let twice = r#"{"name":"First","name":"Last","aliases":[],"type":"SOFT"}"#;
        assert_eq!(skills(&bob, twice).await.expect(201)["name"], "Last");
    })
    .await;
}

/// Fault case 49, the other half: what Unicode can hold comes back as it was; fault case 61.
#[tokio::test]
async fn text_comes_back_as_it_was() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let (alice, acme) = (world.persona("alice"), world.persona("acme"));
        let texts = ["😀 𝔘𝔫𝔦", "\u{202e}txt.exe", "e\u{301}\u{327}", "<script>alert(1)</script>", "'; DROP TABLE \"User\"; --", "\\u0041 \n\t \r\n"];
        for text in texts {
            let message = json!({ "content": text, "conversationId": world.get("cv1"), "senderId": alice.user_id, "receiverId": acme.user_id });
            let sent = alice.post("/messages", message).await;
            assert!(sent.headers["content-type"].to_str().unwrap().starts_with("application/json"));
            let sent = sent.expect(201);
            assert_eq!(sent["content"], text);
            let read = acme.get(&format!("/messages/{}", sent["id"].as_str().unwrap())).await.expect(200);
            assert_eq!(read["content"], text);
        }
    })
    .await;
}

/// Fault cases 52 and 54.
#[tokio::test]
async fn searches_have_bounds() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let anonymous = world.persona("anonymous");
        for path in ["/freelances/search", "/job-postings/search"] {
            let odd = [
                json!({ "take": 1e9 }),
                json!({ "take": 101 }),
                json!({ "take": 0 }),
                json!({ "take": -1 }),
                json!({ "take": 1.5 }),
                json!({ "take": "10" }),
                json!({ "skip": -1 }),
                json!({ "skip": 1.5 }),
                json!({ "skip": "10" }),
                json!({ "skip": 1e18 }),
                json!({ "skillNames": "React" }),
                json!({ "skillNames": [null] }),
                json!({ "skillNames": [1, {}] }),
                json!({ "skillNames": vec!["x"; 1000] }),
            ];
            for body in odd {
                let answer = anonymous.post(path, body.clone()).await;
                assert_eq!(
                    answer.status,
                    400,
                    "{path} {}: {}",
                    body.to_string().chars().take(60).collect::<String>(),
                    answer.text
                );
            }
            let many = vec!["xxxxxxxxx"; 100_000];
            assert!([400, 413].contains(&anonymous.post(path, json!({ "skillNames": many })).await.status));
        }
    })
    .await;
}

/// Fault case 53.
#[tokio::test]
async fn searches_are_literal() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let anonymous = world.persona("anonymous");
        for text in ["%", "_", "\\", "'", "\";--", "%%", "\\%", "a_a"] {
            for (path, field) in
                [("/freelances/search", "query"), ("/freelances/search", "jobTitle"), ("/job-postings/search", "title")]
            {
                let found = anonymous.post(path, json!({ field: text })).await.expect(200);
                assert_eq!((&found["total"], &found["data"]), (&json!(0), &json!([])), "{path} {field} {text}");
            }
        }
    })
    .await;
}

/// Fault case 56.
#[tokio::test]
async fn names_of_prototypes_and_of_the_wrong_case_are_refused() {
    TestApp::run(async |app| {
        let bob = app.freelance("bob").await;
        for name in ["technical", "Soft", "__proto__", "constructor", ""] {
            bob.post("/skills", json!({ "name": "A", "aliases": [], "type": name })).await.expect(400);
        }
        for key in ["__proto__", "constructor", "toString"] {
            let answer =
                bob.post("/skills", json!({ "name": "A", "aliases": [], "type": "SOFT", key: { "x": 1 } })).await;
            assert_eq!(answer.expect(400)["message"], json!([format!("property {key} should not exist")]));
        }
    })
    .await;
}

/// Fault case 57.
#[tokio::test]
async fn dates_are_dates() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let acme = world.persona("acme");
        let checkpoint = |date: Value| {
            json!({ "name": "n", "description": "d", "date": date, "status": "TODO", "amount": 5, "jobPostingId": world.get("jUnpaid") })
        };
        let odd = [
            json!("0000-01-01T00:00:00Z"),
            json!("10000-01-01T00:00:00Z"),
            json!("+010000-01-01T00:00:00Z"),
            json!("2025-02-30T00:00:00Z"),
            json!("2025-13-01"),
            json!("tomorrow"),
            json!(""),
            json!(1_767_225_600_000_i64),
            json!(true),
            json!([2020]),
            Value::Null,
        ];
        for date in odd {
            let answer = acme.post("/checkpoints", checkpoint(date.clone())).await;
            assert_eq!(answer.status, 400, "{date}: {}", answer.text);
        }
        for (date, stored) in [
            ("2027-03-01T10:00:00+02:00", "2027-03-01T08:00:00.000Z"),
            ("2027-03-01", "2027-03-01T00:00:00.000Z"),
            ("2027-03-01T11:00:00.123456Z", "2027-03-01T11:00:00.123Z"),
        ] {
            assert_eq!(acme.post("/checkpoints", checkpoint(json!(date))).await.expect(201)["date"], stored);
        }
    })
    .await;
}

/// Fault cases 59 and 63, and 62.
#[tokio::test]
async fn compressed_bodies_blank_messages_and_odd_sirens_are_refused() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let (alice, acme) = (world.persona("alice"), world.persona("acme"));
        for encoding in ["gzip", "deflate", "br", "x-gzip"] {
            let request = alice.request(Method::POST, "/skills").header("content-type", "application/json");
            let answer = alice.answer(request.header("content-encoding", encoding).body(vec![0x1f, 0x8b, 8, 0])).await;
            assert_eq!(answer.status, 415, "{encoding}");
        }
        for content in ["", " ", "\n\t ", "\u{a0}\u{3000}"] {
            let message = json!({ "content": content, "conversationId": world.get("cv1"), "senderId": alice.user_id, "receiverId": acme.user_id });
            assert_eq!(alice.post("/messages", message).await.status, 400, "{content:?}");
        }
        let path = format!("/companies/{}", acme.company_id());
        for siren in ["12345678", "1234567890", "12345678a", "１２３４５６７８９", ""] {
            assert_eq!(acme.patch(&path, json!({ "siren": siren })).await.status, 400, "{siren:?}");
        }
    })
    .await;
}

/// Fault case 58: what an HTTP library would not send. Every answer is a refusal or the end of the connection.
#[tokio::test]
async fn malformed_http_is_refused() {
    TestApp::run(async |app| {
        let many = (0..1000).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
        let requests = [
            format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(10 * 1024 * 1024)),
            format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(100_000)),
            "GET /health HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(),
            "POST /skills HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}   ".to_owned(),
            "POST /skills HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            "\0\0\0\0\r\n\r\n".to_owned(),
        ];
        for request in requests {
            let start: String = request.chars().take(60).collect();
            let answer = raw(app, &request).await;
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            assert!(answer.is_empty() || status.starts_with('4') || status == "505", "{start:?}: {answer:?}");
        }
        // Both lengths: one request is answered, and nothing of its body is taken for another.
        let smuggled = "POST /skills HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n";
        let answer = raw(app, smuggled).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
        app.anonymous().get("/health").await.expect(200);
    })
    .await;
}

/// What comes back until the server closes or says nothing for a second.
async fn raw(app: &TestApp, request: &str) -> String {
    let address = app.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    // The server may close before it has read everything.
    let _closed_early = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
