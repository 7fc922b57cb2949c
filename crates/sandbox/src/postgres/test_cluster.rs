//! One PostgreSQL for all tests of a checkout, however many processes they are.
//!
//! The first process starts it, the others join it, and it stops by itself a few seconds after the last one ended.
//! Its data stays, so the next run starts in a fraction of a second and finds the template databases made.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

use super::binaries;
use super::data_folder::{DataFolder, remove_if_there};
use super::error::PostgresError;
use super::server::{Launch, PostgresSettings, connect_options};
use super::test_database;
use super::watchdog::{Lease, Lifeline, create_pipe};

/// How long the server waits for another test process after the last one.
const GRACE_SECONDS: u32 = 3;
/// Making a cluster takes seconds, a download a minute or more.
const JOIN_LIMIT: Duration = Duration::from_secs(900);

/// Where the tests' databases live.
#[derive(Debug, Clone, Default)]
pub struct TestClusterSettings {
    /// `None` is `freehunt-test-postgres` in the target directory of the running program.
    pub folder: Option<PathBuf>,
    /// A running server to use instead: a superuser's (or database creator's) `postgres://…`.
    pub external_url: Option<String>,
    /// The folder of `initdb` and `postgres`; `None` looks for them.
    pub binaries: Option<PathBuf>,
}

/// The tests' server. It holds no connection, so any test's runtime can use it.
#[derive(Debug)]
pub struct TestCluster {
    base: PgConnectOptions,
    // Kept until the process ends: this is what keeps the server up.
    lease: Option<Lease>,
}

impl TestCluster {
    /// This process's handle; the first call decides the settings.
    pub async fn shared(settings: TestClusterSettings) -> Result<Arc<Self>, PostgresError> {
        static SHARED: OnceCell<Arc<TestCluster>> = OnceCell::const_new();
        SHARED.get_or_try_init(async || Self::join(settings).await.map(Arc::new)).await.cloned()
    }

    /// Joins the running server, or starts it. [`shared`](Self::shared) is what tests want: one handle a process.
    pub async fn join(settings: TestClusterSettings) -> Result<Self, PostgresError> {
        if let Some(url) = &settings.external_url {
            let invalid = PostgresError::database("the tests' database URL is not valid");
            let cluster = Self { base: PgConnectOptions::from_str(url).map_err(invalid)?, lease: None };
            test_database::clean_up(&cluster.admin_options(), test_database::Leftovers::Old).await?;
            return Ok(cluster);
        }
        let wanted = match settings.folder {
            Some(folder) => folder,
            None => default_folder()?,
        };
        let place = Place { folder: DataFolder::open(&wanted)?, binaries: settings.binaries };
        if let Some(cluster) = place.join_running()? {
            return Ok(cluster);
        }
        place.join_or_start().await
    }

    /// Options for one database of this server. Statements are not logged: on a busy machine slow ones would be, with the
    /// addresses that tests write into them.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        self.base.clone().database(database).disable_statement_logging()
    }

    /// False for an external server.
    pub(super) fn is_own(&self) -> bool {
        self.lease.is_some()
    }

    /// The database for statements about databases.
    pub(super) fn admin_options(&self) -> PgConnectOptions {
        self.connect_options("postgres")
    }
}

/// The folder of the shared server and what is agreed on there.
struct Place {
    folder: DataFolder,
    binaries: Option<PathBuf>,
}

impl Place {
    fn lease_pipe(&self) -> PathBuf {
        self.folder.path().join("leases")
    }

    /// Holds the port, and exists only while the server is up and not about to stop.
    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready")
    }

    /// `None` when nothing runs or the server is about to stop.
    fn join_running(&self) -> Result<Option<TestCluster>, PostgresError> {
        let pipe = self.lease_pipe();
        // First the lease, then the look: see the guard's script.
        let Some(lease) = Lease::take(&pipe).map_err(PostgresError::at("open", &pipe))? else { return Ok(None) };
        let Ok(text) = fs::read_to_string(self.ready_file()) else { return Ok(None) };
        let Ok(port) = text.trim().parse() else { return Ok(None) };
        Ok(Some(TestCluster { base: connect_options(port, &self.folder.password()?), lease: Some(lease) }))
    }

    /// One process at a time starts the server; the others wait for it and join.
    async fn join_or_start(&self) -> Result<TestCluster, PostgresError> {
        let path = self.folder.path().join("start.lock");
        let file = File::create(&path).map_err(PostgresError::at("open", &path))?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let _lock = locked.map_err(std::io::Error::other).flatten().map_err(PostgresError::at("lock", &path))?;
        let deadline = Instant::now() + JOIN_LIMIT;
        loop {
            if let Some(cluster) = self.join_running()? {
                return Ok(cluster);
            }
            let pipe = self.lease_pipe();
            if Lease::take(&pipe).map_err(PostgresError::at("open", &pipe))?.is_none() {
                return self.start().await;
            }
            // A guard is there but not its server's readiness: it is stopping, or has seen us and changes its mind.
            if Instant::now() >= deadline {
                let detail = "the tests' server is neither ready nor gone".to_owned();
                return Err(PostgresError::StartFailed { detail, log: self.folder.log() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn start(&self) -> Result<TestCluster, PostgresError> {
        remove_if_there(&self.ready_file())?;
        self.folder.wait_for_orphan().await?;
        match self.try_start().await {
            Err(PostgresError::DataUnusable { detail, .. }) => {
                tracing::warn!(detail, "the tests' PostgreSQL data is unusable: making it anew");
                self.folder.erase()?;
                self.try_start().await
            }
            result => result,
        }
    }

    async fn try_start(&self) -> Result<TestCluster, PostgresError> {
        let settings = PostgresSettings {
            durable: false,
            max_connections: 500,
            binaries: self.binaries.clone(),
            ..PostgresSettings::new(self.folder.path())
        };
        let folder = &self.folder;
        let binaries = binaries::find(settings.binaries.as_deref(), &folder.downloads(), folder.data_major()?).await?;
        folder.initialise(&binaries, None, false).await?;
        let password = folder.password()?;
        let path = self.lease_pipe();
        let (pipe, lease) = create_pipe(&path).map_err(PostgresError::at("create", &path))?;
        let ready = self.ready_file();
        let launch = Launch { folder, binaries: &binaries, password: &password, settings: &settings };
        let lifeline = Lifeline::Shared { pipe: &pipe, grace_seconds: GRACE_SECONDS, ready_file: &ready };
        let (guarded, port) = launch.run(lifeline).await?;
        let cluster = TestCluster { base: connect_options(port, &password), lease: Some(lease) };
        // Nobody else uses the server yet, so every database of a test is a dead process's.
        test_database::clean_up(&cluster.admin_options(), test_database::Leftovers::All).await?;
        let unfinished = folder.path().join("ready.new");
        fs::write(&unfinished, port.to_string())
            .and_then(|()| folder.user.own(&unfinished).map_err(std::io::Error::other))
            .and_then(|()| fs::rename(&unfinished, &ready))
            .map_err(PostgresError::at("write", &ready))?;
        guarded.detach();
        Ok(cluster)
    }
}

/// `<target>/freehunt-test-postgres`; cargo marks the target directory with CACHEDIR.TAG.
fn default_folder() -> Result<PathBuf, PostgresError> {
    let program = std::env::current_exe().map_err(PostgresError::io("cannot find the running program"))?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let target = target.map_or_else(std::env::temp_dir, Path::to_owned);
    Ok(target.join("freehunt-test-postgres"))
}
