//! Ids of committed rows on their way to whoever is subscribed.

use tokio::sync::mpsc;

use crate::Redis;

/// Ids in one text.
const MOST_AT_ONCE: usize = 512;

/// Publishes the ids that come through `queue`, together while they wait, until the queue is dropped. What Redis does not
/// take, or gives to nobody, is handed to `otherwise`.
pub async fn announce<Otherwise: Future<Output = ()>>(
    redis: &Redis,
    channel: &str,
    mut queue: mpsc::Receiver<i64>,
    otherwise: impl Fn(Vec<i64>) -> Otherwise,
) {
    let mut ids = Vec::with_capacity(MOST_AT_ONCE);
    let mut is_down = false;
    while queue.recv_many(&mut ids, MOST_AT_ONCE).await > 0 {
        let text = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        match redis.publish(channel, &text).await {
            Ok(subscribers) if subscribers > 0 => {
                if std::mem::take(&mut is_down) {
                    tracing::info!("events go through Redis again");
                }
            }
            failed => {
                if !std::mem::replace(&mut is_down, true) {
                    let reason =
                        failed.err().map_or_else(|| "nobody is subscribed".to_owned(), |error| error.to_string());
                    tracing::warn!(reason, "events go through PostgreSQL instead of Redis");
                }
                metrics::counter!("freehunt_fanout_failures_total").increment(1);
                otherwise(ids.clone()).await;
            }
        }
        ids.clear();
    }
}

/// The ids in a text that [`announce`] published; what is none is left out.
pub fn ids_of(text: &str) -> impl Iterator<Item = i64> {
    text.split(',').filter_map(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_read() {
        assert_eq!(ids_of("1,22,,x,-3").collect::<Vec<_>>(), [1, 22, -3]);
        assert_eq!(ids_of("").count(), 0);
    }
}
