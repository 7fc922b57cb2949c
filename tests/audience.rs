//! Which answers may carry what is private. Every body is walked; a key that its reader may not see is a finding.

use freehunt_domain::users::Role;
use freehunt_tests::Persona;
use serde_json::{Map, Value};

/// Keys outside their audience, as JSON pointers. `operation` is e.g. `GET /companies/{id}`.
pub fn leaks(reader: &Persona, role: Option<Role>, operation: &str, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(&Reader { persona: reader, role, operation }, body, "", &mut found);
    found
}

struct Reader<'a> {
    persona: &'a Persona,
    role: Option<Role>,
    operation: &'a str,
}

fn walk(reader: &Reader<'_>, value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(reader, item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(object) => {
            for (key, item) in object {
                let pointer = format!("{at}/{key}");
                if !may_read(reader, object, key, item, &pointer) {
                    found.push(pointer.clone());
                }
                walk(reader, item, &pointer, found);
            }
        }
        _ => {}
    }
}

fn may_read(reader: &Reader<'_>, object: &Map<String, Value>, key: &str, value: &Value, pointer: &str) -> bool {
    let persona = reader.persona;
    let is = |field: &str, id: Option<String>| {
        id.is_some() && object.get(field).and_then(Value::as_str).map(str::to_owned) == id
    };
    match key {
        // Field errors of a form are keyed by its field names.
        "email" if value.is_array() => true,
        // D1: a published company's address is for whoever has a session.
        "email" if reader.operation == "GET /companies/{id}" && pointer == "/user/email" => reader.role.is_some(),
        "email" => value == persona.email.as_str() && reader.role.is_some(),
        "stripeAccountId" => {
            let own_profile = is("id", persona.freelance_id.map(|id| id.to_string()));
            let onboarding = reader.operation.starts_with("POST /stripe/") && persona.freelance_id.is_some();
            own_profile
                || onboarding
                || (object.get("userId").and_then(Value::as_str) == Some(&persona.user_id.to_string()))
        }
        "stripeSessionId" | "stripeRefundId" => is("companyId", persona.company_id.map(|id| id.to_string())),
        "cookies" => value.as_array().is_some_and(Vec::is_empty),
        "password" => value.is_array(),
        _ => true,
    }
}
