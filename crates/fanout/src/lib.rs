//! Redis between replicas: what one publishes, all hear that are subscribed at that moment. Redis stores nothing of it,
//! and what is published while a replica is away is lost to that replica: whoever uses this finds out otherwise.
//!
//! It knows no database and no event, only channels and texts.

mod announce;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
/// Between two attempts to find out whether Redis is back.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    #[error("Redis does not answer in time")]
    TimedOut,
    /// It has failed, and is not asked again before it has answered a question that nobody waits for.
    #[error("Redis has failed and is not back yet")]
    Resting,
}

/// One Redis server. Connects when it is first used, and again after a failure.
pub struct Redis {
    server: Arc<Server>,
    /// Begins every channel: a server may carry several installations, each with a database number of its own, and
    /// channels know no database numbers.
    prefix: String,
}

impl Redis {
    /// Nothing is connected yet; fails for a URL that Redis' client does not understand.
    pub fn new(url: &Url) -> Result<Self, FanoutError> {
        let client = Client::open(url.clone())?;
        let prefix = format!("freehunt:{}:", client.get_connection_info().redis_settings().db());
        let server = Arc::new(Server { client, connection: OnceCell::new(), is_down: AtomicBool::new(false) });
        Ok(Self { server, prefix })
    }

    /// Publishes, and says how many are subscribed. Fails within a second, and from then on at once, until Redis is back:
    /// one that hangs delays whoever publishes a single time.
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
            let mut connection = self.server.client.get_async_pubsub().await?;
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
        if self.server.is_down.load(Ordering::Relaxed) {
            return Err(FanoutError::Resting);
        }
        let answer = self.server.ask(command).await;
        if answer.is_err() && !self.server.is_down.swap(true, Ordering::Relaxed) {
            tokio::spawn(wait_until_back(Arc::downgrade(&self.server)));
        }
        answer
    }
}

struct Server {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    is_down: AtomicBool,
}

impl Server {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, FanoutError> {
        let asking = async {
            let connection = self.connection.get_or_try_init(|| self.connect()).await?;
            Ok(command.query_async(&mut connection.clone()).await?)
        };
        timeout(COMMAND_TIME, asking).await.unwrap_or(Err(FanoutError::TimedOut))
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

/// Ends when Redis answers, or when nobody uses it any more.
async fn wait_until_back(server: Weak<Server>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(server) = server.upgrade() else { return };
        if server.ask::<String>(&cmd("PING")).await.is_ok() {
            server.is_down.store(false, Ordering::Relaxed);
            return;
        }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    /// Whoever publishes waits once, not each time that Redis might be back.
    #[tokio::test]
    async fn a_redis_that_hangs_delays_nobody_twice() {
        // Connections are taken by the system, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", silent.local_addr().unwrap());
        let redis = Redis::new(&url.parse().unwrap()).unwrap();
        let began = Instant::now();
        let mut slow = 0;
        while began.elapsed() < 3 * (COMMAND_TIME + PAUSE) / 2 {
            let asked = Instant::now();
            assert!(redis.publish("channel", "text").await.is_err());
            slow += usize::from(asked.elapsed() > COMMAND_TIME / 4);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(slow, 1);
    }
}
