//! What every handler can reach: handles, cheap to clone, made once from the configuration.

use std::{
    ops::Deref,
    sync::{Arc, Weak},
};

use anyhow::Context;
use freehunt_authentik::{
    Authentik, AuthentikSettings,
    oidc::{Oidc, OidcSettings, SigningAlgorithm},
};
use freehunt_config::{ApiConfig, SigningAlgorithm as ConfiguredAlgorithm};
use freehunt_domain::{
    chat_events::FanOut,
    database::{self, Connection, Connections},
    ids::JobPostingId,
    search::Searching,
    time::Clock,
};
use freehunt_jobs::{JobContext, Jobs};
use freehunt_serving::Readiness;
use freehunt_storage::{Background, Storage, StorageSettings, image::Sanitiser};
use freehunt_stripe::{Stripe, StripeSettings};
use sqlx::PgPool;

use crate::{
    account_cache::AccountCache,
    announcements::Announcements,
    answer_cache::AnswerCache,
    auth::{LoginLimiter, SessionStore},
    listener::Listening,
    routes::upload::UploadMemory,
    skill_cache::SkillCache,
};

/// Shared by all requests.
#[derive(Clone)]
pub struct AppState(Arc<App>);

pub struct App {
    pub config: ApiConfig,
    /// For transactions, and for what goes on beside requests.
    pub pool: PgPool,
    /// For requests' single statements.
    pub connections: Connections,
    pub clock: Clock,
    pub authentik: Authentik,
    pub oidc: Oidc,
    pub sessions: SessionStore,
    pub skills: SkillCache,
    pub accounts: AccountCache,
    /// Published postings as everybody sees them.
    pub public_job_postings: AnswerCache<JobPostingId>,
    pub searching: Searching,
    /// Hears of what changes about these.
    pub listening: Listening,
    pub login_limits: LoginLimiter,
    pub stripe: Stripe,
    pub storage: Storage,
    /// Runs what a transaction decided outside the database.
    pub jobs: Jobs,
    /// For uploads, so that other requests do not wait for them.
    pub background: Background,
    pub sanitiser: Sanitiser,
    pub upload_memory: UploadMemory,
    pub readiness: Readiness,
    /// Who tells the messaging servers of chat events.
    pub fan_out: FanOut,
    /// With [`FanOut::Redis`] only.
    pub announcements: Option<Announcements>,
    /// The origins a browser may send state changes from, as ASCII text without a trailing slash.
    pub allowed_origins: Vec<String>,
}

impl AppState {
    /// For tasks that must not keep it alive.
    pub fn downgrade(&self) -> Weak<App> {
        Arc::downgrade(&self.0)
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

/// Authentik's own flow that ends a session; it is there in every installation.
const INVALIDATION_FLOW: &str = "default-invalidation-flow";

/// For some thousand published postings that are read often.
const JOB_POSTINGS_BYTES: u64 = 8 * 1024 * 1024;

/// Images decoded at once. One leaves a core of a small machine to requests, and keeps a flood of uploads under 256 MB.
const IMAGE_WORKERS: usize = 1;

impl AppState {
    /// Makes every client. Nothing is connected yet, so this fails only for impossible settings.
    pub fn new(config: ApiConfig, clock: Clock) -> anyhow::Result<Self> {
        let fan_out = if config.redis_url.is_some() { FanOut::Redis } else { FanOut::Postgres };
        let announcements = config.redis_url.as_ref().map(|url| Announcements::new(url)).transpose()?;
        let options = fan_out.of_connections(config.database.options.clone());
        // Requests wait together for the disk, and the more of them do, the fewer times it is written to.
        let for_transactions = (config.database.max_connections / 3).max(1);
        let for_requests = config.database.max_connections.saturating_sub(for_transactions).max(1);
        let pool = database::pool(options.clone(), for_transactions, config.database.acquire_timeout);
        let connections = Connections::new(options, for_requests, config.database.acquire_timeout)?;
        let authentik = Authentik::new(AuthentikSettings {
            url: config.authentik.url.clone(),
            login_flow: config.authentik.login_flow.clone(),
            enrollment_flow: config.authentik.enrollment_flow.clone(),
            invalidation_flow: INVALIDATION_FLOW.to_owned(),
            timeout: config.authentik.timeout,
        })?;
        let oidc = oidc(&config, &clock)?;
        let stripe = Stripe::new(StripeSettings {
            secret_key: config.stripe.secret_key.clone(),
            api_url: config.stripe.api_url.clone(),
            timeout: config.stripe.timeout,
        })?;
        let storage = Storage::new(StorageSettings {
            url: config.s3.url.clone(),
            public_url: config.s3.public_url.clone(),
            region: config.s3.region.clone(),
            bucket: config.s3.bucket.clone(),
            access_key: config.s3.access_key.clone(),
            secret_key: config.s3.secret_key.clone(),
            timeout: config.s3.timeout,
        })?;
        let background = Background::new().context("no threads for uploads")?;
        let jobs = Jobs::new(JobContext {
            pool: pool.clone(),
            stripe: stripe.clone(),
            storage: storage.clone(),
            clock: clock.clone(),
        });
        let allowed_origins = config.frontend.allowed_origins();
        Ok(Self(Arc::new(App {
            pool,
            connections,
            clock,
            authentik,
            oidc,
            sessions: SessionStore::new(config.sessions.cache_capacity, config.sessions.revalidate_after),
            skills: SkillCache::default(),
            accounts: AccountCache::new(config.http.request_timeout),
            public_job_postings: AnswerCache::new("job_posting", JOB_POSTINGS_BYTES),
            searching: Searching::default(),
            listening: Listening::default(),
            login_limits: LoginLimiter::new(&config.login_limits),
            stripe,
            storage,
            jobs,
            sanitiser: Sanitiser::new(IMAGE_WORKERS, background.clone()),
            background,
            upload_memory: UploadMemory::default(),
            readiness: Readiness::default(),
            fan_out,
            announcements,
            allowed_origins,
            config,
        })))
    }
}

impl App {
    /// A connection for a statement or two. A transaction over several tables takes one of `pool`.
    pub async fn connection(&self) -> Result<Connection, sqlx::Error> {
        self.connections.acquire().await
    }
}

/// Where the provider sends the browser back to.
const OIDC_CALLBACK: &str = "auth/oidc/callback";

fn oidc(config: &ApiConfig, clock: &Clock) -> anyhow::Result<Oidc> {
    let settings = OidcSettings {
        issuer: config.oidc.issuer.clone(),
        client_id: config.oidc.client_id.clone(),
        client_secret: config.oidc.client_secret.clone(),
        redirect_uri: config.frontend.api_url.join(OIDC_CALLBACK)?,
        audience: config.oidc.audience.clone(),
        algorithm: match config.oidc.signing_algorithm {
            ConfiguredAlgorithm::Rs256 => SigningAlgorithm::Rs256,
            ConfiguredAlgorithm::Es256 => SigningAlgorithm::Es256,
        },
        timeout: config.authentik.timeout,
    };
    let clock = clock.clone();
    Ok(Oidc::with_clock(settings, Arc::new(move || clock.now()))?)
}
