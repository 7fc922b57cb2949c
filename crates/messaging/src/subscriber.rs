//! One connection that hears what the replicas publish through Redis. Redis keeps nothing for those who are away, so each
//! time the connection is back, the relay looks into the database for what was missed.

use freehunt_domain::{chat_events, live_chat};
use freehunt_fanout::{FanoutError, Redis};
use freehunt_serving::heart::{Connected, Deaf, Heart};
use tokio::time::Instant;

use crate::{
    listener::{Pauses, hear_events},
    signals,
    state::MessagingState,
};

const VIA: &str = "redis";

/// Why a connection no longer hears.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Redis(#[from] FanoutError),
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Deaf(#[from] Deaf),
}

/// Runs until it is aborted, and does nothing where there is no Redis.
pub async fn run(state: MessagingState) {
    let Some(redis) = &state.redis else { return std::future::pending().await };
    let mut pauses = Pauses::default();
    Connected::not_yet(VIA);
    loop {
        let began = Instant::now();
        let Err(error) = hear(&state, redis).await;
        metrics::counter!("freehunt_listener_failures_total", "via" => VIA).increment(1);
        tracing::warn!(%error, "nothing is heard through Redis");
        tokio::time::sleep(pauses.after(began)).await;
    }
}

/// Hears until the connection is lost.
async fn hear(state: &MessagingState, redis: &Redis) -> Result<std::convert::Infallible, Lost> {
    let mut subscription = redis.subscribe(&[chat_events::CHANNEL, live_chat::SIGNAL_CHANNEL]).await?;
    let _connected = Connected::new(VIA);
    tracing::info!("subscribed at Redis");
    state.rescan.notify_one();
    let (mut heart, mut beats) = Heart::new(VIA);
    loop {
        tokio::select! {
            message = subscription.next() => {
                let (channel, text) = message.ok_or(Lost::Closed)?;
                if heart.is_beat(&text) {
                    continue;
                }
                match channel.as_str() {
                    chat_events::CHANNEL => hear_events(state, &text),
                    live_chat::SIGNAL_CHANNEL => signals::deliver(state, &text),
                    _ => {}
                }
            }
            _ = beats.tick() => {
                if let Some(text) = heart.beat()? {
                    tokio::spawn(publish_to_itself(state.clone(), text));
                }
            }
        }
    }
}

async fn publish_to_itself(state: MessagingState, text: String) {
    if let Some(redis) = &state.redis
        && let Err(error) = redis.publish(live_chat::SIGNAL_CHANNEL, &text).await
    {
        tracing::debug!(%error, "the subscription could not be tried");
    }
}
