//! The stand-in, the client and the blueprint, held against Authentik's own API schema: the version the original ran
//! (2025.2) and a current one. `contract/authentik-schema.json` has the parts that matter.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::header, response::IntoResponse, routing::any};
use freehunt_authentik::{
    Authentik, AuthentikSettings, DEFAULT_INVALIDATION_FLOW, Enrolled, Enrollment, LogIn, SessionCookie,
};
use freehunt_domain::users::Role;
use freehunt_sandbox::{
    authentik::Behaviour,
    stand_in::{Controls, Running, serve},
};
use freehunt_tests::{TestApp, settings};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use yaml_serde::Value as Yaml;

const SCHEMA: &str = include_str!("contract/authentik-schema.json");
/// The version that the stand-in speaks.
const STAND_IN: &str = "2025.2.4";
const CURRENT: &str = "2026.8.5";

/// The definitions of one version.
struct Schema(Value);

impl Schema {
    fn of(version: &str) -> Self {
        let all: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        Self(all["versions"][version].clone())
    }

    /// What is wrong with `value` as a `name`: rules that are broken, and properties that the schema does not know.
    fn problems(&self, name: &str, value: &Value) -> Vec<String> {
        let root = json!({ "$ref": format!("#/$defs/{name}"), "$defs": self.0 });
        let validator = jsonschema::validator_for(&root).expect("the definitions are JSON Schema");
        let broken = validator.iter_errors(value).map(|error| format!("{name}{}: {error}", error.instance_path()));
        let known = self.0[name]["properties"].as_object().expect("an object is described");
        let fields = value.as_object().into_iter().flat_map(Map::keys);
        let unknown = fields.filter(|field| !known.contains_key(*field)).map(|field| format!("{name} has no {field}"));
        broken.chain(unknown).collect()
    }

    #[track_caller]
    fn accepts(&self, name: &str, value: &Value) {
        let problems = self.problems(name, value);
        assert!(problems.is_empty(), "{}\n{value:#}", problems.join("\n"));
    }

    /// A value of this kind: with everything that may be there, or with nothing that need not be.
    fn example(&self, name: &str, full: bool) -> Value {
        self.make(&self.0[name], full, 0)
    }

    fn make(&self, schema: &Value, full: bool, depth: usize) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().expect("a reference names something");
            return self.make(&self.0[name], full && depth < 4, depth + 1);
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[0].clone();
        }
        for kind in ["oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[kind].as_array() {
                let null = choices.iter().any(|choice| choice["type"] == "null");
                return if null && !full { Value::Null } else { self.make(&choices[0], full, depth + 1) };
            }
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        match kinds.as_slice() {
            [_, "null"] if !full => Value::Null,
            ["string", ..] => json!("text"),
            ["integer", ..] => json!(1),
            ["number", ..] => json!(1.5),
            ["boolean", ..] => json!(true),
            ["array", ..] if full => json!([self.make(&schema["items"], full, depth + 1)]),
            ["array", ..] => json!([]),
            ["object", ..] => self.make_object(schema, full, depth),
            _ => json!({}),
        }
    }

    fn make_object(&self, schema: &Value, full: bool, depth: usize) -> Value {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fields = schema["properties"].as_object().into_iter().flatten();
        let wanted = fields.filter(|(name, _)| full || required.iter().any(|required| required == *name));
        wanted.map(|(name, of)| (name.clone(), self.make(of, full, depth + 1))).collect()
    }

    /// A challenge, with `fields` over what the schema makes up.
    fn challenge(&self, name: &str, component: &str, full: bool, fields: Value) -> Value {
        let mut challenge = self.example(name, full);
        challenge.as_object_mut().expect("a challenge is an object").remove("response_errors");
        challenge["component"] = json!(component);
        for (field, value) in fields.as_object().expect("fields are an object") {
            challenge[field] = value.clone();
        }
        self.accepts(name, &challenge);
        challenge
    }
}

/// One run of a flow by somebody who keeps cookies and follows redirects.
struct Visitor<'a> {
    app: &'a TestApp,
    client: reqwest::Client,
}

impl<'a> Visitor<'a> {
    fn new(app: &'a TestApp) -> Self {
        let client = reqwest::Client::builder().cookie_store(true).no_proxy().build().expect("a client");
        Self { app, client }
    }

    async fn flow(&self, slug: &str, answer: Option<Value>) -> Value {
        let url = format!("{}/api/v3/flows/executor/{slug}/?query=", self.app.authentik.url());
        let request = match answer {
            None => self.client.get(url),
            Some(answer) => self.client.post(url).json(&answer),
        };
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn log_in(&self, password: &str) -> Value {
        self.flow(LOGIN, None).await;
        self.flow(LOGIN, Some(json!({ "uid_field": "alice", "password": password }))).await
    }
}

const LOGIN: &str = "default-authentication-flow";
const ENROLLMENT: &str = "freehunt-enrollment";

#[tokio::test]
async fn what_the_stand_in_answers_is_what_authentik_may_answer() {
    TestApp::run(async |app| {
        let schema = Schema::of(STAND_IN);
        app.user("alice", Role::Freelance).await;
        let identification = Visitor::new(app).flow(LOGIN, None).await;
        schema.accepts("IdentificationChallenge", &identification);
        let refused = Visitor::new(app).log_in("wrong").await;
        assert!(refused["response_errors"]["non_field_errors"][0]["string"].is_string());
        schema.accepts("IdentificationChallenge", &refused);
        schema.accepts("RedirectChallenge", &Visitor::new(app).log_in(settings::PASSWORD).await);

        let with = |behaviour| app.authentik.set_behaviour(behaviour);
        with(Behaviour { separate_password_stage: true, ..Behaviour::default() });
        let visitor = Visitor::new(app);
        let identification = visitor.flow(LOGIN, None).await;
        schema.accepts("IdentificationChallenge", &identification);
        let password = visitor.flow(LOGIN, Some(json!({ "uid_field": "alice" }))).await;
        schema.accepts("PasswordChallenge", &password);
        let refused = visitor.flow(LOGIN, Some(json!({ "password": "wrong" }))).await;
        assert!(!refused["response_errors"].is_null());
        schema.accepts("PasswordChallenge", &refused);
        with(Behaviour { require_mfa: true, ..Behaviour::default() });
        schema.accepts("AuthenticatorValidationChallenge", &Visitor::new(app).log_in(settings::PASSWORD).await);
        with(Behaviour { deny: true, ..Behaviour::default() });
        schema.accepts("AccessDeniedChallenge", &Visitor::new(app).log_in(settings::PASSWORD).await);
        with(Behaviour { flow_error: true, ..Behaviour::default() });
        schema.accepts("FlowErrorChallenge", &Visitor::new(app).log_in(settings::PASSWORD).await);
        with(Behaviour::default());
        enrolment_fits(app, &schema).await;
        users_fit(app, &schema).await;
    })
    .await;
}

async fn enrolment_fits(app: &TestApp, schema: &Schema) {
    let visitor = Visitor::new(app);
    schema.accepts("PromptChallenge", &visitor.flow(ENROLLMENT, None).await);
    let mut answer = json!({ "username": "alice", "email": "x@example.org", "password": "New-User-1", "password_repeat": "New-User-1" });
    let refused = visitor.flow(ENROLLMENT, Some(answer.clone())).await;
    assert!(!refused["response_errors"].is_null());
    schema.accepts("PromptChallenge", &refused);
    answer["username"] = json!("newcomer");
    schema.accepts("RedirectChallenge", &visitor.flow(ENROLLMENT, Some(answer)).await);
    schema.accepts("RedirectChallenge", &visitor.flow(DEFAULT_INVALIDATION_FLOW, None).await);
}

async fn users_fit(app: &TestApp, schema: &Schema) {
    let get = async |path: &str, name: &str, value: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{}/api/v3/core/users/{path}", app.authentik.url())).header(name, value);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let cookie = format!("authentik_session={}", app.authentik.session_for("alice"));
    let (status, me) = get("me/", "cookie", &cookie).await;
    assert_eq!(status, 200);
    schema.accepts("SessionUser", &me);
    let (status, refused) = get("me/", "x-nothing", "").await;
    assert_eq!(status, 403);
    schema.accepts("GenericError", &refused);
    let (status, list) = get("", "authorization", &format!("Bearer {}", settings::ADMIN_TOKEN)).await;
    assert_eq!(status, 200);
    schema.accepts("PaginatedUserList", &list);
}

/// An Authentik that answers what it is told, in order, and knows one user.
struct Scripted {
    script: Mutex<VecDeque<Value>>,
    me: Value,
}

async fn scripted(script: Vec<Value>, me: Value) -> (Authentik, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let state = Arc::new(Scripted { script: Mutex::new(script.into()), me });
    let executor = async |State(scripted): State<Arc<Scripted>>| {
        let next = scripted.script.lock().unwrap().pop_front().expect("no more is asked than was told");
        ([(header::SET_COOKIE, "authentik_session=scripted; Path=/; HttpOnly")], Json(next)).into_response()
    };
    let me = async |State(scripted): State<Arc<Scripted>>| Json(scripted.me.clone());
    let router = Router::new()
        .route("/api/v3/flows/executor/{slug}/", any(executor))
        .route("/api/v3/core/users/me/", any(me))
        .with_state(state);
    let settings = AuthentikSettings {
        url,
        login_flow: LOGIN.to_owned(),
        enrollment_flow: ENROLLMENT.to_owned(),
        invalidation_flow: DEFAULT_INVALIDATION_FLOW.to_owned(),
        timeout: Duration::from_secs(2),
    };
    (Authentik::new(settings).unwrap(), serve(listener, router, Controls::new()).unwrap())
}

/// Everything one version may answer, as the schema describes it.
struct Answers {
    me: Value,
    identification: Value,
    identification_alone: Value,
    refusal: Value,
    password: Value,
    remember_me: Value,
    second_factor: Value,
    denied: Value,
    broken: Value,
    prompt: Value,
    prompt_refusal: Value,
    done: Value,
    session_end: Value,
}

impl Answers {
    fn of(schema: &Schema, full: bool) -> Self {
        let error = |field: &str| json!({ "response_errors": { field: [{ "string": "No.", "code": "invalid" }] } });
        let ask = |password: bool, more: Value| {
            let mut fields = json!({ "user_fields": ["email", "username"], "password_fields": password });
            if schema.0["IdentificationChallenge"]["properties"].get("captcha_stage").is_some() {
                fields["captcha_stage"] = Value::Null;
            }
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            schema.challenge("IdentificationChallenge", "ak-stage-identification", full, fields)
        };
        let field = |key: &str, kind: &str| {
            let mut field = schema.example("StagePrompt", full);
            field["field_key"] = json!(key);
            field["type"] = json!(kind);
            field["required"] = json!(true);
            field
        };
        let fields = json!({ "fields": [field("username", "username"), field("email", "email"),
            field("password", "password"), field("password_repeat", "password")] });
        let mut refused_fields = fields.clone();
        refused_fields["response_errors"] = error("username")["response_errors"].clone();
        let plain = |name: &str, component: &str| schema.challenge(name, component, full, json!({}));
        let mut me = schema.example("SessionUser", full);
        me["user"]["uid"] = json!("f00d");
        me["user"]["is_active"] = json!(true);
        schema.accepts("SessionUser", &me);
        Self {
            me,
            identification: ask(true, json!({})),
            identification_alone: ask(false, json!({})),
            refusal: ask(true, error("non_field_errors")),
            password: plain("PasswordChallenge", "ak-stage-password"),
            remember_me: plain("UserLoginChallenge", "ak-stage-user-login"),
            second_factor: plain("AuthenticatorValidationChallenge", "ak-stage-authenticator-validate"),
            denied: plain("AccessDeniedChallenge", "ak-stage-access-denied"),
            broken: plain("FlowErrorChallenge", "ak-stage-flow-error"),
            prompt: schema.challenge("PromptChallenge", "ak-stage-prompt", full, fields),
            prompt_refusal: schema.challenge("PromptChallenge", "ak-stage-prompt", full, refused_fields),
            done: schema.challenge("RedirectChallenge", "xak-flow-redirect", full, json!({ "to": "/" })),
            session_end: plain("SessionEndChallenge", "ak-stage-session-end"),
        }
    }
}

#[tokio::test]
async fn the_client_understands_what_each_version_may_answer() {
    for version in [STAND_IN, CURRENT] {
        for full in [false, true] {
            let schema = Schema::of(version);
            log_ins_are_understood(&Answers::of(&schema, full), &format!("{version}, full: {full}")).await;
            enrolments_are_understood(&Answers::of(&schema, full), &format!("{version}, full: {full}")).await;
        }
    }
}

async fn log_ins_are_understood(answers: &Answers, what: &str) {
    let Answers { identification, done, .. } = answers;
    let log_in = async |script: &[&Value]| {
        let (authentik, _running) = scripted(script.iter().copied().cloned().collect(), answers.me.clone()).await;
        authentik.log_in("alice", &SecretString::from("a password")).await
    };
    for script in [
        &[identification, done][..],
        &[&answers.identification_alone, &answers.password, done],
        &[identification, &answers.remember_me, done],
    ] {
        let outcome = log_in(script).await;
        assert!(
            matches!(&outcome, Ok(LogIn::Success { identity, .. }) if identity.uid == "f00d"),
            "{what}: {outcome:?}"
        );
    }
    let refused = log_in(&[identification, &answers.refusal]).await;
    assert!(matches!(&refused, Ok(LogIn::Refused(_))), "{what}: {refused:?}");
    let more = log_in(&[identification, &answers.second_factor]).await;
    assert!(matches!(&more, Ok(LogIn::NotAnswerableHere { .. })), "{what}: {more:?}");
    let denied = log_in(&[identification, &answers.denied]).await;
    assert!(matches!(&denied, Ok(LogIn::Denied { .. })), "{what}: {denied:?}");
    let broken = log_in(&[identification, &answers.broken]).await;
    assert!(broken.is_err(), "{what}: {broken:?}");
    let (authentik, _running) = scripted(vec![answers.session_end.clone()], answers.me.clone()).await;
    authentik.end_session(&SessionCookie::new("scripted")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
}

async fn enrolments_are_understood(answers: &Answers, what: &str) {
    let enroll = async |script: &[&Value]| {
        let (authentik, _running) = scripted(script.iter().copied().cloned().collect(), answers.me.clone()).await;
        let password = || SecretString::from("a password");
        let enrollment = Enrollment {
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            password: password(),
            password_repeat: password(),
            role: Some("FREELANCE".to_owned()),
        };
        authentik.enroll(&enrollment).await
    };
    let done = enroll(&[&answers.prompt, &answers.done]).await;
    assert!(
        matches!(&done, Ok(Enrolled::Done { identity: Some(identity), .. }) if identity.uid == "f00d"),
        "{what}: {done:?}"
    );
    let refused = enroll(&[&answers.prompt, &answers.prompt_refusal]).await;
    assert!(
        matches!(&refused, Ok(Enrolled::Refused(errors)) if errors.0.contains_key("username")),
        "{what}: {refused:?}"
    );
}

const BLUEPRINT: &str = include_str!("../docker/authentik/freehunt.yaml");

/// Each model of the blueprint and the serializer that Authentik validates its fields with.
const MODELS: [(&str, &str); 12] = [
    ("authentik_core.group", "GroupRequest"),
    ("authentik_core.application", "ApplicationRequest"),
    ("authentik_flows.flow", "FlowRequest"),
    ("authentik_flows.flowstagebinding", "FlowStageBindingRequest"),
    ("authentik_stages_prompt.prompt", "PromptRequest"),
    ("authentik_stages_prompt.promptstage", "PromptStageRequest"),
    ("authentik_stages_user_write.userwritestage", "UserWriteStageRequest"),
    ("authentik_stages_user_login.userloginstage", "UserLoginStageRequest"),
    ("authentik_stages_identification.identificationstage", "IdentificationStageRequest"),
    ("authentik_policies_expression.expressionpolicy", "ExpressionPolicyRequest"),
    ("authentik_policies_password.passwordpolicy", "PasswordPolicyRequest"),
    ("authentik_providers_oauth2.oauth2provider", "OAuth2ProviderRequest"),
];
/// Fields that came after 2025.2, whose serializers leave out what they do not know.
const NEWER_FIELDS: [&str; 3] = ["logout_uri", "logout_method", "grant_types"];
/// What the published schema of blueprints lets an entry have.
const ENTRY_KEYS: [&str; 7] = ["model", "id", "state", "conditions", "permissions", "attrs", "identifiers"];

/// A field's value as Authentik sees it once its tags are resolved. Keys of rows are UUIDs, but for a provider's.
fn resolved(value: &Yaml, is_number: bool, known: &BTreeSet<String>) -> Value {
    match value {
        Yaml::Tagged(tagged) => {
            let argument = |value: &Yaml| resolved(value, false, known);
            match tagged.tag.to_string().as_str() {
                "!KeyOf" => {
                    let name = argument(&tagged.value);
                    assert!(known.contains(name.as_str().unwrap()), "!KeyOf {name} is not defined before");
                    if is_number { json!(1) } else { json!("00000000-0000-4000-8000-000000000000") }
                }
                "!Find" => json!("00000000-0000-4000-8000-000000000000"),
                "!Env" => argument(&tagged.value)[1].clone(),
                "!Format" => json!("https://example.org/x"),
                other => panic!("the tag {other} is not used here"),
            }
        }
        Yaml::Mapping(fields) => fields
            .iter()
            .map(|(name, value)| {
                let name = name.as_str().expect("fields have names");
                (name.to_owned(), resolved(value, name == "provider", known))
            })
            .collect(),
        Yaml::Sequence(items) => items.iter().map(|item| resolved(item, false, known)).collect(),
        plain => serde_json::to_value(plain).expect("plain values are JSON"),
    }
}

#[test]
fn the_blueprint_is_one_that_each_version_takes() {
    let blueprint: Yaml = yaml_serde::from_str(BLUEPRINT).expect("the blueprint is YAML");
    assert_eq!(blueprint["version"].as_u64(), Some(1));
    assert!(blueprint["metadata"]["name"].is_string());
    let mut problems = Vec::new();
    let mut checked = BTreeSet::new();
    for version in [STAND_IN, CURRENT] {
        let schema = Schema::of(version);
        let mut known = BTreeSet::new();
        for entry in blueprint["entries"].as_sequence().expect("entries") {
            let model = entry["model"].as_str().expect("an entry has a model");
            let keys = entry.as_mapping().expect("an entry is a mapping").keys().filter_map(Yaml::as_str);
            problems.extend(keys.filter(|key| !ENTRY_KEYS.contains(key)).map(|key| format!("{model}: {key}")));
            let mut fields = resolved(&entry["attrs"], false, &known);
            if model != "authentik_blueprints.metaapplyblueprint" {
                let (_, serializer) =
                    MODELS.iter().find(|(name, _)| *name == model).expect("a model that is known here");
                let identifiers = resolved(&entry["identifiers"], false, &known);
                let fields = match fields.as_object_mut() {
                    Some(fields) => fields,
                    None => {
                        fields = json!({});
                        fields.as_object_mut().unwrap()
                    }
                };
                fields.extend(identifiers.as_object().expect("an entry has identifiers").clone());
                let fields = Value::Object(fields.clone());
                let found = schema.problems(serializer, &fields).into_iter().filter(|problem| {
                    let is_newer = |field: &&str| problem.ends_with(&format!(" has no {field}"));
                    version == CURRENT || !NEWER_FIELDS.iter().any(is_newer)
                });
                problems.extend(found.map(|problem| format!("{version} {model}: {problem}")));
                checked.insert(model.to_owned());
            }
            known.extend(entry["id"].as_str().map(str::to_owned));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(checked.len(), MODELS.len(), "every model is used");
}
