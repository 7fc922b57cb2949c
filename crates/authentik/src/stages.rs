//! The stages of a flow: what each challenge of the executor asks, and what is answered to it.
//!
//! Pure: no HTTP. Shapes are those of Authentik 2025.2 to 2026.8; what it adds beside them is ignored.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    client::Enrollment,
    error::{FlowErrors, Unavailable, UnavailableKind},
};

const IDENTIFICATION: &str = "ak-stage-identification";
const PASSWORD: &str = "ak-stage-password";
const PROMPT: &str = "ak-stage-prompt";
const USER_LOGIN: &str = "ak-stage-user-login";
const ACCESS_DENIED: &str = "ak-stage-access-denied";
const FLOW_ERROR: &str = "ak-stage-flow-error";
const SESSION_END: &str = "ak-stage-session-end";
pub(crate) const REDIRECT: &str = "xak-flow-redirect";

/// What a flow is answered with. A stage that asks for something absent here is not answerable.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answers<'a> {
    pub(crate) identifier: Option<&'a str>,
    pub(crate) password: Option<&'a SecretString>,
    pub(crate) enrollment: Option<&'a Enrollment>,
}

/// How a flow ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Refused(FlowErrors),
    Denied { message: Option<String> },
    NotAnswerableHere { component: String },
}

/// What to do about a challenge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The JSON body to post.
    Answer(Value),
    End(Outcome),
}

#[derive(Deserialize)]
struct Common {
    component: String,
    #[serde(default)]
    response_errors: Option<FlowErrors>,
}

#[derive(Deserialize)]
struct Identification {
    #[serde(default)]
    user_fields: Option<Vec<String>>,
    #[serde(default)]
    password_fields: Option<bool>,
    #[serde(default)]
    captcha_stage: Option<Value>,
}

#[derive(Deserialize)]
struct AccessDenied {
    #[serde(default)]
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct Prompt {
    #[serde(default)]
    fields: Vec<PromptField>,
}

#[derive(Deserialize)]
struct PromptField {
    field_key: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    required: Option<bool>,
    #[serde(default)]
    initial_value: Option<Value>,
}

/// One challenge of the executor.
pub(crate) struct Challenge {
    component: String,
    errors: FlowErrors,
    body: Value,
}

impl Challenge {
    pub(crate) fn read(body: Value) -> Result<Self, Unavailable> {
        let common: Common = part(&body)?;
        let errors = common.response_errors.unwrap_or_default();
        Ok(Self { component: common.component, errors, body })
    }

    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Whether it asks who somebody is, or for their password: things that are asked once in a flow.
    pub(crate) fn asks_for_credentials(&self) -> bool {
        matches!(self.component.as_str(), IDENTIFICATION | PASSWORD)
    }

    /// Whether it is one of the challenges that are understood here.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.component.as_str(), IDENTIFICATION | PASSWORD | PROMPT | USER_LOGIN | REDIRECT | ACCESS_DENIED)
    }

    /// Decides what to do. Fails when the challenge is not of the shape its component has.
    pub(crate) fn step(self, answers: &Answers<'_>) -> Result<Step, Unavailable> {
        if !self.errors.is_empty() {
            return Ok(Step::End(Outcome::Refused(self.errors)));
        }
        let answer = match self.component.as_str() {
            IDENTIFICATION => identification(&part(&self.body)?, answers),
            PASSWORD => {
                answers.password.map(|password| json!({ "component": PASSWORD, "password": password.expose_secret() }))
            }
            PROMPT => answers.enrollment.and_then(|enrollment| prompt(&part(&self.body).ok()?, enrollment)),
            USER_LOGIN => Some(json!({ "component": USER_LOGIN, "remember_me": false })),
            REDIRECT | SESSION_END => return Ok(Step::End(Outcome::Done)),
            ACCESS_DENIED => {
                let denied: AccessDenied = part(&self.body)?;
                return Ok(Step::End(Outcome::Denied { message: denied.error_message }));
            }
            // Authentik's way to say 500 inside a flow.
            FLOW_ERROR => return Err(UnavailableKind::Status(500).into()),
            _ => None,
        };
        Ok(answer.map_or_else(|| Step::End(Outcome::NotAnswerableHere { component: self.component }), Step::Answer))
    }
}

fn part<T: DeserializeOwned>(body: &Value) -> Result<T, Unavailable> {
    T::deserialize(body).map_err(|_| UnavailableKind::Malformed.into())
}

fn identification(stage: &Identification, answers: &Answers<'_>) -> Option<Value> {
    let takes_identifiers = stage.user_fields.as_ref().is_some_and(|fields| !fields.is_empty());
    let wants_captcha = stage.captcha_stage.as_ref().is_some_and(|stage| !stage.is_null());
    if !takes_identifiers || wants_captcha {
        return None;
    }
    let mut answer = json!({ "component": IDENTIFICATION, "uid_field": answers.identifier? });
    if stage.password_fields == Some(true) {
        answer["password"] = answers.password?.expose_secret().into();
    }
    Some(answer)
}

fn prompt(stage: &Prompt, enrollment: &Enrollment) -> Option<Value> {
    let mut answer = Map::from_iter([("component".to_owned(), Value::from(PROMPT))]);
    for field in &stage.fields {
        match known_value(&field.field_key, enrollment).or_else(|| initial_value(field)) {
            Some(value) => {
                answer.insert(field.field_key.clone(), value);
            }
            None if field.required == Some(true) && !is_display_only(&field.kind) => return None,
            None => {}
        }
    }
    Some(Value::Object(answer))
}

/// Our value for a prompt field, found by its key: `role` and `attributes.role` are the same thing.
fn known_value(key: &str, enrollment: &Enrollment) -> Option<Value> {
    let value = match key.strip_prefix("attributes.").unwrap_or(key) {
        "username" | "name" => &enrollment.username,
        "email" => &enrollment.email,
        "password" => enrollment.password.expose_secret(),
        "password_repeat" => enrollment.password_repeat.expose_secret(),
        "role" => enrollment.role.as_deref()?,
        _ => return None,
    };
    Some(value.into())
}

fn initial_value(field: &PromptField) -> Option<Value> {
    match field.initial_value.as_ref()? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        value => Some(value.clone()),
    }
}

fn is_display_only(kind: &str) -> bool {
    kind == "static" || kind == "separator" || kind.starts_with("alert_")
}

#[cfg(test)]
mod tests;
