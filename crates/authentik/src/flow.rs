//! One run of a flow against Authentik's executor: GET, POST, and the redirects between stages, with cookies of
//! its own.
//!
//! A redirect is followed to the same scheme, host and port and below the executor's path only: whoever answers
//! in Authentik's place must not be able to send a password or cookie elsewhere.

use http::{StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::{
    error::{FlowErrors, Unavailable, UnavailableKind},
    http::Http,
    session::Jar,
    stages::{Answers, Challenge, Outcome, Step},
};

/// More stages than any sensible flow has.
const MOST_STAGES: usize = 12;
const MOST_REDIRECTS: usize = 8;

/// `<base>/api/v3/<segments…>/`, every segment escaped.
pub(crate) fn api_url(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // The settings were checked to hold an http(s) URL, which always has path segments.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v3"]).extend(segments).push("");
    }
    url
}

pub(crate) struct FlowRun<'a> {
    http: &'a Http,
    endpoint: Url,
    /// Path below which redirects are followed.
    executor_path: String,
    jar: Jar,
}

impl<'a> FlowRun<'a> {
    pub(crate) fn new(http: &'a Http, base: &Url, slug: &str, jar: Jar) -> Self {
        let executor_path = api_url(base, &["flows", "executor"]).path().to_owned();
        let mut endpoint = api_url(base, &["flows", "executor", slug]);
        endpoint.set_query(Some("query="));
        Self { http, endpoint, executor_path, jar }
    }

    pub(crate) fn jar(&self) -> &Jar {
        &self.jar
    }

    /// The first challenge of the flow.
    pub(crate) async fn start(&mut self) -> Result<Challenge, Unavailable> {
        let request = self.http.get(self.endpoint.clone());
        self.exchange(request).await
    }

    /// Answers stage after stage until the flow ends.
    pub(crate) async fn drive(&mut self, answers: &Answers<'_>) -> Result<Outcome, Unavailable> {
        let mut challenge = self.start().await?;
        let mut credentials_given: Vec<String> = Vec::new();
        for _ in 0..MOST_STAGES {
            if challenge.asks_for_credentials() {
                // A flow may be set to restart after a wrong answer instead of saying what was wrong.
                if credentials_given.iter().any(|given| given == challenge.component()) {
                    let step = challenge.step(answers)?;
                    return Ok(match step {
                        Step::End(outcome) => outcome,
                        Step::Answer(_) => Outcome::Refused(failed_to_authenticate()),
                    });
                }
                credentials_given.push(challenge.component().to_owned());
            }
            match challenge.step(answers)? {
                Step::End(outcome) => return Ok(outcome),
                Step::Answer(answer) => {
                    let request = self.http.post(self.endpoint.clone()).json(&answer);
                    challenge = self.exchange(request).await?;
                }
            }
        }
        Err(UnavailableKind::Malformed.into())
    }

    async fn exchange(&mut self, first: reqwest::RequestBuilder) -> Result<Challenge, Unavailable> {
        let mut request = first;
        for _ in 0..=MOST_REDIRECTS {
            if let Some(cookies) = self.jar.header() {
                request = request.header(header::COOKIE, cookies);
            }
            let answer = self.http.send(request).await?;
            self.jar.absorb(&answer.headers);
            match answer.status {
                StatusCode::FOUND | StatusCode::SEE_OTHER | StatusCode::MOVED_PERMANENTLY => {
                    let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
                    let target = location.and_then(|location| self.followable(location));
                    request = self.http.get(target.ok_or(UnavailableKind::ForeignRedirect)?);
                }
                _ => return Challenge::read(answer.success_json::<Value>()?),
            }
        }
        Err(UnavailableKind::Malformed.into())
    }

    fn followable(&self, location: &str) -> Option<Url> {
        let target = self.endpoint.join(location).ok()?;
        let same_place = target.origin() == self.endpoint.origin() && target.path().starts_with(&self.executor_path);
        let plain = target.username().is_empty() && target.password().is_none();
        (same_place && plain).then_some(target)
    }
}

/// Authentik's own words for wrong credentials.
pub(crate) fn failed_to_authenticate() -> FlowErrors {
    FlowErrors::of("non_field_errors", "Failed to authenticate.", "invalid")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::circuit::CircuitSettings;

    /// Fault case 24.
    #[test]
    fn only_the_executor_of_the_same_host_is_followed() {
        let http = Http::new(Duration::from_secs(1), CircuitSettings::default()).expect("client");
        let base = Url::parse("https://id.example/auth").expect("URL");
        let run = FlowRun::new(&http, &base, "log in", Jar::default());
        assert_eq!(run.endpoint.as_str(), "https://id.example/auth/api/v3/flows/executor/log%20in/?query=");
        for good in [
            "/auth/api/v3/flows/executor/log-in/?query=",
            "https://id.example/auth/api/v3/flows/executor/other/",
            "https://id.example:443/auth/api/v3/flows/executor/other/",
            "?query=x",
        ] {
            assert!(run.followable(good).is_some(), "{good}");
        }
        for bad in [
            "http://id.example/auth/api/v3/flows/executor/log-in/",
            "https://id.example:8443/auth/api/v3/flows/executor/log-in/",
            "https://evil.example/auth/api/v3/flows/executor/log-in/",
            "//evil.example/auth/api/v3/flows/executor/log-in/",
            "https://user@id.example/auth/api/v3/flows/executor/log-in/",
            "/auth/api/v3/flows/executor/../../core/users/me/",
            "/auth/api/v3/flows/executor/%2e%2e/instances/",
            "/if/flow/log-in/",
            "javascript:alert(1)",
        ] {
            assert!(run.followable(bad).is_none(), "{bad}");
        }
    }
}
