//! What every handler and task can reach: handles, cheap to clone, made once from the configuration.

use std::{ops::Deref, sync::Arc};

use axum::http::HeaderValue;
use freehunt_authentik::{
    Authentik, AuthentikSettings, DEFAULT_INVALIDATION_FLOW,
    oidc::{Oidc, OidcSettings, SigningAlgorithm},
};
use freehunt_config::{AuthentikConfig, MessagingConfig, SigningAlgorithm as ConfiguredAlgorithm};
use freehunt_domain::{chat_events::FanOut, database, ids::SessionId, time::Clock};
use freehunt_fanout::Redis;
use freehunt_serving::Readiness;
use sqlx::PgPool;
use tokio::sync::{Notify, RwLock, mpsc};

use crate::{auth::Handshakes, registry::Registry, relay::RecentMessages, signals::Signal};

/// Signals that wait to be sent; what does not fit is dropped, since signals need not arrive.
const SIGNALS: usize = 1024;
/// Ids of events and sessions that wait to be looked up; when they do not fit, a scan finds them.
const IDS: usize = 65_536;

/// Shared by all sockets and requests.
#[derive(Clone)]
pub struct MessagingState(Arc<Messaging>);

pub struct Messaging {
    pub config: MessagingConfig,
    pub pool: PgPool,
    /// The relay's own connection: a thousand handshakes at once do not delay a message.
    pub delivery_pool: PgPool,
    /// Asked about sessions that only sockets use.
    pub authentik: Authentik,
    /// The same, about those that began by OpenID Connect.
    pub oidc: Oidc,
    /// Held for reading by each confirmation that is under way; the server ends after them.
    pub confirmations: Arc<RwLock<()>>,
    /// What carries events and signals between replicas; `None` where PostgreSQL does.
    pub redis: Option<Redis>,
    pub fan_out: FanOut,
    pub clock: Clock,
    pub readiness: Readiness,
    /// The origins browsers may connect from.
    pub allowed_origins: Vec<HeaderValue>,
    pub handshakes: Handshakes,
    /// The sockets of this replica.
    pub registry: Registry,
    pub recent_messages: RecentMessages,
    /// For the other replicas and for this one.
    pub signals: mpsc::Sender<Signal>,
    /// What the listener hears of.
    pub heard_events: mpsc::Sender<i64>,
    /// Events that this server itself wrote, for Redis.
    pub written_events: mpsc::Sender<i64>,
    pub heard_sessions: mpsc::Sender<SessionId>,
    /// Something may have been missed: look at the database itself.
    pub rescan: Notify,
}

/// The receiving ends, for the tasks that [`crate::serve`] starts.
pub struct Inboxes {
    pub signals: mpsc::Receiver<Signal>,
    pub events: mpsc::Receiver<i64>,
    pub written_events: mpsc::Receiver<i64>,
    pub sessions: mpsc::Receiver<SessionId>,
}

impl Deref for MessagingState {
    type Target = Messaging;

    fn deref(&self) -> &Messaging {
        &self.0
    }
}

impl MessagingState {
    /// Nothing is connected yet, so this fails only for impossible settings.
    pub fn new(config: MessagingConfig, clock: Clock) -> anyhow::Result<(Self, Inboxes)> {
        let fan_out = if config.redis_url.is_some() { FanOut::Redis } else { FanOut::Postgres };
        let redis = config.redis_url.as_ref().map(|url| Redis::new(url)).transpose()?;
        let database = &config.database;
        let options = fan_out.of_connections(database.options.clone());
        let pool = database::pool(options, database.max_connections, database.acquire_timeout);
        let delivery_pool = database::pool(database.options.clone(), 1, database.acquire_timeout);
        let authentik = authentik(&config)?;
        let oidc = oidc(&config, &clock)?;
        let origins = config.frontend.allowed_origins();
        let allowed_origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        let (signals, signal_inbox) = mpsc::channel(SIGNALS);
        let (heard_events, event_inbox) = mpsc::channel(IDS);
        let (written_events, written_inbox) = mpsc::channel(IDS);
        let (heard_sessions, session_inbox) = mpsc::channel(IDS);
        let state = Self(Arc::new(Messaging {
            pool,
            delivery_pool,
            authentik,
            oidc,
            confirmations: Arc::default(),
            redis,
            fan_out,
            clock,
            readiness: Readiness::default(),
            allowed_origins,
            handshakes: Handshakes::default(),
            registry: Registry::new(config.chat.sockets_per_user),
            recent_messages: RecentMessages::default(),
            signals,
            heard_events,
            written_events,
            heard_sessions,
            rescan: Notify::new(),
            config,
        }));
        let inboxes = Inboxes {
            signals: signal_inbox,
            events: event_inbox,
            written_events: written_inbox,
            sessions: session_inbox,
        };
        Ok((state, inboxes))
    }
}

fn authentik(config: &MessagingConfig) -> anyhow::Result<Authentik> {
    let AuthentikConfig { url, login_flow, enrollment_flow, timeout, .. } = config.authentik.clone();
    // Only asked whose session a cookie is: it runs none of the flows.
    let invalidation_flow = DEFAULT_INVALIDATION_FLOW.to_owned();
    Ok(Authentik::new(AuthentikSettings { url, login_flow, enrollment_flow, invalidation_flow, timeout })?)
}

fn oidc(config: &MessagingConfig, clock: &Clock) -> anyhow::Result<Oidc> {
    let algorithm = match config.oidc.signing_algorithm {
        ConfiguredAlgorithm::Rs256 => SigningAlgorithm::Rs256,
        ConfiguredAlgorithm::Es256 => SigningAlgorithm::Es256,
    };
    let settings = OidcSettings {
        issuer: config.oidc.issuer.clone(),
        client_id: config.oidc.client_id.clone(),
        client_secret: config.oidc.client_secret.clone(),
        // Nobody signs in here.
        redirect_uri: config.frontend.api_url.clone(),
        audience: config.oidc.audience.clone(),
        algorithm,
        timeout: config.authentik.timeout,
    };
    let clock = clock.clone();
    Ok(Oidc::with_clock(settings, Arc::new(move || clock.now()))?)
}
