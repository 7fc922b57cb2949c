//! Databases for tests: a migrated template made once, and a quick copy of it for each test.
//!
//! A database each, not a schema each: NOTIFY and advisory locks are per database.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::error::PostgresError;
use super::server::quote;
use super::test_cluster::TestCluster;

const TEST_PREFIX: &str = "freehunt_test_";
const TEMPLATE_PREFIX: &str = "freehunt_template_";
/// Templates of older migrations that are kept, so that switching branches stays quick.
const TEMPLATES_KEPT: i64 = 4;
/// On a server that others use too, a test's database older than this is a dead process's.
const OLD: Duration = Duration::from_secs(3600);
/// A connection that was just closed keeps a database busy for a moment.
const BUSY_LIMIT: Duration = Duration::from_secs(20);
/// SQLSTATE object_in_use.
const IN_USE: &str = "55006";

/// A test's own database. Call [`drop_now`](Self::drop_now) at the end; one that stays behind (a failed test's, for a
/// look at it) goes when the server is started the next time.
#[derive(Debug)]
pub struct TestDatabase {
    pub options: PgConnectOptions,
    pub name: String,
    admin: PgConnectOptions,
}

impl TestDatabase {
    /// `postgres://…`, with the password.
    pub fn url(&self) -> String {
        self.options.to_url_lossy().into()
    }

    /// Drops the database, closing whatever connections are left.
    pub async fn drop_now(self) -> Result<(), PostgresError> {
        drop_database(&self.admin, &self.name).await
    }
}

impl TestCluster {
    /// The name of the template database for `fingerprint` (letters, digits and `_`; at most 40). The first caller
    /// of all processes makes it: `prepare` gets an empty database and must close its connections.
    pub async fn template(
        &self,
        fingerprint: &str,
        prepare: impl AsyncFnOnce(PgConnectOptions) -> anyhow::Result<()>,
    ) -> Result<String, PostgresError> {
        let name = format!("{TEMPLATE_PREFIX}{fingerprint}");
        let failed = || PostgresError::database(format!("cannot make the template database {name}"));
        let mut admin = PgConnection::connect_with(&self.admin_options()).await.map_err(failed())?;
        if !template_exists(&mut admin, &name).await.map_err(failed())? {
            // Held by the session: it goes with the connection, whatever happens.
            let lock = sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))").bind(&name);
            lock.execute(&mut admin).await.map_err(failed())?;
            if !template_exists(&mut admin, &name).await.map_err(failed())? {
                let database = quote(&name);
                run(&mut admin, format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await.map_err(failed())?;
                run(&mut admin, format!("CREATE DATABASE {database} TEMPLATE template0")).await.map_err(failed())?;
                prepare(self.connect_options(&name)).await.map_err(PostgresError::Template)?;
                // Without connections to it, copying it never has to wait.
                let seal = format!("ALTER DATABASE {database} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false");
                run(&mut admin, seal).await.map_err(failed())?;
            }
        }
        admin.close().await.map_err(failed())?;
        Ok(name)
    }

    /// A new database for one test, a copy of `template`.
    pub async fn fresh_database(&self, template: &str) -> Result<TestDatabase, PostgresError> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("{TEST_PREFIX}{seconds}_{}", uuid::Uuid::new_v4().simple());
        self.create_database_from_template(&name, template).await?;
        Ok(TestDatabase { options: self.connect_options(&name), name, admin: self.admin_options() })
    }

    /// Copies `template` to a new database, waiting while somebody is still connected to the template.
    pub async fn create_database_from_template(&self, name: &str, template: &str) -> Result<(), PostgresError> {
        let failed = || PostgresError::database(format!("cannot copy the database {template} to {name}"));
        let mut admin = PgConnection::connect_with(&self.admin_options()).await.map_err(failed())?;
        let mut create = format!("CREATE DATABASE {} TEMPLATE {}", quote(name), quote(template));
        // Without fsync, copying files takes a third of the time of writing their content to the log.
        if self.is_own() && admin.server_version_num().is_some_and(|version| version >= 150_000) {
            create.push_str(" STRATEGY FILE_COPY");
        }
        let deadline = Instant::now() + BUSY_LIMIT;
        loop {
            match run(&mut admin, create.clone()).await {
                Err(error) if has_code(&error, IN_USE) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                result => {
                    result.map_err(failed())?;
                    return admin.close().await.map_err(failed());
                }
            }
        }
    }

    /// Drops a database if it exists, closing whatever connections are left.
    pub async fn drop_database(&self, name: &str) -> Result<(), PostgresError> {
        drop_database(&self.admin_options(), name).await
    }
}

/// Which databases of tests are nobody's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// Nobody else uses the server.
    All,
    /// Others may.
    Old,
}

/// Drops what dead test processes left behind.
pub(super) async fn clean_up(admin: &PgConnectOptions, leftovers: Leftovers) -> Result<(), PostgresError> {
    let failed = || PostgresError::database("cannot clean up the tests' server");
    let mut connection = PgConnection::connect_with(admin).await.map_err(failed())?;
    let names = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)");
    let names: Vec<String> = names.bind(TEST_PREFIX).fetch_all(&mut connection).await.map_err(failed())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for name in names {
        let made = name.strip_prefix(TEST_PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
        let age = now.saturating_sub(Duration::from_secs(made.unwrap_or(0)));
        if leftovers == Leftovers::All || age > OLD {
            // Somebody else may do the same at the same time.
            run(&mut connection, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(&name)))
                .await
                .map_err(failed())?;
        }
    }
    if leftovers == Leftovers::All {
        drop_old_templates(&mut connection).await.map_err(failed())?;
    }
    connection.close().await.map_err(failed())
}

async fn drop_old_templates(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let names = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) ORDER BY oid DESC OFFSET $2",
    );
    let names: Vec<String> = names.bind(TEMPLATE_PREFIX).bind(TEMPLATES_KEPT).fetch_all(&mut *connection).await?;
    for name in names {
        run(connection, format!("ALTER DATABASE {} WITH IS_TEMPLATE false", quote(&name))).await?;
        run(connection, format!("DROP DATABASE {} WITH (FORCE)", quote(&name))).await?;
    }
    Ok(())
}

async fn drop_database(admin: &PgConnectOptions, name: &str) -> Result<(), PostgresError> {
    let failed = || PostgresError::database(format!("cannot drop the database {name}"));
    let mut connection = PgConnection::connect_with(admin).await.map_err(failed())?;
    run(&mut connection, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(name))).await.map_err(failed())?;
    connection.close().await.map_err(failed())
}

async fn template_exists(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1 AND datistemplate").bind(name);
    Ok(found.fetch_optional(connection).await?.is_some())
}

/// One statement about databases; those cannot run in a transaction, nor take parameters.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|found| found == code)
}
