//! The client: settings, one bounded retry loop for every call, idempotency keys.
//!
//! The library sends one request per call and has neither a time limit nor retries that keep a
//! caller's key, so both live here. No call of this crate goes around [`Stripe::call`].

use std::{fmt, future::Future, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use stripe::{IdempotencyKey, RequestStrategy};
use stripe_core::balance::RetrieveForMyAccountBalance;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;
use url::Url;

use crate::error::{StripeError, UnknownReason};

/// How often a call whose outcome is not known is repeated.
const RETRIES: u32 = 2;
/// Pause before the first repetition; doubled for the next.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest identifier Stripe gives out, in bytes.
const LONGEST_ID: usize = 255;
/// Objects asked for with each page of a list; Stripe's maximum.
pub(crate) const PAGE_SIZE: i64 = 100;

/// What is needed to reach Stripe.
#[derive(Clone)]
pub struct StripeSettings {
    /// Secret (or restricted) API key; never empty.
    pub secret_key: SecretString,
    /// `https://api.stripe.com/`, or the stand-in's address; a path is kept as prefix.
    pub api_url: Url,
    /// Time limit of one call, its repetitions included.
    pub timeout: Duration,
}

impl fmt::Debug for StripeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeSettings")
            .field("api_url", &self.api_url.as_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Settings a client cannot be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The secret key is empty or blank.
    #[error("the Stripe secret key is empty")]
    EmptyKey,
    /// The secret key has characters no HTTP header can carry, such as a line break.
    #[error("the Stripe secret key contains characters that are not allowed in a key")]
    InvalidKey,
    /// The address is not an http or https address with a host.
    #[error("the Stripe address must start with https:// (or http:// for a stand-in)")]
    InvalidUrl,
    /// A time limit of zero would let no call succeed.
    #[error("the Stripe time limit is zero")]
    ZeroTimeout,
}

/// The Stripe client; cheap to clone.
#[derive(Clone)]
pub struct Stripe {
    client: stripe::Client,
    timeout: Duration,
    api_url: Url,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe")
            .field("api_url", &self.api_url.as_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Money the platform holds at Stripe, in euro cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Whether the key is a live key.
    pub livemode: bool,
    /// What can be transferred or refunded now.
    pub available_cents: i64,
    /// What becomes available when charges settle.
    pub pending_cents: i64,
}

impl Stripe {
    /// Makes a client; does not talk to Stripe.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: StripeSettings) -> Result<Self, BuildError> {
        let StripeSettings { secret_key, mut api_url, timeout } = settings;
        if secret_key.expose_secret().trim().is_empty() {
            return Err(BuildError::EmptyKey);
        }
        if !secret_key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BuildError::InvalidKey);
        }
        if !matches!(api_url.scheme(), "http" | "https") || api_url.host().is_none() {
            return Err(BuildError::InvalidUrl);
        }
        if timeout.is_zero() {
            return Err(BuildError::ZeroTimeout);
        }
        // The library appends `v1/…` to the address as it is.
        if !api_url.path().ends_with('/') {
            let path = format!("{}/", api_url.path());
            api_url.set_path(&path);
        }
        api_url.set_query(None);
        api_url.set_fragment(None);
        let client = stripe::ClientBuilder::new(secret_key.expose_secret())
            .url(api_url.as_str())
            .timeout(timeout)
            .build()
            .map_err(|_| BuildError::InvalidUrl)?;
        Ok(Self { client, timeout, api_url })
    }

    /// The platform's balance, for the operator's view.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_balance(&self) -> Result<Balance, StripeError> {
        let request = RetrieveForMyAccountBalance::new();
        let balance = self.call("get balance", || request.send(&self.client)).await?;
        let euros = |amounts: &[stripe_core::BalanceAmount]| {
            amounts.iter().filter(|entry| entry.currency == stripe_types::Currency::EUR).map(|entry| entry.amount).sum()
        };
        Ok(Balance {
            livemode: balance.livemode,
            available_cents: euros(&balance.available),
            pending_cents: euros(&balance.pending),
        })
    }

    /// Succeeds when Stripe answers and accepts the key. Costs one read.
    ///
    /// # Errors
    /// See [`StripeError`]; [`StripeError::Authentication`] for a wrong key.
    pub async fn check(&self) -> Result<(), StripeError> {
        self.get_balance().await.map(drop)
    }

    /// The client of the library, for the modules that build requests.
    pub(crate) fn client(&self) -> &stripe::Client {
        &self.client
    }

    /// Sends a request, repeating it while the outcome is not known, within the time limit. `send`
    /// must make the same request each time, the idempotency key included.
    pub(crate) async fn call<T, Call, Answer>(&self, operation: &'static str, send: Call) -> Result<T, StripeError>
    where
        Call: Fn() -> Answer,
        Answer: Future<Output = Result<T, stripe::StripeError>>,
    {
        let began = Instant::now();
        let span = tracing::info_span!("stripe", operation, otel.kind = "client");
        let result = self.repeat(operation, send).instrument(span).await;
        let outcome = match &result {
            Ok(_) => "answered",
            Err(StripeError::Unknown { .. }) => "failed",
            Err(_) => "refused",
        };
        metrics::histogram!("freehunt_outbound_duration_seconds", "service" => "stripe", "outcome" => outcome)
            .record(began.elapsed());
        result
    }

    async fn repeat<T, Call, Answer>(&self, operation: &'static str, send: Call) -> Result<T, StripeError>
    where
        Call: Fn() -> Answer,
        Answer: Future<Output = Result<T, stripe::StripeError>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut pause = FIRST_PAUSE;
        let mut repetitions = 0;
        loop {
            let error = match timeout_at(deadline, send()).await {
                Err(_) => return Err(StripeError::unknown(UnknownReason::Timeout)),
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => StripeError::from(error),
            };
            let StripeError::Unknown { reason } = &error else { return Err(error) };
            if repetitions == RETRIES || Instant::now() + pause >= deadline {
                return Err(error);
            }
            repetitions += 1;
            tracing::warn!(operation, %reason, repetitions, "repeating a Stripe request whose outcome is not known");
            sleep(pause).await;
            pause *= 2;
        }
    }
}

/// The strategy that sends `key` with a request.
///
/// # Errors
/// When the key is empty or longer than Stripe accepts.
pub(crate) fn keyed(key: &str) -> Result<RequestStrategy, StripeError> {
    let key = IdempotencyKey::new(key).map_err(|error| StripeError::invalid(error.to_string()))?;
    Ok(RequestStrategy::Idempotent(key))
}

/// A strategy for POSTs that may safely happen twice: a key of their own for each call, so that an
/// answer lost on the way is repeated but never one of an earlier call.
pub(crate) fn keyed_once() -> RequestStrategy {
    RequestStrategy::idempotent_with_uuid()
}

/// Refuses anything that is not an identifier of Stripe's: identifiers become part of a path.
pub(crate) fn check_id(what: &str, id: &str) -> Result<(), StripeError> {
    let valid =
        !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if valid { Ok(()) } else { Err(StripeError::invalid(format!("{what} is not a Stripe identifier"))) }
}

/// Refuses amounts Stripe would refuse.
pub(crate) fn check_amount(amount_cents: i64) -> Result<(), StripeError> {
    if amount_cents > 0 { Ok(()) } else { Err(StripeError::invalid("the amount is not positive")) }
}
