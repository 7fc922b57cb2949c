use std::{
    collections::BTreeMap,
    io::ErrorKind,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use freehunt_api::{serve, state::AppState};
use freehunt_config::{ApiConfig, Source};
use freehunt_domain::{schema, time::Clock};
use freehunt_sandbox::{
    authentik::{AuthentikStandIn, AuthentikStandInSettings},
    postgres::{TestCluster, TestClusterSettings, TestDatabase},
    s3::{S3StandIn, S3StandInSettings},
    stripe::{StripeStandIn, StripeStandInSettings},
};
use futures_util::FutureExt;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::OnceCell, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{ChatClient, Persona, logs, settings};

/// What a test changes about its servers.
#[derive(Clone, Debug, Default)]
pub struct TestOptions {
    /// Settings by their names, over the tests' own.
    pub settings: BTreeMap<String, String>,
}

impl TestOptions {
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }
}

/// Both servers, their database and their surroundings, for one test.
pub struct TestApp {
    pub url: String,
    pub state: AppState,
    /// The test's own connections, apart from the servers'.
    pub pool: PgPool,
    pub authentik: AuthentikStandIn,
    pub stripe: StripeStandIn,
    pub s3: S3StandIn,
    pub(crate) client: reqwest::Client,
    settings: BTreeMap<String, String>,
    pub(crate) stop: CancellationToken,
    servers: Mutex<Vec<JoinHandle<anyhow::Result<()>>>>,
    /// The messaging servers; a test starts as many as it needs.
    pub(crate) canary: OnceCell<Persona>,
    pub(crate) canaries: Mutex<Vec<ChatClient>>,
    pub(crate) chat_servers: Mutex<Vec<JoinHandle<anyhow::Result<()>>>>,
    _s3_folder: TempDir,
}

impl TestApp {
    /// Runs `test` against servers of its own, then checks that nothing was left behind.
    pub async fn run(test: impl AsyncFnOnce(&TestApp)) {
        Self::run_with(TestOptions::default(), test).await;
    }

    /// As [`TestApp::run`], with other settings.
    pub async fn run_with(options: TestOptions, test: impl AsyncFnOnce(&TestApp)) {
        logs::start();
        let cluster = cluster().await;
        let database = fresh_database(&cluster).await;
        let app = Self::start(&database, options).await;
        let outcome = AssertUnwindSafe(test(&app)).catch_unwind().await;
        let left_behind = if outcome.is_ok() { app.left_behind().await } else { Vec::new() };
        app.shut_down().await;
        database.drop_now().await.expect("the test's database can be dropped");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        assert!(left_behind.is_empty(), "the test left behind: {left_behind:?}");
        let findings = logs::findings();
        assert!(findings.is_empty(), "secrets came out in this test or one beside it:\n{}", findings.join("\n"));
    }

    async fn start(database: &TestDatabase, options: TestOptions) -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let s3_folder = TempDir::new().expect("a folder for the objects");
        let authentik = AuthentikStandIn::start(free_port().await, AuthentikStandInSettings::default());
        let authentik = authentik.await.expect("the stand-in for Authentik starts");
        let stripe_settings = StripeStandInSettings {
            webhook_secret: settings::WEBHOOK_SECRET.to_owned(),
            ..StripeStandInSettings::default()
        };
        let stripe = StripeStandIn::start(free_port().await, stripe_settings).expect("the stand-in for Stripe starts");
        let s3 = S3StandIn::start(
            free_port().await,
            S3StandInSettings {
                root: s3_folder.path().to_owned(),
                access_key: settings::S3_ACCESS_KEY.to_owned(),
                secret_key: settings::S3_SECRET_KEY.to_owned(),
                buckets: vec!["freehunt-avatar".to_owned()],
            },
        )
        .expect("the stand-in for S3 starts");
        let listener = free_port().await;
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let mut values = BTreeMap::from([
            ("DATABASE_URL".to_owned(), database.url()),
            ("FRONTEND_URL".to_owned(), settings::FRONTEND.to_owned()),
            ("API_URL".to_owned(), format!("http://localhost:{port}")),
            ("PORT".to_owned(), port.to_string()),
            ("AUTHENTIK_URL".to_owned(), authentik.url()),
            ("AUTHENTIK_TOKEN".to_owned(), settings::ADMIN_TOKEN.to_owned()),
            ("S3_URL".to_owned(), s3.url()),
            ("S3_ACCESS_KEY".to_owned(), settings::S3_ACCESS_KEY.to_owned()),
            ("S3_SECRET_KEY".to_owned(), settings::S3_SECRET_KEY.to_owned()),
            ("STRIPE_SECRET_KEY".to_owned(), settings::STRIPE_KEY.to_owned()),
            ("STRIPE_WEBHOOK_SECRET".to_owned(), settings::WEBHOOK_SECRET.to_owned()),
            ("STRIPE_API_URL".to_owned(), stripe.url()),
            ("SHUTDOWN_TIMEOUT_MS".to_owned(), "2000".to_owned()),
            ("DATABASE_MAX_CONNECTIONS".to_owned(), "12".to_owned()),
            ("LOGIN_LIMIT_ADDRESS_BURST".to_owned(), "1000".to_owned()),
            ("LOGIN_LIMIT_ADDRESS_PER_MINUTE".to_owned(), "1000".to_owned()),
            ("LOGIN_LIMIT_ACCOUNT_BURST".to_owned(), "1000".to_owned()),
            ("LOGIN_LIMIT_ACCOUNT_PER_MINUTE".to_owned(), "1000".to_owned()),
            ("REGISTRATION_LIMIT_BURST".to_owned(), "1000".to_owned()),
            ("REGISTRATION_LIMIT_PER_HOUR".to_owned(), "1000".to_owned()),
            ("SESSION_ADOPTION_LIMIT_BURST".to_owned(), "1000".to_owned()),
            ("SESSION_ADOPTION_LIMIT_PER_MINUTE".to_owned(), "1000".to_owned()),
            ("OIDC_LOGIN_LIMIT_BURST".to_owned(), "1000".to_owned()),
            ("OIDC_LOGIN_LIMIT_PER_MINUTE".to_owned(), "1000".to_owned()),
        ]);
        values.extend(options.settings);
        let stop = CancellationToken::new();
        let config = load(&values);
        let server = freehunt_api::build(config, Clock::system()).expect("the server can be built");
        let state = server.state.clone();
        let servers = Mutex::new(vec![tokio::spawn(serve::serve(server, listener, stop.clone()))]);
        stripe.set_webhook_targets(vec![format!("http://127.0.0.1:{port}/stripe/webhook")]);
        // Slow statements would be logged on a busy machine, with the addresses that tests write into them.
        let options: PgConnectOptions = values["DATABASE_URL"].parse().expect("an address of a database");
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(options.disable_statement_logging());
        Self {
            url: format!("http://127.0.0.1:{port}"),
            state,
            pool,
            authentik,
            stripe,
            s3,
            client: client(),
            settings: values,
            stop,
            servers,
            canary: OnceCell::new(),
            canaries: Mutex::default(),
            chat_servers: Mutex::default(),
            _s3_folder: s3_folder,
        }
    }

    /// Another replica of the API over the same database and surroundings; it stops with the test.
    pub async fn another_replica(&self) -> String {
        let listener = free_port().await;
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let mut values = self.settings.clone();
        values.insert("PORT".to_owned(), port.to_string());
        let server = freehunt_api::build(load(&values), Clock::system()).expect("the server can be built");
        let serving = tokio::spawn(serve::serve(server, listener, self.stop.clone()));
        self.servers.lock().expect("nobody panicked with the lock").push(serving);
        format!("http://127.0.0.1:{port}")
    }

    /// The settings the servers were built from, by name.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Runs SQL that a test puts together, of one statement or several.
    pub async fn execute(&self, sql: &str) {
        let ran = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Somebody without a session.
    pub fn anonymous(&self) -> Persona {
        self.nobody("anonymous")
    }

    /// The same persona, talking to another replica.
    pub fn at(&self, persona: &Persona, url: &str) -> Persona {
        Persona { base_url: url.to_owned(), ..persona.clone() }
    }

    async fn left_behind(&self) -> Vec<String> {
        if self.database_is_away().await {
            return Vec::new();
        }
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT kind, coalesce(last_error, state) FROM job WHERE state = 'DEAD'")
                .fetch_all(&self.pool)
                .await
                .unwrap_or_default();
        let mut left: Vec<String> = rows.into_iter().map(|(kind, why)| format!("dead job {kind}: {why}")).collect();
        left.extend(self.sent_to_canaries().await.into_iter().map(|event| format!("a canary was sent {event}")));
        left.extend(self.misdirected_events().await);
        left
    }

    /// Where a test has no database, nothing is in it, and the pool would take its time to say so.
    async fn database_is_away(&self) -> bool {
        let refused = PgConnection::connect_with(&self.pool.connect_options()).await;
        refused
            .is_err_and(|error| matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused))
    }

    /// Fault case 130, also where no messaging server runs: events for anybody but the participants.
    async fn misdirected_events(&self) -> Vec<String> {
        let events: Vec<i64> = sqlx::query_scalar(
            r#"SELECT e.id FROM chat_event e JOIN "Conversation" c ON c."id" = e.conversation_id
               WHERE NOT e.recipients <@ ARRAY[c."senderId", c."receiverId"]"#,
        )
        .fetch_all(&self.pool)
        .await
        .unwrap_or_default();
        events.into_iter().map(|id| format!("chat event {id} for somebody who does not take part")).collect()
    }

    async fn shut_down(self) {
        self.pool.close().await;
        self.stop.cancel();
        let chat_servers = self.chat_servers.into_inner().expect("nobody panicked with the lock");
        let servers = self.servers.into_inner().expect("nobody panicked with the lock");
        for server in servers.into_iter().chain(chat_servers) {
            let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
            ended.expect("a server stops in time").expect("no server panics").expect("a server ends well");
        }
        self.state.pool.close().await;
        self.state.connections.close();
    }
}

fn load(values: &BTreeMap<String, String>) -> ApiConfig {
    let source = Source::from_map(values.clone(), Path::new("/nonexistent"));
    ApiConfig::load(&source).unwrap_or_else(|problems| panic!("the tests' settings are wrong: {problems}"))
}

async fn cluster() -> Arc<TestCluster> {
    #[expect(clippy::disallowed_methods, reason = "the one setting of the tests themselves")]
    let external_url = std::env::var("TEST_DATABASE_URL").ok();
    let settings = TestClusterSettings { external_url, ..TestClusterSettings::default() };
    TestCluster::shared(settings).await.unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"))
}

/// A copy of the migrated template, which the first test of a run makes.
async fn fresh_database(cluster: &TestCluster) -> TestDatabase {
    let template = cluster
        .template(&schema::fingerprint(), async |options| {
            let mut connection = PgConnection::connect_with(&options).await?;
            schema::migrate(&mut connection).await?;
            connection.close().await?;
            Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("the template database cannot be made: {error}"));
    cluster.fresh_database(&template).await.unwrap_or_else(|error| panic!("no database for the test: {error}"))
}

/// A database without any table, for tests of the migrations themselves. Drop it with `drop_now`.
pub async fn empty_database() -> TestDatabase {
    cluster().await.fresh_database("template0").await.unwrap_or_else(|error| panic!("no empty database: {error}"))
}

pub(crate) async fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port on 127.0.0.1")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("the tests' client")
}
