//! Exchanges recorded from the original that must still hold, as data: `contract/<feature>.jsonl`, a case a line.
//!
//! A case says who asks (`as`), `method`, `path`, `body` (or `raw` bytes and `headers`), and what must come back: `status`,
//! and any of `message` (`*` for any), `error`, `text` (the exact body), `answer` (a template) and `absent` (JSON pointers).
//! In a template `<uuid>`, `<time>`, `<text>`, `<number>`, `<integer>`, `<boolean>`, `<array>`, `<object>` and `<any>` stand for
//! a type (with `?`, or null); `[T]` is a list of one or more T; an object may have more fields than its template.
//! `save` names a value of the answer for later lines. What differs from the original is listed in docs/differences.md.

use std::collections::BTreeMap;

use freehunt_tests::{Answer, TestApp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::world::{Names, World};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    r#as: String,
    method: String,
    path: String,
    #[serde(default, deserialize_with = "present")]
    body: Option<Value>,
    raw: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    status: u16,
    message: Option<Value>,
    error: Option<String>,
    text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    answer: Option<Value>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    save: BTreeMap<String, String>,
}

/// A field that is there with the value `null` is not an absent one.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

macro_rules! features {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                run($file, include_str!(concat!("contract/", $file, ".jsonl"))).await;
            }
        )*
    };
}

features! {
    http: "http",
    auth: "auth",
    users: "users",
    companies: "companies",
    freelances: "freelances",
    skills: "skills",
    job_postings: "job-postings",
    candidates: "candidates",
    checkpoints: "checkpoints",
    projects: "projects",
    conversations: "conversations",
    messages: "messages",
    documents: "documents",
    stripe: "stripe",
    frontend: "frontend",
}

/// Runs the file's cases in order over one world, and tells all that differ at once.
async fn run(feature: &str, lines: &str) {
    let cases: Vec<Case> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{feature}: {error}: {line}")))
        .collect();
    assert!(!cases.is_empty());
    TestApp::run(async |app| {
        let mut world = World::build(app).await;
        let mut failures = Vec::new();
        for case in &cases {
            let mut fresh = Names::new();
            let answer = ask(app, &world, &mut fresh, case).await;
            let mut problems = check(app, &world, &mut fresh, case, &answer).await;
            for (name, pointer) in &case.save {
                match answer.body.pointer(pointer).and_then(Value::as_str) {
                    Some(value) => world.name(name, value),
                    None => {
                        world.name(name, "00000000-0000-4000-8000-00000000dead");
                        problems.push(format!("nothing to save at {pointer}"));
                    }
                }
            }
            if !problems.is_empty() {
                let got: String = answer.text.chars().take(700).collect();
                failures.push(format!(
                    "{}\n  {} {} as {} answered {} {got}\n  {}",
                    case.case,
                    case.method,
                    case.path,
                    case.r#as,
                    answer.status,
                    problems.join("\n  ")
                ));
            }
        }
        let (failed, all) = (failures.len(), cases.len());
        assert!(failures.is_empty(), "{feature}: {failed} of {all} cases differ\n\n{}", failures.join("\n\n"));
    })
    .await;
}

async fn ask(app: &TestApp, world: &World, fresh: &mut Names, case: &Case) -> Answer {
    let persona = world.persona(&case.r#as);
    let path = world.fill(app, fresh, &case.path).await;
    let method = case.method.parse().expect("a method");
    let mut request = persona.request(method, &path);
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    if let Some(raw) = &case.raw {
        request = request.body(raw.clone());
    }
    if let Some(body) = &case.body {
        request = request.json(&world.fill_json(app, fresh, body).await);
    }
    persona.answer(request).await
}

async fn check(app: &TestApp, world: &World, fresh: &mut Names, case: &Case, answer: &Answer) -> Vec<String> {
    let mut problems = Vec::new();
    if answer.status != case.status {
        problems.push(format!("expected status {}", case.status));
        return problems;
    }
    let is_json = answer.body.is_object() || answer.body.is_array() || answer.body.is_boolean();
    if is_json && answer.headers["content-type"] != "application/json; charset=utf-8" {
        problems.push(format!("content type {:?}", answer.headers["content-type"]));
    }
    // Only the webhook, and answers to HEAD, refuse without the envelope.
    if answer.status >= 400 && case.text.is_none() && answer.body["statusCode"] != answer.status {
        problems.push("the envelope lacks its statusCode".to_owned());
    }
    if let Some(message) = &case.message {
        let expected = world.fill_json(app, fresh, message).await;
        let got = &answer.body["message"];
        let any = expected == "*" && (got.is_string() || got.is_array());
        if !any && *got != expected {
            problems.push(format!("expected message {expected}"));
        }
    }
    if let Some(error) = &case.error
        && answer.body["error"] != error.as_str()
    {
        problems.push(format!("expected error {error}"));
    }
    if let Some(text) = &case.text
        && answer.text != *text
    {
        problems.push(format!("expected the text {text:?}"));
    }
    if let Some(template) = &case.answer {
        let template = world.fill_json(app, fresh, template).await;
        compare(&template, &answer.body, "", &mut problems);
    }
    for pointer in &case.absent {
        if answer.body.pointer(pointer).is_some() {
            problems.push(format!("{pointer} must not be there"));
        }
    }
    problems
}

fn compare(template: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    match template {
        Value::String(text) if text.starts_with('<') && (text.ends_with('>')) => {
            if !is_of_type(text.trim_matches(['<', '>']), value) {
                problems.push(format!("{at}: expected {text}, got {}", short(value)));
            }
        }
        Value::Object(fields) => match value.as_object() {
            Some(object) => compare_fields(fields, object, at, problems),
            None => problems.push(format!("{at}: expected an object, got {}", short(value))),
        },
        Value::Array(items) if items.len() == 1 => match value.as_array() {
            Some(values) if !values.is_empty() => {
                for (index, value) in values.iter().enumerate() {
                    compare(&items[0], value, &format!("{at}/{index}"), problems);
                }
            }
            _ => problems.push(format!("{at}: expected a list of one or more, got {}", short(value))),
        },
        _ if template == value => {}
        _ => problems.push(format!("{at}: expected {template}, got {}", short(value))),
    }
}

fn compare_fields(fields: &Map<String, Value>, object: &Map<String, Value>, at: &str, problems: &mut Vec<String>) {
    for (name, template) in fields {
        match object.get(name) {
            Some(value) => compare(template, value, &format!("{at}/{name}"), problems),
            None => problems.push(format!("{at}/{name}: is missing")),
        }
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    if let Some(name) = name.strip_suffix('?') {
        return value.is_null() || is_of_type(name, value);
    }
    let text = value.as_str();
    match name {
        "any" => true,
        "uuid" => text.is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        "time" => text.is_some_and(is_time),
        "text" => text.is_some(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type <{other}>"),
    }
}

/// `2026-01-01T00:00:00.000Z`, as JavaScript writes times.
fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.ends_with('Z')
        && text.as_bytes()[19] == b'.'
        && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}
