//! The whole platform, started in order and stopped in reverse. Every port is taken before anything is started, so
//! that a taken one leaves nothing behind.

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path};

use anyhow::{Context, bail};
use freehunt_config::{ApiConfig, MessagingConfig, Source};
use freehunt_domain::{schema, seed, time::Clock};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    authentik::{AuthentikStandIn, AuthentikStandInSettings, NewUser},
    postgres::{PostgresServer, PostgresSettings},
    s3::{S3StandIn, S3StandInSettings},
    story,
    stripe::{StripeStandIn, StripeStandInSettings},
};

/// The password of every demo account.
pub const DEMO_PASSWORD: &str = "Freehunt-demo-1";

const DATABASE: &str = "freehunt";
const BUCKET: &str = "freehunt-avatar";
/// Good for nothing outside the sandbox, whose stand-ins they open.
const STRIPE_KEY: &str = "sk_test_sandboxOnly";
const WEBHOOK_SECRET: &str = "whsec_sandboxOnly";
const S3_ACCESS_KEY: &str = "sandbox-access";
const S3_SECRET_KEY: &str = "sandbox-secret-key";

/// Everything that runs. [`Platform::stop`] ends it.
pub struct Platform {
    pub authentik: AuthentikStandIn,
    pub stripe: StripeStandIn,
    pub s3: S3StandIn,
    postgres: Option<PostgresServer>,
    servers: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

struct Listeners {
    api: TcpListener,
    messaging: TcpListener,
    authentik: TcpListener,
    s3: TcpListener,
    stripe: TcpListener,
}

impl Platform {
    /// Starts everything and returns when both servers answer. `external_database` is used instead of an own one.
    pub async fn start(arguments: &Arguments, external_database: Option<String>) -> anyhow::Result<Self> {
        let listeners = take_ports(arguments).await?;
        if arguments.fresh {
            erase(&arguments.data).await?;
        }
        std::fs::create_dir_all(&arguments.data)
            .with_context(|| format!("the folder {} cannot be made", arguments.data.display()))?;
        tracing::info!("starting PostgreSQL");
        let (postgres, database_url) = start_database(arguments, external_database).await?;
        let is_new = migrate(&database_url).await?;
        tracing::info!("starting the stand-ins for Authentik, S3 and Stripe");
        let authentik = start_authentik(listeners.authentik, arguments).await?;
        let s3 = start_s3(listeners.s3, arguments)?;
        let stripe = start_stripe(listeners.stripe, arguments)?;
        let pool = PgPool::connect(&database_url).await?;
        let has_demo_data = is_new && seed_demo_data(&pool, &authentik).await?;
        pool.close().await;
        tracing::info!("starting the API and the messaging server");
        let stop = CancellationToken::new();
        let servers = start_servers(listeners.api, listeners.messaging, arguments, &database_url, &stop)?;
        let platform = Self { authentik, stripe, s3, postgres, servers, stop };
        if has_demo_data {
            tracing::info!("telling the demo story: a mission is published, paid and under way");
            story::tell(&format!("http://127.0.0.1:{}", arguments.api_port), arguments, &platform.stripe).await?;
        }
        Ok(platform)
    }

    /// Returns when one of the servers ends by itself, which it never should.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.servers.join_next().await {
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("a server ended by itself"),
            Some(Ok(Err(error))) => error,
            Some(Err(panic)) => panic.into(),
        }
    }

    /// Stops the servers, then what they stand on.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.servers.join_next().await {
            ended??;
        }
        self.stripe.stop().await;
        if let Some(postgres) = self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

async fn take_ports(arguments: &Arguments) -> anyhow::Result<Listeners> {
    Ok(Listeners {
        api: take_port("API", "--api-port", arguments.api_port).await?,
        messaging: take_port("messaging server", "--messaging-port", arguments.messaging_port).await?,
        authentik: take_port("stand-in for Authentik", "--authentik-port", arguments.authentik_port).await?,
        s3: take_port("stand-in for S3", "--s3-port", arguments.s3_port).await?,
        stripe: take_port("stand-in for Stripe", "--stripe-port", arguments.stripe_port).await?,
    })
}

async fn take_port(what: &str, option: &str, port: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            bail!("port {port}, meant for the {what}, cannot be used ({error}); choose another with {option}")
        }
    }
}

async fn erase(data: &Path) -> anyhow::Result<()> {
    PostgresServer::erase(&data.join("postgres")).await?;
    for name in ["authentik.json", "stripe.json"] {
        match std::fs::remove_file(data.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    match std::fs::remove_dir_all(data.join("s3")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

async fn start_database(
    arguments: &Arguments,
    external: Option<String>,
) -> anyhow::Result<(Option<PostgresServer>, String)> {
    if let Some(url) = external {
        return Ok((None, url));
    }
    let settings = PostgresSettings {
        binaries: arguments.postgres_binaries.clone(),
        ..PostgresSettings::new(arguments.data.join("postgres"))
    };
    let server = PostgresServer::start(settings).await?;
    server.create_database_if_missing(DATABASE).await?;
    let url = server.url(DATABASE);
    Ok((Some(server), url))
}

/// Whether the database has no user yet.
async fn migrate(url: &str) -> anyhow::Result<bool> {
    let mut connection = PgConnection::connect(url).await.context("the database cannot be reached")?;
    schema::migrate(&mut connection).await?;
    let users: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "User""#).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(users == 0)
}

async fn start_authentik(listener: TcpListener, arguments: &Arguments) -> anyhow::Result<AuthentikStandIn> {
    let settings = AuthentikStandInSettings {
        public_url: Some(format!("http://localhost:{}", arguments.authentik_port)),
        persist: Some(arguments.data.join("authentik.json")),
        ..AuthentikStandInSettings::default()
    };
    AuthentikStandIn::start(listener, settings).await.context("the stand-in for Authentik cannot start")
}

fn start_s3(listener: TcpListener, arguments: &Arguments) -> anyhow::Result<S3StandIn> {
    let settings = S3StandInSettings {
        root: arguments.data.join("s3"),
        access_key: S3_ACCESS_KEY.to_owned(),
        secret_key: S3_SECRET_KEY.to_owned(),
        buckets: vec![BUCKET.to_owned()],
    };
    S3StandIn::start(listener, settings).context("the stand-in for S3 cannot start")
}

fn start_stripe(listener: TcpListener, arguments: &Arguments) -> anyhow::Result<StripeStandIn> {
    let settings = StripeStandInSettings {
        public_url: Some(format!("http://localhost:{}", arguments.stripe_port)),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        webhook_targets: vec![format!("http://127.0.0.1:{}/stripe/webhook", arguments.api_port)],
        persist: Some(arguments.data.join("stripe.json")),
        ..StripeStandInSettings::default()
    };
    Ok(StripeStandIn::start(listener, settings)?)
}

/// Adds the demo rows, and makes Authentik's stand-in know the same people.
async fn seed_demo_data(pool: &PgPool, authentik: &AuthentikStandIn) -> anyhow::Result<bool> {
    for user in seed::fill(pool).await? {
        let known = authentik.ensure_user(NewUser {
            username: user.username.clone(),
            email: user.email.clone(),
            password: DEMO_PASSWORD.to_owned(),
            ..NewUser::default()
        })?;
        sqlx::query("INSERT INTO identity (user_id, authentik_uid, bound_by) VALUES ($1, $2, 'operator')")
            .bind(user.id.0)
            .bind(&known.uid)
            .execute(pool)
            .await?;
    }
    Ok(true)
}

fn start_servers(
    api: TcpListener,
    messaging: TcpListener,
    arguments: &Arguments,
    database_url: &str,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let source = |port| Source::from_map(server_settings(arguments, database_url, port), "/nonexistent");
    let api_server = freehunt_api::build(ApiConfig::load(&source(arguments.api_port))?, Clock::system())?;
    let messaging_config = MessagingConfig::load(&source(arguments.messaging_port))?;
    let messaging_server = freehunt_messaging::build(messaging_config, Clock::system())?;
    let mut servers = JoinSet::new();
    servers.spawn(freehunt_api::serve::serve(api_server, api, stop.clone()));
    servers.spawn(freehunt_messaging::serve::serve(messaging_server, messaging, stop.clone()));
    Ok(servers)
}

/// The servers read these as they would read their environment.
fn server_settings(arguments: &Arguments, database_url: &str, port: u16) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("DATABASE_URL", database_url.to_owned()),
        ("PORT", port.to_string()),
        ("FRONTEND_URL", arguments.frontend_url.clone()),
        ("API_URL", format!("http://localhost:{}", arguments.api_port)),
        ("AUTHENTIK_URL", format!("http://127.0.0.1:{}", arguments.authentik_port)),
        ("AUTHENTIK_PUBLIC_URL", format!("http://localhost:{}", arguments.authentik_port)),
        ("S3_URL", format!("http://127.0.0.1:{}", arguments.s3_port)),
        ("S3_PUBLIC_URL", format!("http://localhost:{}", arguments.s3_port)),
        ("S3_ACCESS_KEY", S3_ACCESS_KEY.to_owned()),
        ("S3_SECRET_KEY", S3_SECRET_KEY.to_owned()),
        ("STRIPE_SECRET_KEY", STRIPE_KEY.to_owned()),
        ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
        ("STRIPE_API_URL", format!("http://127.0.0.1:{}", arguments.stripe_port)),
        ("DOCS_ENABLED", "true".to_owned()),
        // Wide enough for a person and for a browser test that registers several users a minute.
        ("LOGIN_LIMIT_ADDRESS_BURST", "100".to_owned()),
        ("LOGIN_LIMIT_ADDRESS_PER_MINUTE", "100".to_owned()),
        ("LOGIN_LIMIT_ACCOUNT_BURST", "50".to_owned()),
        ("LOGIN_LIMIT_ACCOUNT_PER_MINUTE", "50".to_owned()),
        ("REGISTRATION_LIMIT_BURST", "100".to_owned()),
        ("REGISTRATION_LIMIT_PER_HOUR", "1000".to_owned()),
        ("SESSION_ADOPTION_LIMIT_BURST", "1000".to_owned()),
        ("SESSION_ADOPTION_LIMIT_PER_MINUTE", "1000".to_owned()),
        ("OIDC_LOGIN_LIMIT_BURST", "100".to_owned()),
        ("OIDC_LOGIN_LIMIT_PER_MINUTE", "100".to_owned()),
    ])
}
