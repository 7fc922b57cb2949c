//! Redis between replicas: what one publishes, all hear that are subscribed at that moment. Redis stores nothing of it,
//! and what is published while a replica is away is lost to that replica: whoever uses this finds out otherwise.
//!
//! It knows no database and no event, only channels and texts.

mod announce;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use redis::{
    Client, Cmd, FromRedisValue, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSubStream},
    cmd,
};
use tokio::{sync::OnceCell, time::timeout};
use url::Url;

pub use announce::{announce, ids_of};

/// Longest time to connect.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Longest time of one command.
const COMMAND_TIME: Duration = Duration::from_millis(500);
/// After a failure nothing is tried for this long, so that whoever publishes can do otherwise at once.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    #[error("Redis does not answer in time")]
    TimedOut,
    /// It has just failed, and was not asked again.
    #[error("Redis has just failed")]
    Resting,
}

/// One Redis server. Connects when it is first used, and again after a failure.
pub struct Redis {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    failed_at: Mutex<Option<Instant>>,
    /// Begins every channel: a server may carry several installations, each with a database number of its own, and
    /// channels know no database numbers.
    prefix: String,
}

impl Redis {
    /// Nothing is connected yet; fails for a URL that Redis' client does not understand.
    pub fn new(url: &Url) -> Result<Self, FanoutError> {
        let client = Client::open(url.clone())?;
        let prefix = format!("freehunt:{}:", client.get_connection_info().redis_settings().db());
        Ok(Self { client, connection: OnceCell::new(), failed_at: Mutex::new(None), prefix })
    }

    /// Publishes, and says how many are subscribed. Fails within a second, and at once soon after a failure.
    pub async fn publish(&self, channel: &str, text: &str) -> Result<u64, FanoutError> {
        self.ask(cmd("PUBLISH").arg(self.name_of(channel)).arg(text)).await
    }

    /// How many are subscribed.
    pub async fn subscribers(&self, channel: &str) -> Result<u64, FanoutError> {
        let (_, count): (String, u64) = self.ask(cmd("PUBSUB").arg("NUMSUB").arg(self.name_of(channel))).await?;
        Ok(count)
    }

    /// A connection of its own that hears these channels.
    pub async fn subscribe(&self, channels: &[&str]) -> Result<Subscription, FanoutError> {
        let names: Vec<String> = channels.iter().map(|channel| self.name_of(channel)).collect();
        let subscribing = async {
            let mut connection = self.client.get_async_pubsub().await?;
            connection.subscribe(names).await?;
            Ok::<_, FanoutError>(connection.into_on_message())
        };
        let messages = timeout(CONNECT_TIME, subscribing).await.map_err(|_| FanoutError::TimedOut)??;
        Ok(Subscription { messages, prefix: self.prefix.len() })
    }

    fn name_of(&self, channel: &str) -> String {
        format!("{}{channel}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, FanoutError> {
        if self.last_failure().is_some_and(|failed_at| failed_at.elapsed() < PAUSE) {
            return Err(FanoutError::Resting);
        }
        let asking = async {
            let connection = self.connection.get_or_try_init(|| self.connect()).await?;
            Ok(command.query_async(&mut connection.clone()).await?)
        };
        let answer = timeout(COMMAND_TIME, asking).await.unwrap_or(Err(FanoutError::TimedOut));
        let failed_at = answer.is_err().then(Instant::now);
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = failed_at;
        answer
    }

    fn last_failure(&self) -> Option<Instant> {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects with the first command.
    async fn connect(&self) -> Result<ConnectionManager, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_response_timeout(Some(COMMAND_TIME));
        ConnectionManager::new_lazy_with_config(self.client.clone(), config)
    }
}

/// What is published from now on.
pub struct Subscription {
    messages: PubSubStream,
    prefix: usize,
}

impl Subscription {
    /// The next text with its channel; `None` when the connection is lost.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            let message = self.messages.next().await?;
            let channel = message.get_channel_name().get(self.prefix..).unwrap_or_default().to_owned();
            // Texts are all that is published here.
            if let Ok(text) = message.get_payload() {
                return Some((channel, text));
            }
        }
    }
}
