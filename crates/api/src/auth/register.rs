//! The registration form: an account at Authentik and a user here, exactly one, however often it is interrupted.

use std::{net::IpAddr, time::Duration};

use axum::http::HeaderMap;
use freehunt_authentik::{Enrolled, Enrollment, FlowErrors, Identity, LogIn, SessionCookie};
use freehunt_domain::users::{
    self, BeginRegistration, PendingRegistration, Registrant, Resolution, Role, abandon_registration, allow_browser,
    begin_registration, complete_registration, same_email,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    cookies::{self, SetCookies},
    establish::{self, SignIn},
    failure::Failure,
    oidc,
};
use crate::{
    error::{ApiError, ApiResult},
    extract::is_email,
    state::AppState,
};

/// Authentik's own limits, in characters.
const LONGEST_USERNAME: usize = 150;
const LONGEST_EMAIL: usize = 254;
/// To finish at Authentik's own pages, a confirmed address perhaps included.
const TIME_ELSEWHERE: Duration = Duration::from_secs(24 * 3600);

/// What somebody filled in.
pub struct Registration {
    pub email: String,
    pub username: String,
    pub password: SecretString,
    pub password_repeat: SecretString,
    pub role: Role,
}

impl Registration {
    fn registrant(&self) -> Registrant<'_> {
        Registrant { email: &self.email, username: &self.username, role: self.role }
    }

    fn enrollment(&self) -> Enrollment {
        let role = match self.role {
            Role::Freelance => "FREELANCE",
            Role::Company => "COMPANY",
        };
        Enrollment {
            username: self.username.clone(),
            email: self.email.clone(),
            password: self.password.clone(),
            password_repeat: self.password_repeat.clone(),
            role: Some(role.to_owned()),
        }
    }

    /// What can be said without asking anybody, in Authentik's words.
    fn problems(&self) -> FlowErrors {
        let mut errors = FlowErrors::default();
        let texts = [
            ("username", self.username.as_str()),
            ("email", &self.email),
            ("password", self.password.expose_secret()),
            ("password_repeat", self.password_repeat.expose_secret()),
        ];
        for (field, _) in texts.iter().filter(|(_, text)| text.trim().is_empty()) {
            errors.add(field, "This field may not be blank.", "blank");
        }
        // The log-in page takes either: a user name that looks like an address could stand for somebody else's.
        if self.username.contains('@') {
            errors.add("username", "Username must not contain '@'.", "invalid");
        }
        for (field, text, most) in
            [("username", &self.username, LONGEST_USERNAME), ("email", &self.email, LONGEST_EMAIL)]
        {
            if text.chars().count() > most {
                errors.add(field, &format!("Ensure this field has no more than {most} characters."), "max_length");
            }
        }
        if !self.email.trim().is_empty() && !is_email(&self.email) {
            errors.add("email", "Enter a valid email address.", "invalid");
        }
        if self.password.expose_secret() != self.password_repeat.expose_secret() {
            errors.add("non_field_errors", "Passwords don't match.", "invalid");
        }
        errors
    }
}

pub enum RegisterOutcome {
    Begun(SetCookies),
    Refused(FlowErrors),
    /// Authentik wants something that only its own pages can ask for; this browser can finish there.
    GoesOnElsewhere(FlowErrors, SetCookies),
}

/// Who has an account at Authentik now, and the session that proves it.
type Proof = (SessionCookie, Identity);

/// What came of a login with the registration's own password.
enum OwnLogIn {
    Proven(Proof),
    /// The password may be right; Authentik wants more than that.
    NotAnswerableHere,
    Refused,
}

/// What came of the enrolment.
enum Enrolment {
    Proven(Proof),
    Refused(FlowErrors),
    Elsewhere,
}

pub async fn register(
    state: &AppState,
    registration: &Registration,
    headers: &HeaderMap,
    address: IpAddr,
) -> ApiResult<RegisterOutcome> {
    state.login_limits.register_from(address).map_err(ApiError::too_many_requests)?;
    let problems = registration.problems();
    if !problems.is_empty() {
        return Ok(RegisterOutcome::Refused(problems));
    }
    let password = registration.password.expose_secret();
    let pending = match begin_registration(&state.pool, registration.registrant(), password).await? {
        BeginRegistration::Begun(pending) => pending,
        BeginRegistration::Taken { email, username } => {
            return Ok(RegisterOutcome::Refused(taken(email, username)));
        }
    };
    let proof = match enroll(state, registration, &pending, address).await? {
        Enrolment::Proven(proof) => proof,
        Enrolment::Refused(errors) => return Ok(RegisterOutcome::Refused(errors)),
        Enrolment::Elsewhere => return Ok(go_on_elsewhere(state, registration, headers).await?),
    };
    let outcome = open(state, registration, &proof, headers, address).await;
    if !matches!(outcome, Ok(RegisterOutcome::Begun(_))) {
        // Nothing here belongs to it.
        establish::end_upstream(state, &proof.0).await;
    }
    outcome
}

async fn open(
    state: &AppState,
    registration: &Registration,
    (session, identity): &Proof,
    headers: &HeaderMap,
    address: IpAddr,
) -> ApiResult<RegisterOutcome> {
    let provider = establish::provider_identity(identity, address);
    match complete_registration(&state.pool, registration.registrant(), provider).await? {
        Resolution::User(user) => {
            let sign_in = SignIn::by_form(&user, session, headers, address);
            Ok(RegisterOutcome::Begun(establish::begin(state, sign_in).await?))
        }
        Resolution::Refused(refusal) => {
            establish::note_refusal(state, refusal.name(), refusal.user_id(), Some(address)).await?;
            Ok(RegisterOutcome::Refused(taken(true, false)))
        }
    }
}

/// The browser gets what finishes the registration when it comes back by OpenID Connect.
async fn go_on_elsewhere(
    state: &AppState,
    registration: &Registration,
    headers: &HeaderMap,
) -> Result<RegisterOutcome, Failure> {
    let browser = oidc::held_or_new(headers, cookies::registration_name(state.config.frontend.secure_cookies))?;
    allow_browser(&state.pool, registration.registrant(), &browser).await?;
    let cookies = SetCookies::registration(&state.config.frontend, &browser, TIME_ELSEWHERE);
    let text = "Sign in through Authentik to finish the registration.";
    Ok(RegisterOutcome::GoesOnElsewhere(FlowErrors::of("non_field_errors", text, "invalid"), cookies))
}

fn taken(email: bool, username: bool) -> FlowErrors {
    let mut errors = FlowErrors::default();
    if email {
        errors.add("email", "Email already taken", "invalid");
    }
    if username {
        errors.add("username", "Username is already taken.", "invalid");
    }
    errors
}

/// Enrols, or finds the account that an interrupted attempt has made. Authentik being away leaves the attempt open.
async fn enroll(
    state: &AppState,
    registration: &Registration,
    pending: &PendingRegistration,
    address: IpAddr,
) -> Result<Enrolment, Failure> {
    let refused = match state.authentik.enroll(&registration.enrollment()).await? {
        Enrolled::Done { session: Some(session), identity: Some(identity) } => {
            let proof = own(state, registration, (session, identity), address).await?;
            return Ok(proof.map_or_else(|| Enrolment::Refused(taken(true, true)), Enrolment::Proven));
        }
        Enrolled::Done { .. } => {
            return Ok(match log_in(state, registration, address).await? {
                OwnLogIn::Proven(proof) => Enrolment::Proven(proof),
                OwnLogIn::NotAnswerableHere | OwnLogIn::Refused => Enrolment::Elsewhere,
            });
        }
        Enrolled::Refused(errors) => errors,
        Enrolled::Denied { message } => {
            let message = message.unwrap_or_else(|| "Permission denied".to_owned());
            FlowErrors::of("non_field_errors", &message, "denied")
        }
        Enrolled::NotAnswerableHere { .. } => return Ok(Enrolment::Elsewhere),
    };
    // "Taken" may mean taken by an earlier attempt of the same person, however long ago, here or at the original:
    // whoever knows the password is that person.
    let may_be_taken = ["username", "email", "non_field_errors"].iter().any(|field| refused.0.contains_key(*field));
    if may_be_taken {
        match log_in_as_the_earlier(state, registration, address).await? {
            Some(OwnLogIn::Proven(proof)) => return Ok(Enrolment::Proven(proof)),
            // In any browser: the one it was begun in may be gone. The log-in form tells as much about the password.
            Some(OwnLogIn::NotAnswerableHere) => return Ok(Enrolment::Elsewhere),
            Some(OwnLogIn::Refused) => {}
            // Nobody was asked, so that it may be this very attempt that has the account.
            None => return Ok(Enrolment::Refused(refused)),
        }
    }
    abandon_registration(&state.pool, pending).await?;
    Ok(Enrolment::Refused(refused))
}

/// Tries a password, as the log-in form does: within the account's limit, which `None` says is used up, and with an audit
/// line when it comes to nothing.
async fn log_in_as_the_earlier(
    state: &AppState,
    registration: &Registration,
    address: IpAddr,
) -> Result<Option<OwnLogIn>, Failure> {
    if state.login_limits.log_in_while_registering(&registration.username).is_err() {
        establish::note_refusal(state, "too_many", None, Some(address)).await?;
        return Ok(None);
    }
    log_in(state, registration, address).await.map(Some)
}

async fn log_in(state: &AppState, registration: &Registration, address: IpAddr) -> Result<OwnLogIn, Failure> {
    let (reason, outcome) = match state.authentik.log_in(&registration.username, &registration.password).await? {
        LogIn::Success { session, identity } => {
            let proof = own(state, registration, (session, identity), address).await?;
            return Ok(proof.map_or(OwnLogIn::Refused, OwnLogIn::Proven));
        }
        LogIn::Refused(_) => ("wrong_credentials", OwnLogIn::Refused),
        LogIn::Denied { .. } => ("denied", OwnLogIn::Refused),
        LogIn::NotAnswerableHere { .. } => ("not_answerable_here", OwnLogIn::NotAnswerableHere),
    };
    establish::note_refusal(state, reason, None, Some(address)).await?;
    Ok(outcome)
}

/// The account must be the one that was asked for. To know the password of another is as good as not knowing it: the
/// answer is the same, and the session at Authentik ends.
async fn own(
    state: &AppState,
    registration: &Registration,
    proof: Proof,
    address: IpAddr,
) -> Result<Option<Proof>, Failure> {
    let (session, identity) = &proof;
    let same_name = identity.username.to_lowercase() == registration.username.to_lowercase();
    if same_name && same_email(&identity.email, &registration.email) {
        return Ok(Some(proof));
    }
    establish::end_upstream(state, session).await;
    let mut connection = state.connection().await?;
    let user = users::queries::find_user_by_authentik_uid(&mut connection, &identity.uid).await?;
    connection.finish();
    establish::note_refusal(state, "registration_of_another", user.map(|user| user.id), Some(address)).await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(username: &str, email: &str, password: &str, repeat: &str) -> Registration {
        Registration {
            email: email.to_owned(),
            username: username.to_owned(),
            password: SecretString::from(password.to_owned()),
            password_repeat: SecretString::from(repeat.to_owned()),
            role: Role::Company,
        }
    }

    /// Fault case 7.
    #[test]
    fn user_names_that_look_like_addresses_are_refused() {
        let problems = registration("victim@example.org", "me@example.org", "p", "p").problems();
        assert_eq!(problems, FlowErrors::of("username", "Username must not contain '@'.", "invalid"));
    }

    #[test]
    fn problems_are_named_by_field() {
        assert!(registration("me", "me@example.org", "p", "p").problems().is_empty());
        let problems = registration("", "no address", "p", "q").problems();
        assert_eq!(problems.0.keys().collect::<Vec<_>>(), ["email", "non_field_errors", "username"]);
        assert_eq!(registration(&"n".repeat(151), "me@example.org", "p", "p").problems().0.len(), 1);
    }
}
