//! A pool for what takes one or two statements. sqlx's own asks a connection that comes back whether it still lives, in a task
//! of its own: a second round trip that costs server and database more than a small read itself. Here whoever is done says
//! so with [`Connection::finish`], and the connection is put back as it is; it is asked once a second at most, before it is
//! used.
//!
//! Without that word nobody knows what was left: a request that was cut off in the middle of a statement, or of `BEGIN`,
//! which sqlx does not undo. Such a connection is rolled back first, and closed if that fails or takes too long.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::{ConnectOptions, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::runtime::Handle;

use super::{Counts, MAX_LIFETIME, NO_WARNINGS, TRUSTED_FOR};

/// Between attempts to reach a database that takes no connections.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// While a name is not there, looking it up may take its resolver seconds; one that is there again is found by another try.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(1);

/// A statement that runs longer is ended by the database: who asked is not there any more.
const LONGEST_STATEMENT: (&str, &str) = ("statement_timeout", "40s");
/// A connection that nobody needed for so long is closed.
const LONGEST_REST: Duration = Duration::from_secs(300);
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    pool: Pool<Opener>,
    acquire_timeout: Duration,
    tidied: Arc<Mutex<Instant>>,
}

impl Connections {
    /// Connects on first use. `acquire_timeout` bounds how long a request waits for a connection.
    pub fn new(options: PgConnectOptions, limit: u32, acquire_timeout: Duration) -> Result<Self, sqlx::Error> {
        let pool = Pool::builder(Opener { options: options.options([LONGEST_STATEMENT, NO_WARNINGS]) })
            .max_size(limit as usize)
            // As few as the load needs are kept warm.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self { pool, acquire_timeout, tidied: Arc::new(Mutex::new(Instant::now())) })
    }

    /// One time limit for all of it: for the turn, for dead connections that are found on the way, and for a new one.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        self.tidy();
        let acquired = tokio::time::timeout(self.acquire_timeout, self.pool.get()).await;
        let object = acquired.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => sqlx::Error::PoolClosed,
            PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                sqlx::Error::PoolTimedOut
            }
        })?;
        Ok(Connection { object: Some(object), patience: self.acquire_timeout })
    }

    fn tidy(&self) {
        let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        if tidied.elapsed() >= TIDY_EVERY {
            *tidied = Instant::now();
            self.pool.retain(|_, metrics| metrics.last_used() < LONGEST_REST);
        }
    }

    pub fn count(&self) -> Counts {
        let status = self.pool.status();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Counts {
            idle: number(status.available),
            in_use: number(status.size.saturating_sub(status.available)),
            limit: number(status.max_size),
        }
    }

    /// Closes what is idle now, and the rest as it comes back.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Goes back when it is finished with, or when it is dropped and what was left on it is cleared away.
pub struct Connection {
    object: Option<Object<Opener>>,
    patience: Duration,
}

const PRESENT: &str = "it is there until it is dropped";

impl Connection {
    /// Every statement was answered, and no transaction is open: the next one may have it at once.
    pub fn finish(mut self) {
        drop(self.object.take());
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.object.as_ref().expect(PRESENT).connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.object.as_mut().expect(PRESENT).connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        let patience = self.patience;
        let clear = async move {
            // Whatever was still to be answered is read away first.
            let rolled_back = sqlx::raw_sql("ROLLBACK").execute(&mut object.connection);
            if !matches!(tokio::time::timeout(patience, rolled_back).await, Ok(Ok(_))) {
                drop(Object::take(object));
            }
        };
        // Outside a runtime there is nothing left that could want it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(clear);
        }
    }
}

struct Opener {
    options: PgConnectOptions,
}

struct Opened {
    connection: PgConnection,
    /// When it last answered a question that was asked to see whether it lives.
    trusted_since: Instant,
}

impl managed::Manager for Opener {
    type Type = Opened;
    type Error = sqlx::Error;

    /// A database that restarts refuses connections for a moment: that is waited for, as long as the pool allows.
    async fn create(&self) -> Result<Opened, sqlx::Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match tokio::time::timeout(LONGEST_ATTEMPT, self.options.connect()).await {
                Ok(Ok(connection)) => return Ok(Opened { connection, trusted_since: Instant::now() }),
                Ok(Err(sqlx::Error::Io(error))) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => {}
            }
        }
    }

    /// Counted from the last question, not from the last use: a broken connection must be found also under load.
    async fn recycle(&self, opened: &mut Opened, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > MAX_LIFETIME {
            return Err(RecycleError::message("old"));
        }
        if opened.trusted_since.elapsed() >= TRUSTED_FOR {
            opened.connection.ping().await?;
            opened.trusted_since = Instant::now();
        }
        Ok(())
    }
}
