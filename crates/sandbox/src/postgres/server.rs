//! Starts and stops one PostgreSQL server on a data folder of its own.
//!
//! `start` returns only when the server takes connections with the saved password; when it fails, nothing is left
//! running.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::binaries::{self, Binaries};
use super::data_folder::{DataFolder, FolderLock, SUPERUSER, clean_environment};
use super::error::PostgresError;
use super::watchdog::{Guarded, Lifeline};

/// Replaying the log after a crash can take a while; a server that is not up by then is not coming.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A free port can be taken by somebody else before the server binds it.
const FREE_PORT_ATTEMPTS: u32 = 5;

/// How to run a server.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// A folder for this server alone; it is made if missing.
    pub data_dir: PathBuf,
    /// `None` takes a free one.
    pub port: Option<u16>,
    /// False trades the data's safety in a power cut for speed: for tests only.
    pub durable: bool,
    pub max_connections: u32,
    /// The folder of `initdb` and `postgres`; `None` looks for them.
    pub binaries: Option<PathBuf>,
    /// The superuser's password for a new cluster, letters and digits; `None` makes a random one. A cluster that
    /// exists keeps its own.
    pub password: Option<String>,
}

impl PostgresSettings {
    /// A durable server with 100 connections on a free port.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            durable: true,
            max_connections: 100,
            binaries: None,
            password: None,
        }
    }
}

/// A running server. Stop it with [`stop`](Self::stop); dropping it stops it too, blocking the thread. If this
/// process is killed, the server follows by itself.
#[derive(Debug)]
pub struct PostgresServer {
    // Stopped before the folder is given free: fields are dropped in this order.
    guarded: Guarded,
    folder: DataFolder,
    port: u16,
    password: String,
    _lock: FolderLock,
}

impl PostgresServer {
    /// Makes the cluster if there is none, starts the server and waits until it takes connections.
    pub async fn start(settings: PostgresSettings) -> Result<Self, PostgresError> {
        let folder = DataFolder::open(&settings.data_dir)?;
        let lock = folder.lock().await?;
        if let Some(port) = settings.port {
            // Before the cluster is made: that takes seconds, and the answer would be the same.
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| port_error(port, error))?;
        }
        let explicit = settings.binaries.as_deref();
        let binaries = binaries::find(explicit, &folder.downloads(), folder.data_major()?).await?;
        folder.initialise(&binaries, settings.password.as_deref(), settings.durable).await?;
        let password = folder.password()?;
        let launch = Launch { folder: &folder, binaries: &binaries, password: &password, settings: &settings };
        let (guarded, port) = launch.run(Lifeline::Own).await?;
        Ok(Self { guarded, folder, port, password, _lock: lock })
    }

    /// Deletes the data of `data_dir` so that the next start makes an empty cluster. Refuses while a server runs on
    /// it, and in a folder that is not of this module's making.
    pub async fn erase(data_dir: &Path) -> Result<(), PostgresError> {
        let folder = DataFolder::open(data_dir)?;
        let _lock = folder.lock().await?;
        folder.erase()
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the data really is: not the wanted folder when PostgreSQL's user cannot reach that one.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// `postgres://…`, with the password.
    pub fn url(&self, database: &str) -> String {
        url(self.port, &self.password, database)
    }

    /// The same as [`url`](Self::url), parsed.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(self.port, &self.password).database(database)
    }

    /// Creates an empty database unless it exists.
    pub async fn create_database_if_missing(&self, name: &str) -> Result<(), PostgresError> {
        let failed = || PostgresError::database(format!("cannot create the database {name}"));
        let options = self.connect_options("postgres");
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed())?;
        let exists = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name);
        if exists.fetch_optional(&mut connection).await.map_err(failed())?.is_none() {
            let create = AssertSqlSafe(format!("CREATE DATABASE {}", quote(name)));
            sqlx::raw_sql(create).execute(&mut connection).await.map_err(failed())?;
        }
        connection.close().await.map_err(failed())
    }

    /// Fast shutdown: open transactions are rolled back, the data is left clean.
    pub async fn stop(self) -> Result<(), PostgresError> {
        self.guarded.stop().await.map_err(PostgresError::io("cannot stop PostgreSQL"))
    }
}

/// One start of a server on an initialised folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    pub(super) folder: &'a DataFolder,
    pub(super) binaries: &'a Binaries,
    pub(super) password: &'a str,
    pub(super) settings: &'a PostgresSettings,
}

impl Launch<'_> {
    /// The running server and its port.
    pub(super) async fn run(self, lifeline: Lifeline<'_>) -> Result<(Guarded, u16), PostgresError> {
        let mut attempts = FREE_PORT_ATTEMPTS;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            attempts -= 1;
            let port = match self.settings.port {
                Some(port) => port,
                None => free_port()?,
            };
            match self.run_on(port, lifeline).await {
                Err(PostgresError::PortTaken { .. }) if self.settings.port.is_none() && attempts > 0 => {}
                // Processes of a killed server hold its memory for a moment after it.
                Err(PostgresError::StartFailed { detail, .. })
                    if detail.contains("pre-existing shared memory block") && Instant::now() < deadline =>
                {
                    attempts += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                result => return result.map(|guarded| (guarded, port)),
            }
        }
    }

    async fn run_on(self, port: u16, lifeline: Lifeline<'_>) -> Result<Guarded, PostgresError> {
        let path = self.folder.log();
        let log = File::create(&path).map_err(PostgresError::at("write", &path))?;
        let mut guarded = Guarded::spawn(&self.command(port)?, self.folder.user, log, lifeline)
            .map_err(PostgresError::io("cannot run /bin/sh"))?;
        let deadline = Instant::now() + START_LIMIT;
        while !self.folder.is_ready() {
            if guarded.ended().map_err(PostgresError::io("cannot watch PostgreSQL"))?.is_some() {
                return Err(self.explain(port));
            }
            if Instant::now() >= deadline {
                let detail = format!("it took no connections for {} seconds", START_LIMIT.as_secs());
                return Err(PostgresError::StartFailed { detail, log: path });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let options = connect_options(port, self.password).database("postgres");
        match PgConnection::connect_with(&options).await {
            Ok(connection) => {
                connection.close().await.map_err(PostgresError::database("cannot use PostgreSQL"))?;
                Ok(guarded)
            }
            Err(sqlx::Error::Database(error)) => Err(self.folder.unusable(error.message())),
            Err(source) => Err(PostgresError::database("cannot connect to PostgreSQL")(source)),
        }
    }

    fn command(self, port: u16) -> Result<Command, PostgresError> {
        let mut command = Command::new(self.binaries.postgres());
        command.arg("-D").arg(self.folder.cluster()).arg("-p").arg(port.to_string());
        command.arg("-k").arg(self.folder.socket_folder()?);
        let mut set = |setting: &str| {
            command.arg("-c").arg(setting);
        };
        set("listen_addresses=127.0.0.1");
        set(&format!("max_connections={}", self.settings.max_connections));
        set("timezone=UTC");
        set("log_timezone=UTC");
        if !self.settings.durable {
            for setting in [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
                "max_wal_size=4GB",
                "checkpoint_timeout=1h",
                "autovacuum=off",
                "jit=off",
            ] {
                set(setting);
            }
        }
        clean_environment(&mut command);
        command.current_dir(self.folder.path());
        Ok(command)
    }

    /// Why the server ended at once, from its log.
    fn explain(self, port: u16) -> PostgresError {
        let log = self.folder.log();
        let text = fs::read_to_string(&log).unwrap_or_default();
        if text.contains("Address already in use") || text.contains("could not bind") {
            return PostgresError::PortTaken { port };
        }
        let fatal =
            text.lines().rev().find_map(|line| ["FATAL:", "PANIC:"].iter().find_map(|&mark| line.split_once(mark)));
        let Some((_, reason)) = fatal else {
            let detail = text.lines().last().unwrap_or("it ended at once without a word").to_owned();
            return PostgresError::StartFailed { detail, log };
        };
        let reason = reason.trim();
        // These say nothing about the data.
        let machine =
            ["shared memory", "semaphores", "No space left", "TCP/IP sockets", "Unix-domain", "configuration"];
        if machine.iter().any(|mark| reason.contains(mark)) {
            return PostgresError::StartFailed { detail: reason.to_owned(), log };
        }
        self.folder.unusable(reason)
    }
}

fn port_error(port: u16, error: std::io::Error) -> PostgresError {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => PostgresError::PortTaken { port },
        _ => PostgresError::io(format!("cannot listen on port {port}"))(error),
    }
}

fn free_port() -> Result<u16, PostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(PostgresError::io("cannot find a free port"))
}

pub(super) fn connect_options(port: u16, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(SUPERUSER)
        .password(password)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}

fn url(port: u16, password: &str, database: &str) -> String {
    format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
}

/// A name as an SQL identifier.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
