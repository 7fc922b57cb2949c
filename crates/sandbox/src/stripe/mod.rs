//! A stand-in for Stripe: the objects that FreeHunt uses, with Stripe's checks, idempotency keys, signed webhooks, a
//! checkout page and an onboarding page.
//!
//! It keeps books in integer cents that tests compare with the database. It knows Stripe's rules and none of FreeHunt's,
//! except that [`Books`] can look for the metadata FreeHunt sets.

mod api;
mod books;
mod checkout;
mod connect;
mod error;
mod form;
mod hooks;
mod idempotency;
mod lists;
mod pages;
mod payments;
mod persist;
mod refunds;
mod state;
mod transfers;
mod webhooks;

#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

use self::state::{Fixed, Shared, State};
pub use self::{
    api::Gate,
    books::{
        Account, AccountLink, Books, Charge, CheckoutSession, Dispute, LineItem, Metadata, PaymentIntent, Refund,
        Reversal, SessionStatus, Transfer,
    },
    error::StripeError,
    payments::Paid,
    webhooks::{API_VERSION, CustomEvent, Delivery, DeliveryState, Event, RetryPolicy, sign},
};
use crate::stand_in::{self, Controls, Running};

/// How often sessions that are due expire when nobody calls.
const EXPIRY_PERIOD: Duration = Duration::from_secs(1);

/// What the stand-in needs to know at its start.
#[derive(Clone, Debug)]
pub struct StripeStandInSettings {
    /// Where a browser reaches it; None: the listener's own address.
    pub public_url: Option<String>,
    /// The secret that signs webhooks.
    pub webhook_secret: String,
    /// Where webhooks go; see also [`StripeStandIn::set_webhook_targets`].
    pub webhook_targets: Vec<String>,
    /// What a valid API key begins with.
    pub api_key: String,
    /// The file that keeps the objects between starts; None: they end with the stand-in.
    pub persist: Option<PathBuf>,
    pub retry: RetryPolicy,
    /// Time until a charge's money is available.
    pub settlement: Duration,
}

impl Default for StripeStandInSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            webhook_secret: "whsec_stand_in".to_owned(),
            webhook_targets: Vec::new(),
            api_key: "sk_test_".to_owned(),
            persist: None,
            retry: RetryPolicy::default(),
            settlement: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Why the stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the Stripe stand-in: {0}")]
    Io(#[source] io::Error),
    #[error("{} does not hold the objects of the Stripe stand-in: {error}", file.display())]
    Corrupt { file: PathBuf, error: serde_json::Error },
    #[error("the Stripe stand-in has no HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

/// A running stand-in. Dropping it stops it, and its deliveries.
pub struct StripeStandIn {
    running: Running,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl StripeStandIn {
    /// Serves on `listener`. Must run within a Tokio runtime.
    pub fn start(listener: TcpListener, settings: StripeStandInSettings) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Io)?;
        let mut state = match &settings.persist {
            Some(file) => persist::load(file)?,
            None => State::default(),
        };
        let public_url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        state.run.public_url = public_url.trim_end_matches('/').to_owned();
        state.run.settlement_seconds = i64::try_from(settings.settlement.as_secs()).unwrap_or(i64::MAX);
        state.run.webhook_targets = settings.webhook_targets;
        state.run.webhooks_enabled = true;
        let fixed = Fixed {
            client: webhook_client(&settings.retry)?,
            api_key: settings.api_key,
            webhook_secret: settings.webhook_secret,
            retry: settings.retry,
            persist: settings.persist,
        };
        let shared = Arc::new(Shared::new(state, fixed));
        let running =
            stand_in::serve(listener, router(Arc::clone(&shared)), Controls::new()).map_err(StartError::Io)?;
        // Starts the deliveries that the last run left.
        shared.change(|_| ());
        tokio::spawn(expire_sessions(Arc::clone(&shared)));
        Ok(Self { running, _stop: shared.stop.clone().drop_guard(), shared })
    }

    /// Base URL of the API, without a trailing slash.
    pub fn url(&self) -> String {
        self.running.url()
    }

    /// Recorded calls, and misbehaviour on demand.
    pub fn controls(&self) -> &Controls {
        &self.running.controls
    }

    /// Stops serving and waits for the listener to be closed.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/pay/{session}", get(pages::checkout).post(pages::pay))
        .route("/connect/{account}/{link}", get(pages::onboarding).post(pages::finish))
        .fallback(api::answer)
        .with_state(shared)
}

fn webhook_client(retry: &RetryPolicy) -> Result<reqwest::Client, StartError> {
    // Fails when another part of the process has installed one, which serves as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(retry.timeout).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().map_err(StartError::Client)
}

async fn expire_sessions(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EXPIRY_PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.read(|_| ()),
            () = shared.stop.cancelled() => return,
        }
    }
}
