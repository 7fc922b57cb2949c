//! The OpenAPI document: against the router both ways, against the original's, complete, and as one snapshot.

use std::{collections::BTreeSet, fs, path::Path};

use freehunt_tests::{TestApp, TestOptions};
use reqwest::Method;
use serde_json::Value;

use crate::operations::{document, operations, without_names};

const ORIGINAL: &str = include_str!("contract/original-operations.txt");
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[test]
fn every_operation_of_the_original_is_here() {
    let ours: BTreeSet<(String, String)> =
        operations(&document()).into_iter().map(|(method, path)| (method, without_names(&path))).collect();
    let original: Vec<(String, String)> = ORIGINAL
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(method, path)| (method.to_owned(), without_names(path.trim())))
        .collect();
    assert_eq!(original.len(), 93);
    let missing: Vec<_> = original.iter().filter(|operation| !ours.contains(operation)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

/// Each method of each path is answered by a handler exactly if the document has it.
#[tokio::test]
async fn router_and_document_agree() {
    let document = document();
    let known = operations(&document);
    let paths: BTreeSet<&String> = known.iter().map(|(_, path)| path).collect();
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let mut differences = Vec::new();
        for path in paths {
            let concrete = with_values(path);
            for method in METHODS {
                let in_document = known.iter().any(|(other, template)| *other == method.as_str() && template == path);
                let answer = anonymous.answer(anonymous.request(method.clone(), &concrete)).await;
                let is_routed = answer.status != 405 && !answer.message().starts_with("Cannot ");
                if is_routed != in_document {
                    differences.push(format!("{method} {path}: answered {}", answer.status));
                }
            }
        }
        assert!(differences.is_empty(), "{differences:#?}");
    })
    .await;
}

/// `/skills/{id}` with a value in each parameter.
fn with_values(path: &str) -> String {
    let value = |segment: &str| match segment {
        "{status}" => "PUBLISHED".to_owned(),
        "{email}" => "nobody@example.org".to_owned(),
        segment if segment.starts_with('{') => "00000000-0000-4000-8000-000000000000".to_owned(),
        segment => segment.to_owned(),
    };
    path.split('/').map(value).collect::<Vec<_>>().join("/")
}

/// The router knows only the table in routes.rs, which makes the document, and these.
#[test]
fn nothing_is_routed_past_the_document() {
    const APART: [&str; 7] =
        ["/health/live", "/health/ready", "/health/started", "/api", "/api/{*file}", "/api-json", "/api-yaml"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/api/src");
    let mut found = BTreeSet::new();
    collect_routes(&source, &mut found);
    assert_eq!(found, APART.map(str::to_owned).into());
}

fn collect_routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect_routes(&path, found);
        } else if path.file_name().is_some_and(|name| name != "tests.rs" && name != "metrics.rs") {
            let text = fs::read_to_string(&path).expect("the source is text");
            found.extend(text.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
}

#[test]
fn every_operation_is_described() {
    let document = document();
    let mut lacks = Vec::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        let mut lack = |what: &str| lacks.push(format!("{method} {path}: {what}"));
        if operation["summary"].as_str().is_none_or(str::is_empty) {
            lack("no summary");
        }
        if operation["tags"].as_array().is_none_or(Vec::is_empty) {
            lack("no tag");
        }
        let responses = operation["responses"].as_object().expect("an operation has responses");
        let is_closed = operation["summary"].as_str().is_some_and(|summary| summary.starts_with("Closed"));
        let succeeds = responses.keys().any(|status| status.starts_with(['2', '3']));
        if succeeds == is_closed {
            lack("must either succeed or be closed");
        }
        for (status, response) in responses {
            if status.as_str() >= "400" && response["$ref"].is_null() && response["content"].is_null() {
                lack(&format!("{status} has no body"));
            }
        }
        if ["PUT", "PATCH"].contains(&method.as_str()) && !is_closed && operation["requestBody"].is_null() {
            lack("no request body");
        }
        let placeholders = path.matches('{').count();
        let parameters = operation["parameters"]
            .as_array()
            .map_or(0, |parameters| parameters.iter().filter(|parameter| parameter["in"] == "path").count());
        if placeholders != parameters {
            lack("a path parameter is not described");
        }
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 30, "few references: {references:?}");
    let dangling: Vec<_> =
        references.iter().filter(|reference| document.pointer(reference.trim_start_matches('#')).is_none()).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
}

#[test]
fn every_tag_is_explained_and_used() {
    let document = document();
    let explained: BTreeSet<&str> =
        document["tags"].as_array().expect("tags").iter().filter_map(|tag| tag["name"].as_str()).collect();
    let used: BTreeSet<&str> = operations(&document)
        .iter()
        .filter_map(|(method, path)| document["paths"][path][method.to_lowercase()]["tags"][0].as_str())
        .collect();
    assert_eq!(explained, used);
}

/// Every request body has an example somewhere, so that the UI can fill it in.
#[test]
fn every_request_body_has_examples() {
    let document = document();
    let mut lacks = Vec::new();
    for (method, path) in operations(&document) {
        let content = &document["paths"][&path][method.to_lowercase()]["requestBody"]["content"]["application/json"];
        if !content.is_null() && !has_example(&document, content, 0) {
            lacks.push(format!("{method} {path}"));
        }
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
}

/// Of two types with one name the document would only have one.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let mut names = Vec::new();
    for crate_name in ["api", "domain"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(crate_name).join("src");
        collect_schema_names(&source, &mut names);
    }
    assert!(names.len() > 80, "few names: {names:?}");
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

fn collect_schema_names(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect_schema_names(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).expect("the source is text");
        for rest in text.split("ToSchema)]").skip(1) {
            let alias = rest.split_once("#[schema(as = ").filter(|(before, _)| !before.contains('{'));
            let declaration = rest.split_once("struct ").into_iter().chain(rest.split_once("enum "));
            let declaration = declaration.min_by_key(|(before, _)| before.len()).map(|(_, name)| name);
            let name = alias.map(|(_, name)| name).or(declaration).unwrap_or_default();
            names.push(name.chars().take_while(|character| character.is_alphanumeric()).collect());
        }
    }
}

/// Every answer with a body shows somewhere what is in it.
#[test]
fn every_answer_has_examples() {
    let document = document();
    let mut lacks = Vec::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        for (status, response) in operation["responses"].as_object().expect("an operation has responses") {
            for content in response["content"].as_object().into_iter().flat_map(serde_json::Map::values) {
                let is_plain = content.pointer("/schema/type").is_some_and(|kind| kind == "boolean");
                if !is_plain && !has_example(&document, content, 0) {
                    lacks.push(format!("{method} {path} {status}"));
                }
            }
        }
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
}

/// The examples of the bodies satisfy the rules of the bodies: whoever an operation is for gets past them.
#[tokio::test]
async fn the_examples_are_right() {
    let document = document();
    TestApp::run(async |app| {
        let personas = [app.freelance("alice").await, app.company("acme").await];
        let mut refused = Vec::new();
        for (method, path) in operations(&document) {
            let content = &document["paths"][&path][method.to_lowercase()]["requestBody"]["content"];
            let schema = &content["application/json"]["schema"];
            if schema.is_null() || path == "/stripe/webhook" {
                continue;
            }
            let body = example_of(&document, schema);
            let mut messages = Vec::new();
            for persona in &personas {
                let request = persona.request(method.parse().expect("a method"), &with_values(&path)).json(&body);
                messages.push(persona.answer(request).await.body["message"].clone());
            }
            // A refused body has a text for each broken rule; other refusals are sentences.
            if messages.iter().any(Value::is_array) {
                refused.push(format!("{method} {path} {body}: {messages:?}"));
            }
        }
        assert!(refused.is_empty(), "{refused:#?}");
    })
    .await;
}

/// A value that the schema shows: its own example, or one made of its properties' examples.
fn example_of(document: &Value, schema: &Value) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere");
        return example_of(document, target);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|names| names.first()) {
        return first.clone();
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let shown = properties.iter().filter(|(name, property)| {
            required.contains(&Value::from(name.as_str())) || property.get("example").is_some()
        });
        return shown.map(|(name, property)| (name.clone(), example_of(document, property))).collect();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => "550e8400-e29b-41d4-a716-446655440000".into(),
        (Some("boolean"), _) => true.into(),
        (Some("array"), _) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

fn has_example(document: &Value, value: &Value, depth: usize) -> bool {
    if depth > 6 {
        return false;
    }
    match value {
        Value::Object(object) => object.iter().any(|(key, item)| match (key.as_str(), item) {
            ("example" | "examples" | "enum", _) => true,
            ("$ref", Value::String(reference)) => {
                let target = document.pointer(reference.trim_start_matches('#'));
                target.is_some_and(|target| has_example(document, target, depth + 1))
            }
            _ => has_example(document, item, depth),
        }),
        Value::Array(items) => items.iter().any(|item| has_example(document, item, depth)),
        _ => false,
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|item| collect_references(item, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_pages_are_served() {
    TestApp::run_with(TestOptions::default().with("DOCS_ENABLED", "true"), async |app| {
        let anonymous = app.anonymous();
        assert_eq!(anonymous.get("/api-json").await.expect(200), document());
        let yaml = anonymous.get("/api-yaml").await;
        assert_eq!(yaml.headers["content-type"], "text/yaml; charset=utf-8");
        assert!(yaml.text.starts_with("openapi: 3.1"), "{}", &yaml.text[..80]);
        for path in ["/api", "/api/"] {
            let page = anonymous.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            for file in page.text.split('"').filter(|text| text.starts_with("/api/")) {
                let answer = anonymous.get(file).await;
                assert_eq!((answer.status, answer.text.is_empty()), (200, false), "{file}");
                assert!(!answer.text.contains("https://petstore"), "{file}");
            }
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
        }
        assert_eq!(anonymous.get("/api/nope.js").await.message(), "Cannot GET /api/nope.js");
    })
    .await;
}

/// D4.
#[tokio::test]
async fn the_pages_can_be_switched_off() {
    TestApp::run_with(TestOptions::default().with("DOCS_ENABLED", "false"), async |app| {
        for path in ["/api", "/api/swagger-ui.css", "/api-json", "/api-yaml"] {
            assert_eq!(app.anonymous().get(path).await.status, 404, "{path}");
        }
    })
    .await;
}

/// The whole document; a change of the API shows as a change of this file.
#[test]
fn the_document_is_as_reviewed() {
    insta::assert_json_snapshot!(document(), { ".info.version" => "[version]" });
}
