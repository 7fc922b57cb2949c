//! The registration form: an account at Authentik and a user here, exactly one, however often it is interrupted.

use std::net::IpAddr;

use axum::http::HeaderMap;
use freehunt_authentik::{Enrolled, Enrollment, FlowErrors, Identity, LogIn, SessionCookie};
use freehunt_domain::users::{
    BeginRegistration, PendingRegistration, Registrant, Resolution, Role, abandon_registration, begin_registration,
    complete_registration, same_email,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    cookies::SetCookies,
    establish::{self, SignIn},
    failure::Failure,
};
use crate::{
    error::{ApiError, ApiResult},
    extract::is_email,
    state::AppState,
};

/// Authentik's own limits, in characters.
const LONGEST_USERNAME: usize = 150;
const LONGEST_EMAIL: usize = 254;

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
}

/// Who has an account at Authentik now, and the session that proves it.
type Proof = (SessionCookie, Identity);

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
    let pending = match begin_registration(&state.pool, registration.registrant()).await? {
        BeginRegistration::Begun(pending) => pending,
        BeginRegistration::Taken { email, username } => {
            return Ok(RegisterOutcome::Refused(taken(email, username)));
        }
    };
    let (session, identity) = match enroll(state, registration, &pending).await? {
        Ok(proof) => proof,
        Err(errors) => return Ok(RegisterOutcome::Refused(errors)),
    };
    let provider = establish::provider_identity(&identity, address);
    let user = match complete_registration(&state.pool, registration.registrant(), provider).await? {
        Resolution::User(user) => user,
        Resolution::Refused(refusal) => {
            establish::note_refusal(state, refusal.name(), refusal.user_id(), Some(address)).await?;
            establish::end_upstream(state, &session).await;
            return Ok(RegisterOutcome::Refused(taken(true, false)));
        }
    };
    let sign_in = SignIn::by_form(&user, &session, headers, address);
    Ok(RegisterOutcome::Begun(establish::begin(state, sign_in).await?))
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
) -> Result<Result<Proof, FlowErrors>, Failure> {
    let refused = match state.authentik.enroll(&registration.enrollment()).await? {
        Enrolled::Done { session: Some(session), identity: Some(identity) } => {
            return Ok(checked(registration, (session, identity)));
        }
        Enrolled::Done { .. } => {
            let proof = log_in(state, registration).await?;
            return Ok(proof.map_or_else(|| Err(elsewhere()), |proof| checked(registration, proof)));
        }
        Enrolled::Refused(errors) => errors,
        Enrolled::Denied { message } => {
            let message = message.unwrap_or_else(|| "Permission denied".to_owned());
            FlowErrors::of("non_field_errors", &message, "denied")
        }
        Enrolled::NotAnswerableHere { .. } => return Ok(Err(elsewhere())),
    };
    // "Taken" may mean taken by an earlier attempt of the same person, however long ago, here or at the original:
    // whoever knows the password is that person.
    let may_be_taken = ["username", "email", "non_field_errors"].iter().any(|field| refused.0.contains_key(*field));
    if may_be_taken
        && state.login_limits.log_in_while_registering(&registration.username).is_ok()
        && let Some(proof) = log_in(state, registration).await?
    {
        return Ok(checked(registration, proof));
    }
    if !pending.resumed {
        abandon_registration(&state.pool, pending).await?;
    }
    Ok(Err(refused))
}

async fn log_in(state: &AppState, registration: &Registration) -> Result<Option<Proof>, Failure> {
    let outcome = state.authentik.log_in(&registration.username, &registration.password).await?;
    Ok(match outcome {
        LogIn::Success { session, identity } => Some((session, identity)),
        _ => None,
    })
}

/// The account must be the one that was asked for.
fn checked(registration: &Registration, proof: Proof) -> Result<Proof, FlowErrors> {
    let (_, identity) = &proof;
    let same_name = identity.username.to_lowercase() == registration.username.to_lowercase();
    if same_name && same_email(&identity.email, &registration.email) { Ok(proof) } else { Err(taken(true, true)) }
}

fn elsewhere() -> FlowErrors {
    FlowErrors::of("non_field_errors", "Sign in through Authentik to finish the registration.", "invalid")
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
