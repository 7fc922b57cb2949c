//! The calls FreeHunt makes to Authentik about a person: log in, enrol, who is this session, end it.
//!
//! It says what Authentik said. Which local user an identity belongs to is decided elsewhere.

use std::{fmt, time::Duration};

use http::header;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::{
    circuit::CircuitSettings,
    error::{BuildError, FlowErrors, Unavailable, UnavailableKind},
    flow::{FlowRun, api_url},
    http::Http,
    session::{Jar, SessionCookie},
    stages::{self, Answers, Outcome},
};

/// The slug of the flow that ends a session in a stock Authentik.
pub const DEFAULT_INVALIDATION_FLOW: &str = "default-invalidation-flow";
/// A whole flow may take this many times the time limit of one call.
const FLOW_TIMEOUTS: u32 = 4;

/// Where Authentik is and which of its flows are used.
#[derive(Clone, Debug)]
pub struct AuthentikSettings {
    /// Base URL, as this program reaches it.
    pub url: Url,
    /// Slug of the flow that signs in.
    pub login_flow: String,
    /// Slug of the flow that creates an account.
    pub enrollment_flow: String,
    /// Slug of the flow that signs out, usually [`DEFAULT_INVALIDATION_FLOW`].
    pub invalidation_flow: String,
    /// Time limit of one call.
    pub timeout: Duration,
}

/// A person as Authentik knows them.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Stable for the life of the account; the only thing to identify somebody by.
    pub uid: String,
    pub username: String,
    /// Not unique in Authentik, and users may be able to change it.
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub name: String,
    pub is_active: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("uid", &self.uid)
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

/// How a log-in ended.
#[derive(Debug)]
pub enum LogIn {
    Success {
        session: SessionCookie,
        identity: Identity,
    },
    /// Wrong credentials, in Authentik's words.
    Refused(FlowErrors),
    /// Known, but not allowed in.
    Denied {
        message: Option<String>,
    },
    /// A stage only Authentik's own pages can answer, such as a second factor.
    NotAnswerableHere {
        component: String,
    },
}

/// What somebody fills in to get an account.
pub struct Enrollment {
    pub username: String,
    pub email: String,
    pub password: SecretString,
    pub password_repeat: SecretString,
    /// Given to a prompt field named `role` or `attributes.role`, if the flow has one.
    pub role: Option<String>,
}

/// How an enrolment ended.
#[derive(Debug)]
pub enum Enrolled {
    /// The account exists. Session and identity are there when the flow signed the user in.
    Done {
        session: Option<SessionCookie>,
        identity: Option<Identity>,
    },
    Refused(FlowErrors),
    Denied {
        message: Option<String>,
    },
    NotAnswerableHere {
        component: String,
    },
}

/// The client. One for the whole process: connections and the circuit breaker are shared by all calls.
pub struct Authentik {
    pub(crate) http: Http,
    pub(crate) settings: AuthentikSettings,
}

#[derive(Deserialize)]
struct Me {
    user: Identity,
}

impl Authentik {
    pub fn new(settings: AuthentikSettings) -> Result<Self, BuildError> {
        Self::with_circuit(settings, CircuitSettings::default())
    }

    /// As [`Authentik::new`], with other limits for the circuit breaker.
    pub fn with_circuit(settings: AuthentikSettings, circuit: CircuitSettings) -> Result<Self, BuildError> {
        let url = &settings.url;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(BuildError::Url);
        }
        Ok(Self { http: Http::new(settings.timeout, circuit)?, settings })
    }

    /// Runs the log-in flow. `identifier` is an e-mail address or a user name.
    pub async fn log_in(&self, identifier: &str, password: &SecretString) -> Result<LogIn, Unavailable> {
        let answers = Answers { identifier: Some(identifier), password: Some(password), enrollment: None };
        let mut run = self.run(&self.settings.login_flow, Jar::default());
        match self.drive(&mut run, &answers).await? {
            Outcome::Refused(errors) => return Ok(LogIn::Refused(errors)),
            Outcome::Denied { message } => return Ok(LogIn::Denied { message }),
            Outcome::NotAnswerableHere { component } => return Ok(LogIn::NotAnswerableHere { component }),
            Outcome::Done => {}
        }
        // A flow can end in a redirect to elsewhere without having signed anybody in: only the session proves it.
        if let Some(session) = run.jar().session()
            && let Some(identity) = self.who_is(&session).await?
        {
            return Ok(LogIn::Success { session, identity });
        }
        Ok(LogIn::NotAnswerableHere { component: stages::REDIRECT.to_owned() })
    }

    /// Runs the enrolment flow, filling in its prompts by the names of their fields.
    pub async fn enroll(&self, enrollment: &Enrollment) -> Result<Enrolled, Unavailable> {
        let answers = Answers {
            identifier: Some(&enrollment.username),
            password: Some(&enrollment.password),
            enrollment: Some(enrollment),
        };
        let mut run = self.run(&self.settings.enrollment_flow, Jar::default());
        match self.drive(&mut run, &answers).await? {
            Outcome::Refused(errors) => return Ok(Enrolled::Refused(errors)),
            Outcome::Denied { message } => return Ok(Enrolled::Denied { message }),
            Outcome::NotAnswerableHere { component } => return Ok(Enrolled::NotAnswerableHere { component }),
            Outcome::Done => {}
        }
        let Some(session) = run.jar().session() else {
            return Ok(Enrolled::Done { session: None, identity: None });
        };
        match self.who_is(&session).await {
            Ok(Some(identity)) => Ok(Enrolled::Done { session: Some(session), identity: Some(identity) }),
            Ok(None) => Ok(Enrolled::Done { session: None, identity: None }),
            Err(error) => {
                // The account exists all the same; a log-in finds it.
                tracing::warn!(%error, "the session of an enrolment could not be checked");
                Ok(Enrolled::Done { session: None, identity: None })
            }
        }
    }

    /// Whose session this is: `None` when it is nobody's, has ended, or the account is inactive. Authentik
    /// receives this one cookie and nothing else of the caller's.
    pub async fn who_is(&self, session: &SessionCookie) -> Result<Option<Identity>, Unavailable> {
        let Some(cookie) = session.header() else { return Ok(None) };
        let request =
            self.http.get(api_url(&self.settings.url, &["core", "users", "me"])).header(header::COOKIE, cookie);
        let answer = self.http.send(request).await?;
        if answer.refuses_credentials() {
            return Ok(None);
        }
        let Me { user } = answer.success_json()?;
        if user.uid.is_empty() {
            return Err(UnavailableKind::Malformed.into());
        }
        Ok(user.is_active.then_some(user))
    }

    /// Ends a session at Authentik. Ending one that is not there succeeds.
    pub async fn end_session(&self, session: &SessionCookie) -> Result<(), Unavailable> {
        if !session.is_well_formed() {
            return Ok(());
        }
        let mut run = self.run(&self.settings.invalidation_flow, Jar::with_session(session));
        match self.drive(&mut run, &Answers::default()).await? {
            // Denied: Authentik demands a session for this flow and there is none.
            Outcome::Done | Outcome::Denied { .. } => Ok(()),
            Outcome::Refused(_) | Outcome::NotAnswerableHere { .. } => Err(UnavailableKind::Malformed.into()),
        }
    }

    /// For an operator's check: the log-in flow exists and its executor answers. Returns the component of the
    /// first challenge.
    pub async fn check(&self) -> Result<String, Unavailable> {
        let challenge = self.run(&self.settings.login_flow, Jar::default()).start().await?;
        if !challenge.is_known() {
            return Err(UnavailableKind::Malformed.into());
        }
        Ok(challenge.component().to_owned())
    }

    fn run(&self, slug: &str, jar: Jar) -> FlowRun<'_> {
        FlowRun::new(&self.http, &self.settings.url, slug, jar)
    }

    async fn drive(&self, run: &mut FlowRun<'_>, answers: &Answers<'_>) -> Result<Outcome, Unavailable> {
        tokio::time::timeout(self.settings.timeout * FLOW_TIMEOUTS, run.drive(answers))
            .await
            .unwrap_or_else(|_elapsed| Err(UnavailableKind::Timeout.into()))
    }
}
