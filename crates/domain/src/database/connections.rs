//! A pool for what takes one or two statements. sqlx's own asks a connection that comes back whether it still lives, in a task
//! of its own: a second round trip that costs server and database more than a small read itself. Here a connection is put
//! back as it is, and asked once a second at most, before it is used.
//!
//! A future that was dropped half-way leaves a connection with an answer to come; sqlx reads that away before the next
//! statement. A transaction that was left is rolled back at once, since it may hold locks.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult},
};
use sqlx::{ConnectOptions, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{Counts, MAX_LIFETIME, TRUSTED_FOR};

/// Between attempts to reach a database that takes no connections.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone)]
pub struct Connections(Pool<Opener>);

impl Connections {
    /// Connects on first use. `acquire_timeout` bounds how long a request waits for a connection.
    pub fn new(options: PgConnectOptions, limit: u32, acquire_timeout: Duration) -> Result<Self, sqlx::Error> {
        let pool = Pool::builder(Opener { options })
            .max_size(limit as usize)
            .wait_timeout(Some(acquire_timeout))
            .create_timeout(Some(acquire_timeout))
            .recycle_timeout(Some(acquire_timeout))
            // As few as the load needs are kept warm.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self(pool))
    }

    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        self.0.get().await.map(|object| Connection(Some(object))).map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => sqlx::Error::PoolClosed,
            PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                sqlx::Error::PoolTimedOut
            }
        })
    }

    pub fn count(&self) -> Counts {
        let status = self.0.status();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Counts {
            idle: number(status.available),
            in_use: number(status.size.saturating_sub(status.available)),
            limit: number(status.max_size),
        }
    }

    /// Closes what is idle now, and the rest as it comes back.
    pub fn close(&self) {
        self.0.close();
    }
}

/// Goes back when it is dropped.
pub struct Connection(Option<Object<Opener>>);

const PRESENT: &str = "it is there until it is dropped";

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0.as_ref().expect(PRESENT).connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0.as_mut().expect(PRESENT).connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.0.take() else { return };
        // A transaction that was dropped has written its end down, and sends it with the next statement.
        if object.connection.should_flush() {
            tokio::spawn(async move {
                if object.connection.ping().await.is_err() {
                    drop(Object::take(object));
                }
            });
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
            match self.options.connect().await {
                Ok(connection) => return Ok(Opened { connection, trusted_since: Instant::now() }),
                Err(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
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
