//! The JSON of each challenge, field for field as in Authentik's API schema. No state, no decisions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::users::AVATAR;

/// Messages by field (or `non_field_errors`), each with its code.
pub(super) type Errors = BTreeMap<String, Vec<(String, &'static str)>>;

/// One message with the code `invalid`.
pub(super) fn invalid(field: &str, message: &str) -> Errors {
    Errors::from([(field.to_owned(), vec![(message.to_owned(), "invalid")])])
}

/// The same challenge again, with what was wrong with the answer.
pub(super) fn with_errors(mut challenge: Value, errors: &Errors) -> Value {
    let errors: BTreeMap<&str, Vec<Value>> = errors
        .iter()
        .map(|(field, messages)| {
            let details = messages.iter().map(|(string, code)| json!({ "string": string, "code": code }));
            (field.as_str(), details.collect())
        })
        .collect();
    challenge["response_errors"] = json!(errors);
    challenge
}

fn flow_info(title: &str) -> Value {
    json!({
        "title": title,
        "background": "/static/dist/assets/images/flow_background.jpg",
        "cancel_url": "/flows/-/cancel/",
        "layout": "stacked",
    })
}

pub(super) fn identification(title: &str, password_fields: bool, enrolment_slug: &str) -> Value {
    json!({
        "flow_info": flow_info(title),
        "component": "ak-stage-identification",
        "user_fields": ["email", "username"],
        "password_fields": password_fields,
        "allow_show_password": false,
        "flow_designation": "authentication",
        "captcha_stage": null,
        "enroll_url": format!("/if/flow/{enrolment_slug}/"),
        "primary_action": "Log in",
        "sources": [],
        "show_source_labels": false,
    })
}

pub(super) fn password(title: &str, pending_user: &str) -> Value {
    json!({
        "flow_info": flow_info(title),
        "component": "ak-stage-password",
        "pending_user": pending_user,
        "pending_user_avatar": AVATAR,
        "allow_show_password": false,
    })
}

pub(super) fn second_factor(title: &str, pending_user: &str) -> Value {
    json!({
        "flow_info": flow_info(title),
        "component": "ak-stage-authenticator-validate",
        "pending_user": pending_user,
        "pending_user_avatar": AVATAR,
        "device_challenges": [{ "device_class": "totp", "device_uid": "1", "challenge": {}, "last_used": null }],
        "configuration_stages": [],
    })
}

/// Keys of the enrolment prompts, in their order.
pub(super) const PROMPT_FIELDS: [&str; 4] = ["username", "email", "password", "password_repeat"];

pub(super) fn prompt(title: &str) -> Value {
    let field = |key: &str, label: &str, kind: &str, order: i32| {
        json!({
            "field_key": key,
            "label": label,
            "type": kind,
            "required": true,
            "placeholder": label,
            "initial_value": "",
            "order": order,
            "sub_text": "",
            "choices": null,
        })
    };
    let [username, email, password, password_repeat] = PROMPT_FIELDS;
    json!({
        "flow_info": flow_info(title),
        "component": "ak-stage-prompt",
        "fields": [
            field(username, "Username", "username", 0),
            field(email, "Email", "email", 1),
            field(password, "Password", "password", 300),
            field(password_repeat, "Password (repeat)", "password", 301),
        ],
    })
}

pub(super) fn access_denied(title: &str, pending_user: &str, message: &str) -> Value {
    json!({
        "flow_info": flow_info(title),
        "component": "ak-stage-access-denied",
        "pending_user": pending_user,
        "pending_user_avatar": AVATAR,
        "error_message": message,
    })
}

pub(super) fn flow_error(title: &str, request_id: &str) -> Value {
    json!({ "flow_info": flow_info(title), "component": "ak-stage-flow-error", "request_id": request_id })
}

pub(super) fn redirect(to: &str) -> Value {
    json!({ "component": "xak-flow-redirect", "to": to })
}
