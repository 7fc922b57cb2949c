//! What every handler and task can reach: handles, cheap to clone, made once from the configuration.

use std::{ops::Deref, sync::Arc};

use axum::http::HeaderValue;
use freehunt_config::MessagingConfig;
use freehunt_domain::{database, ids::SessionId, time::Clock};
use freehunt_serving::Readiness;
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc};

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
    pub heard_sessions: mpsc::Sender<SessionId>,
    /// Something may have been missed: look at the database itself.
    pub rescan: Notify,
}

/// The receiving ends, for the tasks that [`crate::serve`] starts.
pub struct Inboxes {
    pub signals: mpsc::Receiver<Signal>,
    pub events: mpsc::Receiver<i64>,
    pub sessions: mpsc::Receiver<SessionId>,
}

impl Deref for MessagingState {
    type Target = Messaging;

    fn deref(&self) -> &Messaging {
        &self.0
    }
}

impl MessagingState {
    pub fn new(config: MessagingConfig, clock: Clock) -> (Self, Inboxes) {
        let pool = database::pool(
            config.database.options.clone(),
            config.database.max_connections,
            config.database.acquire_timeout,
        );
        let origins = config.frontend.allowed_origins();
        let allowed_origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        let (signals, signal_inbox) = mpsc::channel(SIGNALS);
        let (heard_events, event_inbox) = mpsc::channel(IDS);
        let (heard_sessions, session_inbox) = mpsc::channel(IDS);
        let state = Self(Arc::new(Messaging {
            pool,
            clock,
            readiness: Readiness::default(),
            allowed_origins,
            handshakes: Handshakes::default(),
            registry: Registry::new(config.chat.sockets_per_user),
            recent_messages: RecentMessages::default(),
            signals,
            heard_events,
            heard_sessions,
            rescan: Notify::new(),
            config,
        }));
        (state, Inboxes { signals: signal_inbox, events: event_inbox, sessions: session_inbox })
    }
}
