//! The flow executor: authentication, enrolment and invalidation, one plan per session.
//!
//! As at Authentik, every challenge is a 200; a solved stage answers 302 back to the executor, and the stages that
//! need no answer (user write, user login) run in the GET that follows.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    AuthentikStandInSettings, Behaviour,
    challenges::{self, Errors, PROMPT_FIELDS},
    state::{Shared, random_hex, session_cookie, session_key},
    users::{self, NewUser, PasswordHash},
};

const NOT_APPLICABLE: &str = "Flow does not apply to current user.";
const DENIED: &str = "Permission denied";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Authentication,
    Enrolment,
    Invalidation,
}

impl Flow {
    fn of(settings: &AuthentikStandInSettings, slug: &str) -> Option<Self> {
        [
            (&settings.authentication_slug, Self::Authentication),
            (&settings.enrolment_slug, Self::Enrolment),
            (&settings.invalidation_slug, Self::Invalidation),
        ]
        .into_iter()
        .find_map(|(known, flow)| (known == slug).then_some(flow))
    }

    fn title(self) -> &'static str {
        match self {
            Self::Authentication => "Welcome to authentik!",
            Self::Enrolment => "Enrollment",
            Self::Invalidation => "Default Invalidation Flow",
        }
    }
}

/// Where a session is in a flow.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    flow: Flow,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Identification,
    Password { identifier: String },
    SecondFactor { username: String },
    Prompt,
    Write { username: String, email: String, password: PasswordHash },
    LogIn { pk: i64 },
    Denied { pending_user: String, message: &'static str },
    Broken,
}

/// What one request does to its session.
enum Turn {
    /// Answers a challenge; the plan stays.
    Challenge(Value),
    /// The stage is solved: on to the next.
    Next(Stage),
    /// The flow is over, with its last challenge.
    End(Value),
    /// The flow is over and this user is signed in.
    SignIn { pk: i64 },
    /// The flow is over and nobody is signed in.
    SignOut,
}

/// `GET|POST /api/v3/flows/executor/{slug}/?query=`.
pub(super) async fn executor(
    State(shared): State<Arc<Shared>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(flow) = Flow::of(&shared.settings, &slug) else {
        let detail = json!({ "detail": "No Flow matches the given query." });
        return (StatusCode::NOT_FOUND, Json(detail)).into_response();
    };
    let answer = if method == Method::POST {
        match read_body(&headers, &body) {
            Ok(answer) => Some(answer),
            Err(refusal) => return refusal,
        }
    } else {
        None
    };
    let (session, mut new_cookie) = open_session(&shared, &headers);
    let stage = match plan_stage(&shared, &session, flow) {
        Ok(stage) => stage,
        Err(turn) => return finish(&shared, &session, new_cookie, turn, query.as_deref()),
    };
    let behaviour = shared.store().behaviour.clone();
    let turn = match &answer {
        Some(answer) => solve(&shared, flow, stage, &behaviour, answer),
        None => show(&shared, flow, stage, &behaviour),
    };
    let Turn::Next(stage) = turn else {
        return finish(&shared, &session, new_cookie, turn, query.as_deref());
    };
    if let Some(session) = shared.store().sessions.get_mut(&session) {
        session.plan = Some(Plan { flow, stage });
    }
    let own_address = match &query {
        Some(query) => format!("/api/v3/flows/executor/{slug}/?{query}"),
        None => format!("/api/v3/flows/executor/{slug}/"),
    };
    let to = behaviour.redirect_flow_to.unwrap_or(own_address);
    let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    add_cookie(&mut response, new_cookie.take());
    response
}

#[expect(clippy::result_large_err, reason = "the error is the response that is sent")]
fn read_body(headers: &HeaderMap, body: &[u8]) -> Result<Value, Response> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/json") {
        let detail = json!({ "detail": format!("Unsupported media type \"{content_type}\" in request.") });
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, Json(detail)).into_response());
    }
    serde_json::from_slice(body).map_err(|error| {
        let detail = json!({ "detail": format!("JSON parse error - {error}") });
        (StatusCode::BAD_REQUEST, Json(detail)).into_response()
    })
}

/// The hash of the request's session, and the cookie to set when it had none.
fn open_session(shared: &Shared, headers: &HeaderMap) -> (String, Option<String>) {
    let mut store = shared.store();
    if let Some(known) = session_cookie(headers).map(|cookie| session_key(&cookie))
        && store.sessions.contains_key(&known)
    {
        return (known, None);
    }
    let value = store.open_session(None);
    (session_key(&value), Some(shared.set_cookie(&value)))
}

/// The stage that the session's plan of this flow is at; a plan of another flow is dropped.
fn plan_stage(shared: &Shared, session: &str, flow: Flow) -> Result<Stage, Turn> {
    let mut store = shared.store();
    let signed_in = store.sessions.get(session).and_then(|session| session.user);
    let Some(session) = store.sessions.get_mut(session) else { return Ok(Stage::Broken) };
    if let Some(plan) = session.plan.take_if(|plan| plan.flow == flow) {
        session.plan = Some(plan.clone());
        return Ok(plan.stage);
    }
    let not_applicable = || Turn::End(challenges::access_denied(flow.title(), "", NOT_APPLICABLE));
    let first = match (flow, signed_in) {
        (Flow::Authentication, None) => Stage::Identification,
        (Flow::Authentication, Some(_)) => return Err(Turn::End(challenges::redirect("/"))),
        (Flow::Enrolment, None) => Stage::Prompt,
        (Flow::Invalidation, Some(_)) => return Err(Turn::SignOut),
        (Flow::Enrolment, Some(_)) | (Flow::Invalidation, None) => return Err(not_applicable()),
    };
    session.plan = Some(Plan { flow, stage: first.clone() });
    Ok(first)
}

/// Shows a stage, or runs it when it needs no answer.
fn show(shared: &Shared, flow: Flow, stage: Stage, behaviour: &Behaviour) -> Turn {
    match stage {
        Stage::Write { username, email, password } => write_user(shared, behaviour, username, email, password),
        Stage::LogIn { pk } => Turn::SignIn { pk },
        Stage::Denied { pending_user, message } => {
            Turn::End(challenges::access_denied(flow.title(), &pending_user, message))
        }
        Stage::Broken => Turn::End(challenges::flow_error(flow.title(), &random_hex())),
        asking => Turn::Challenge(challenge_of(shared, flow, &asking, behaviour)),
    }
}

/// The challenge of a stage that asks something.
fn challenge_of(shared: &Shared, flow: Flow, stage: &Stage, behaviour: &Behaviour) -> Value {
    match stage {
        Stage::Password { identifier } => challenges::password(flow.title(), identifier),
        Stage::SecondFactor { username } => challenges::second_factor(flow.title(), username),
        Stage::Prompt => challenges::prompt(flow.title()),
        _ => {
            let embedded = !behaviour.separate_password_stage;
            challenges::identification(flow.title(), embedded, &shared.settings.enrolment_slug)
        }
    }
}

fn solve(shared: &Shared, flow: Flow, stage: Stage, behaviour: &Behaviour, answer: &Value) -> Turn {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let solved = match &stage {
        Stage::Identification if text("uid_field").is_empty() => {
            Err(challenges::invalid("non_field_errors", "No identification data provided."))
        }
        Stage::Identification if behaviour.separate_password_stage => {
            Ok(Stage::Password { identifier: text("uid_field").to_owned() })
        }
        Stage::Identification => match users::authenticate(shared, text("uid_field"), text("password")) {
            Some(user) => Ok(after_password(behaviour, user.pk, user.username)),
            None => Err(challenges::invalid("non_field_errors", "Failed to authenticate.")),
        },
        Stage::Password { identifier } => match users::authenticate(shared, identifier, text("password")) {
            Some(user) => Ok(after_password(behaviour, user.pk, user.username)),
            None => Err(challenges::invalid("password", "Invalid password")),
        },
        Stage::SecondFactor { .. } => Err(challenges::invalid("code", "Invalid Token")),
        Stage::Prompt => check_prompts(shared, behaviour, answer),
        Stage::Write { .. } | Stage::LogIn { .. } | Stage::Denied { .. } | Stage::Broken => {
            return show(shared, flow, stage, behaviour);
        }
    };
    match solved {
        Ok(next) => Turn::Next(next),
        Err(errors) => Turn::Challenge(challenges::with_errors(challenge_of(shared, flow, &stage, behaviour), &errors)),
    }
}

fn after_password(behaviour: &Behaviour, pk: i64, username: String) -> Stage {
    if behaviour.deny {
        Stage::Denied { pending_user: username, message: DENIED }
    } else if behaviour.flow_error {
        Stage::Broken
    } else if behaviour.require_mfa {
        Stage::SecondFactor { username }
    } else {
        Stage::LogIn { pk }
    }
}

/// Field errors first; the rules that look at the whole answer only once there are none.
fn check_prompts(shared: &Shared, behaviour: &Behaviour, answer: &Value) -> Result<Stage, Errors> {
    let mut errors = Errors::new();
    for field in PROMPT_FIELDS {
        let (message, code) = match answer.get(field) {
            None => ("This field is required.", "required"),
            Some(Value::Null) => ("This field may not be null.", "null"),
            Some(Value::String(text)) if text.trim().is_empty() => ("This field may not be blank.", "blank"),
            Some(Value::String(text)) if field == "email" && !looks_like_email(text) => {
                ("Enter a valid email address.", "invalid")
            }
            Some(Value::String(_)) => continue,
            Some(_) => ("Not a valid string.", "invalid"),
        };
        errors.insert(field.to_owned(), vec![(message.to_owned(), code)]);
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let (username, email) = (text("username"), text("email"));
    for (field, message) in users::rule_errors(&shared.store(), username, email) {
        if behaviour.rules_report_without_field {
            let unless_other_errors = errors.keys().all(|field| field == "non_field_errors");
            if unless_other_errors {
                errors.entry("non_field_errors".to_owned()).or_default().push((message, "invalid"));
            }
        } else {
            errors.entry(field).or_insert_with(|| vec![(message, "invalid")]);
        }
    }
    if errors.is_empty() && text("password") != text("password_repeat") {
        errors = challenges::invalid("non_field_errors", "Passwords don't match.");
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if behaviour.deny {
        return Ok(Stage::Denied { pending_user: username.to_owned(), message: DENIED });
    }
    if behaviour.flow_error {
        return Ok(Stage::Broken);
    }
    let password = PasswordHash::new(text("password"));
    Ok(Stage::Write { username: username.to_owned(), email: email.to_owned(), password })
}

fn looks_like_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace) && domain.contains('.')
    })
}

fn write_user(shared: &Shared, behaviour: &Behaviour, username: String, email: String, password: PasswordHash) -> Turn {
    let mut store = shared.store();
    let new = NewUser { username: username.clone(), email, ..NewUser::default() };
    match users::insert(&mut store, new, password) {
        Ok(user) => {
            store.enrolments += 1;
            shared.save(&store);
            match behaviour.enrolment_logs_in {
                true => Turn::Next(Stage::LogIn { pk: user.pk }),
                false => Turn::End(challenges::redirect("/")),
            }
        }
        // Somebody else enrolled with these between the prompt and now.
        Err(_) => {
            let message = "Failed to update user. Please try again later.";
            Turn::Next(Stage::Denied { pending_user: username, message })
        }
    }
}

/// Ends the turn: a challenge, or the end of the flow with the session it leaves behind.
fn finish(shared: &Shared, session: &str, cookie: Option<String>, turn: Turn, query: Option<&str>) -> Response {
    let mut store = shared.store();
    let (body, cookie) = match turn {
        Turn::Challenge(challenge) => (challenge, cookie),
        Turn::End(mut challenge) => {
            if let Some(session) = store.sessions.get_mut(session) {
                session.plan = None;
            }
            if challenge["component"] == "xak-flow-redirect" {
                challenge["to"] = json!(next_address(query));
            }
            (challenge, cookie)
        }
        // The id changes at login, so that a cookie known before it is worth nothing after it.
        Turn::SignIn { pk } => {
            store.close_session(session);
            let value = store.open_session(Some(pk));
            shared.save(&store);
            (challenges::redirect(&next_address(query)), Some(shared.set_cookie(&value)))
        }
        Turn::SignOut => {
            store.close_session(session);
            shared.save(&store);
            (challenges::redirect(&next_address(query)), Some(shared.clear_cookie()))
        }
        Turn::Next(_) => (challenges::flow_error("", &random_hex()), cookie),
    };
    let mut response = Json(body).into_response();
    add_cookie(&mut response, cookie);
    response
}

/// `next` of the original query string (itself the parameter `query`), when it stays on this host.
fn next_address(query: Option<&str>) -> String {
    let parameter = |query: &str, name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    query
        .and_then(|query| parameter(query, "query"))
        .and_then(|original| parameter(&original, "next"))
        .filter(|next| next.starts_with('/') && !next.starts_with("//"))
        .unwrap_or_else(|| "/".to_owned())
}

fn add_cookie(response: &mut Response, cookie: Option<String>) {
    if let Some(value) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
