//! `/auth`: the frontend's own forms for login and registration, who is signed in, and logout.
//!
//! Refusals that the forms show are 2xx with `success: false`, in the shape of Authentik's flows: the frontend reads
//! nothing else.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Json, Response},
};
use freehunt_authentik::FlowErrors;
use freehunt_domain::users::Role;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::users::AccountView;
use crate::{
    auth::{
        Credential, SetCookies,
        log_in::{self, LogInOutcome, LogInRequest},
        log_out,
        register::{self, RegisterOutcome, Registration},
        socket_ticket_cookie,
    },
    error::{ApiError, ApiResult, ErrorBody},
    extract::{ClientAddress, Field, Rule, Session, Text, ValidBody, Validate},
    state::AppState,
};

/// Longer passwords are nobody's.
const LONGEST_PASSWORD: usize = 1024;

/// Credentials as the login page sends them.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct LogInBody {
    /// The address, or the user name.
    #[schema(example = "alice@example.com")]
    email: String,
    #[schema(value_type = String, format = Password, max_length = 1024, example = "correct-horse-battery-staple")]
    password: SecretString,
}

impl Validate for LogInBody {
    const FIELDS: &'static [Field] =
        &[Field::required("email", &[Rule::IsString]), Field::required("password", &[Rule::IsString])];
}

/// A new account, as the registration page sends it.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct RegisterBody {
    #[schema(example = "alice@example.com", max_length = 254)]
    email: String,
    #[schema(value_type = String, format = Password, max_length = 1024, example = "correct-horse-battery-staple")]
    password: SecretString,
    /// The same again.
    #[schema(value_type = String, format = Password, max_length = 1024, example = "correct-horse-battery-staple")]
    password_repeat: SecretString,
    /// `FREELANCE` or `COMPANY`.
    #[schema(example = "FREELANCE")]
    role: String,
    /// Without an `@`; unique.
    #[schema(example = "alice", max_length = 150)]
    username: String,
}

impl Validate for RegisterBody {
    const FIELDS: &'static [Field] = &[
        Field::required("email", &[Rule::IsString]),
        Field::required("password", &[Rule::IsString]),
        Field::required("password_repeat", &[Rule::IsString]),
        Field::required("role", &[Rule::IsString]),
        Field::required("username", &[Rule::IsString]),
    ];
}

impl RegisterBody {
    fn into_registration(self) -> ApiResult<Registration> {
        let role = match self.role.as_str() {
            "FREELANCE" => Role::Freelance,
            "COMPANY" => Role::Company,
            _ => {
                let text = format!("role must be one of the following values: {}", Role::NAMES.join(", "));
                return Err(ApiError::rules(vec![text]));
            }
        };
        Ok(Registration {
            email: self.email,
            username: self.username,
            password: self.password,
            password_repeat: self.password_repeat,
            role,
        })
    }
}

fn check_lengths(fields: &[(&str, &SecretString)]) -> ApiResult<()> {
    let length = |secret: &SecretString| secrecy::ExposeSecret::expose_secret(secret).chars().count();
    let too_long = fields.iter().filter(|(_, secret)| length(secret) > LONGEST_PASSWORD);
    let texts: Vec<String> = too_long
        .map(|(field, _)| format!("{field} must be shorter than or equal to {LONGEST_PASSWORD} characters"))
        .collect();
    if texts.is_empty() { Ok(()) } else { Err(ApiError::rules(texts)) }
}

/// What became of a form.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FormAnswer {
    success: bool,
    /// Always empty: cookies travel in `Set-Cookie`.
    #[schema(example = json!([]))]
    cookies: Vec<String>,
    response: FlowResponse,
}

/// The part of Authentik's last challenge that the frontend reads.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FlowResponse {
    /// The kind of challenge.
    #[schema(example = "xak-flow-redirect")]
    component: &'static str,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/")]
    to: Option<String>,
    /// Complaints by field: `{"email": [{"string": "Email already taken", "code": "invalid"}]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    response_errors: Option<FlowErrors>,
}

fn succeeded(cookies: SetCookies) -> Response {
    let response = FlowResponse { component: "xak-flow-redirect", to: Some("/".to_owned()), response_errors: None };
    let answer = FormAnswer { success: true, cookies: Vec::new(), response };
    (StatusCode::CREATED, cookies, Json(answer)).into_response()
}

fn refused(component: &'static str, errors: FlowErrors, to: Option<String>) -> Response {
    let response = FlowResponse { component, to, response_errors: Some(errors) };
    (StatusCode::CREATED, Json(FormAnswer { success: false, cookies: Vec::new(), response })).into_response()
}

/// Signs in; wrong credentials are 201 with `success: false` and no cookie.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LogInBody,
    responses((status = 201, description = "Signed in, or not", body = FormAnswer),
        (status = 400, description = "The body breaks a rule", body = ErrorBody),
        (status = 429, description = "Too many attempts from this address", body = ErrorBody),
        (status = 503, description = "Authentik is away", body = ErrorBody)))]
pub async fn log_in(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    ValidBody(body): ValidBody<LogInBody>,
) -> ApiResult<Response> {
    check_lengths(&[("email", &SecretString::from(body.email.clone())), ("password", &body.password)])?;
    let request = LogInRequest { identifier: &body.email, password: &body.password, headers: &headers, address };
    let form = "ak-stage-identification";
    let error = |text: &str, code: &str| FlowErrors::of("non_field_errors", text, code);
    Ok(match log_in::log_in(&state, request).await? {
        LogInOutcome::Begun(cookies) => succeeded(cookies),
        LogInOutcome::Refused => refused(form, error("Failed to authenticate.", "invalid"), None),
        LogInOutcome::TooMany => {
            refused(form, error("Too many attempts for this account, try again in a minute.", "throttled"), None)
        }
        LogInOutcome::NotAnswerableHere => {
            let to = state.config.frontend.api_url.join("auth/oidc/login").ok().map(String::from);
            refused(form, error("Sign in through Authentik to continue.", "not_answerable_here"), to)
        }
    })
}

/// Makes an account and signs in; complaints about fields are 201 with `success: false`.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = RegisterBody,
    responses((status = 201, description = "Registered and signed in, or what is wrong", body = FormAnswer),
        (status = 400, description = "The body breaks a rule", body = ErrorBody),
        (status = 429, description = "Too many registrations from this address", body = ErrorBody),
        (status = 503, description = "Authentik is away: the same registration can be sent again", body = ErrorBody)))]
pub async fn register(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    ValidBody(body): ValidBody<RegisterBody>,
) -> ApiResult<Response> {
    check_lengths(&[("password", &body.password), ("password_repeat", &body.password_repeat)])?;
    let registration = body.into_registration()?;
    Ok(match register::register(&state, &registration, &headers, address).await? {
        RegisterOutcome::Begun(cookies) => succeeded(cookies),
        RegisterOutcome::Refused(errors) => refused("ak-stage-prompt", errors, None),
        RegisterOutcome::GoesOnElsewhere(errors, cookies) => {
            (cookies, refused("ak-stage-prompt", errors, None)).into_response()
        }
    })
}

/// The signed-in user with their profile; also renews the cookie for the messaging server.
#[utoipa::path(get, path = "/auth/getme", tag = "auth", security(("session" = []), ("bearer" = [])),
    responses((status = 200, description = "The user", body = AccountView),
        (status = 401, description = "Nobody is signed in", body = ErrorBody)))]
pub async fn get_me(
    State(state): State<AppState>,
    headers: HeaderMap,
    session: Result<Session, ApiError>,
) -> ApiResult<Response> {
    let or_nobody = |status| {
        move |error: ApiError| {
            if error.status() == status { ApiError::unauthorized("Unauthorized access") } else { error }
        }
    };
    let session = session.map_err(or_nobody(StatusCode::UNAUTHORIZED))?;
    let account = state.accounts.get(&state, session.user_id).await.map_err(or_nobody(StatusCode::NOT_FOUND))?;
    let cookies = Credential::of(&headers, state.config.frontend.secure_cookies)
        .ok()
        .and_then(|credential| socket_ticket_cookie(&state, &credential))
        .unwrap_or_default();
    Ok((cookies, account).into_response())
}

/// Signs out: here, on every replica, and at Authentik. Signing out without being signed in is fine.
#[utoipa::path(post, path = "/auth/logout", tag = "auth",
    responses((status = 201, description = "Signed out", body = bool)))]
pub async fn log_out(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let ended = log_out::log_out(&state, &headers, address).await?;
    Ok((StatusCode::CREATED, ended.cookies, Text(true)).into_response())
}
