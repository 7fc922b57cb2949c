//! Each kind of challenge, in the shapes of Authentik 2025.2 and 2026.8.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Answers, Challenge, Outcome, Step};
use crate::{client::Enrollment, error::FlowErrors};

fn enrollment(role: Option<&str>) -> Enrollment {
    Enrollment {
        username: "alice".to_owned(),
        email: "alice@example.com".to_owned(),
        password: SecretString::from("secret"),
        password_repeat: SecretString::from("repeated"),
        role: role.map(str::to_owned),
    }
}

fn logging_in(challenge: Value) -> Step {
    let password = SecretString::from("secret");
    let answers = Answers { identifier: Some("alice"), password: Some(&password), enrollment: None };
    Challenge::read(challenge).expect("challenge").step(&answers).expect("step")
}

fn enrolling(challenge: Value, enrollment: &Enrollment) -> Step {
    let answers = Answers {
        identifier: Some(&enrollment.username),
        password: Some(&enrollment.password),
        enrollment: Some(enrollment),
    };
    Challenge::read(challenge).expect("challenge").step(&answers).expect("step")
}

fn not_answerable(component: &str) -> Step {
    Step::End(Outcome::NotAnswerableHere { component: component.to_owned() })
}

#[test]
fn identification_takes_the_password_only_where_it_asks_for_it() {
    let mut challenge = json!({
        "flow_info": { "title": "Welcome", "background": "/x.jpg", "cancel_url": "/flows/-/cancel/", "layout": "stacked" },
        "component": "ak-stage-identification", "user_fields": ["email", "username"], "password_fields": true,
        "allow_show_password": false, "flow_designation": "authentication", "captcha_stage": null,
        "primary_action": "Log in", "sources": [], "show_source_labels": false,
        "pending_user_identifier": null, "enable_remember_me": false, "passkey_challenge": null
    });
    let with_password = json!({ "component": "ak-stage-identification", "uid_field": "alice", "password": "secret" });
    assert_eq!(logging_in(challenge.clone()), Step::Answer(with_password));
    challenge["password_fields"] = false.into();
    let without = json!({ "component": "ak-stage-identification", "uid_field": "alice" });
    assert_eq!(logging_in(challenge.clone()), Step::Answer(without));
    challenge["captcha_stage"] = json!({ "component": "ak-stage-captcha", "site_key": "x" });
    assert_eq!(logging_in(challenge.clone()), not_answerable("ak-stage-identification"));
    challenge["captcha_stage"] = Value::Null;
    challenge["user_fields"] = Value::Null;
    assert_eq!(logging_in(challenge), not_answerable("ak-stage-identification"), "external sources only");
}

#[test]
fn password_and_remember_me_are_answered() {
    let password = json!({ "component": "ak-stage-password", "pending_user": "alice", "allow_show_password": false });
    let answer = json!({ "component": "ak-stage-password", "password": "secret" });
    assert_eq!(logging_in(password), Step::Answer(answer));
    let answer = json!({ "component": "ak-stage-user-login", "remember_me": false });
    assert_eq!(logging_in(json!({ "component": "ak-stage-user-login" })), Step::Answer(answer));
}

#[test]
fn prompt_fields_are_found_by_key_with_choices_of_either_version() {
    let challenge = json!({ "component": "ak-stage-prompt", "fields": [
        { "field_key": "username", "type": "username", "required": true, "placeholder": "", "initial_value": "", "order": 0, "choices": null },
        { "field_key": "name", "type": "text", "required": true },
        { "field_key": "email", "type": "email", "required": true },
        { "field_key": "password", "type": "password", "required": true },
        { "field_key": "password_repeat", "type": "password", "required": true },
        { "field_key": "attributes.role", "type": "dropdown", "required": true, "choices": ["FREELANCE", "COMPANY"] },
        { "field_key": "attributes.plan", "type": "dropdown", "required": true, "initial_value": "free", "choices": [{ "value": "free", "label": "Free" }] },
        { "field_key": "origin", "type": "hidden", "required": true, "initial_value": "freehunt" },
        { "field_key": "notice", "type": "static", "required": true, "initial_value": "" },
        { "field_key": "phone", "type": "text", "required": false, "initial_value": "" }
    ] });
    let answer = json!({
        "component": "ak-stage-prompt", "username": "alice", "name": "alice", "email": "alice@example.com",
        "password": "secret", "password_repeat": "repeated", "attributes.role": "COMPANY",
        "attributes.plan": "free", "origin": "freehunt"
    });
    assert_eq!(enrolling(challenge.clone(), &enrollment(Some("COMPANY"))), Step::Answer(answer));
    assert_eq!(enrolling(challenge.clone(), &enrollment(None)), not_answerable("ak-stage-prompt"), "no role to give");
    assert_eq!(logging_in(challenge), not_answerable("ak-stage-prompt"), "log-in has nothing to fill in");
}

#[test]
fn an_unknown_required_prompt_field_is_not_answerable() {
    let challenge = json!({ "component": "ak-stage-prompt", "fields": [
        { "field_key": "passport_number", "type": "text", "required": true, "initial_value": "" }
    ] });
    assert_eq!(enrolling(challenge, &enrollment(None)), not_answerable("ak-stage-prompt"));
}

#[test]
fn response_errors_keep_their_shape() {
    let errors = json!({ "username": [{ "string": "Username is already taken.", "code": "invalid" }] });
    let challenge = json!({ "component": "ak-stage-prompt", "fields": [], "response_errors": errors });
    let Step::End(Outcome::Refused(refused)) = enrolling(challenge, &enrollment(None)) else {
        panic!("must be refused");
    };
    assert_eq!(refused, FlowErrors::of("username", "Username is already taken.", "invalid"));
    assert_eq!(serde_json::to_value(refused).expect("JSON"), errors);
}

/// Fault case 23.
#[test]
fn what_needs_authentiks_own_pages_is_not_answerable() {
    for component in
        ["ak-stage-authenticator-validate", "ak-stage-consent", "ak-stage-email", "xak-flow-shell", "ak-new"]
    {
        assert_eq!(logging_in(json!({ "component": component, "fields": 3 })), not_answerable(component));
    }
}

#[test]
fn ends() {
    let redirect = json!({ "component": "xak-flow-redirect", "to": "/", "final_redirect": true });
    assert_eq!(logging_in(redirect), Step::End(Outcome::Done));
    let denied = json!({ "component": "ak-stage-access-denied", "pending_user": "x", "error_message": "Locked." });
    assert_eq!(logging_in(denied), Step::End(Outcome::Denied { message: Some("Locked.".to_owned()) }));
    let failed = Challenge::read(json!({ "component": "ak-stage-flow-error", "request_id": "x" })).expect("challenge");
    assert!(failed.step(&Answers::default()).is_err());
    assert!(Challenge::read(json!({ "detail": "no component" })).is_err());
    assert!(Challenge::read(json!({ "component": "ak-stage-prompt", "response_errors": "text" })).is_err());
}
