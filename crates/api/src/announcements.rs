//! Tells the messaging servers through Redis which chat events a request wrote, once it is over. What is not told, since
//! this process died before it could, they find by themselves within seconds.

use std::sync::{Mutex, PoisonError};

use axum::response::Response;
use freehunt_domain::chat_events;
use freehunt_fanout::{FanoutError, Redis, announce};
use sqlx::PgPool;
use tokio::sync::mpsc;
use url::Url;

use crate::state::AppState;

/// Ids that wait to be told of; when they do not fit, the messaging servers find them by themselves.
const MOST_WAITING: usize = 65_536;

pub struct Announcements {
    pub redis: Redis,
    queue: mpsc::Sender<i64>,
    inbox: Mutex<Option<mpsc::Receiver<i64>>>,
}

impl Announcements {
    pub fn new(url: &Url) -> Result<Self, FanoutError> {
        let (queue, inbox) = mpsc::channel(MOST_WAITING);
        Ok(Self { redis: Redis::new(url)?, queue, inbox: Mutex::new(Some(inbox)) })
    }

    fn add(&self, events: Vec<i64>) {
        for event in events {
            if self.queue.try_send(event).is_err() {
                metrics::counter!("freehunt_fanout_dropped_total").increment(1);
            }
        }
    }

    /// Tells what is added, until it is aborted. Runs once.
    pub async fn run(&self, pool: &PgPool) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inbox) = inbox else { return };
        let notify = |events: Vec<i64>| {
            let pool = pool.clone();
            async move {
                let told = async { chat_events::notify(&mut *pool.acquire().await?, &events).await };
                if let Err(error) = told.await {
                    tracing::warn!(%error, "the messaging servers have to find events by themselves");
                }
            }
        };
        announce(&self.redis, chat_events::CHANNEL, inbox, notify).await;
    }
}

/// Around everything that may write an event.
pub async fn announce_events(state: &AppState, handled: impl Future<Output = Response>) -> Response {
    let Some(announcements) = &state.announcements else { return handled.await };
    let (response, events) = chat_events::collect(handled).await;
    announcements.add(events);
    response
}
