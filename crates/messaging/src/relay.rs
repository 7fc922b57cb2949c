//! Events of the database, sent to the sockets of this replica, each once.
//!
//! Ids come from the listener. Since a notification may be missed and since ids are given before commits, the relay
//! also scans: regularly, and at once after a gap, for what was written by the transactions that were open at the last
//! scan or began after it, leaving out what it delivered already.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use freehunt_domain::{
    chat_events::ChatEventKind,
    ids::{MessageId, UserId},
    live_chat::{self, Delivery, DeliveryBody, queries::Horizon},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use crate::{client::payload_of, events, state::MessagingState};

/// Events that are loaded together.
const BATCH: usize = 256;
/// Ids that one statement of a scan reads.
const PAGE: i64 = 5_000;
/// How often the database is scanned, whatever the listener hears.
const SCAN_INTERVAL: Duration = Duration::from_secs(2);
/// Delivered ids that are remembered; more than are written within [`live_chat::LONGEST_TRANSACTION`].
const REMEMBERED: usize = 200_000;
/// Pause after a failure of the database.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Runs until the queue is dropped.
pub async fn run(state: MessagingState, mut heard: mpsc::Receiver<i64>) {
    let mut relay = Relay { state: state.clone(), delivered: Remembered::default(), horizon: None };
    let mut ticks = tokio::time::interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let result = tokio::select! {
            count = heard.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                relay.deliver(&batch).await
            }
            () = state.rescan.notified() => relay.scan().await,
            _ = ticks.tick() => relay.scan().await,
        };
        batch.clear();
        if let Err(error) = result {
            // What was heard meanwhile is found by the next scan.
            tracing::warn!(%error, "events could not be read");
            tokio::time::sleep(BACK_OFF).await;
        }
    }
}

struct Relay {
    state: MessagingState,
    delivered: Remembered<i64>,
    /// Of the last scan; `None` before the first, which only reads it: sockets are given what was before them when they
    /// connect.
    horizon: Option<Horizon>,
}

impl Relay {
    async fn scan(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.state.delivery_pool.acquire().await?;
        let next = live_chat::queries::read_horizon(&mut connection).await?;
        let Some(last_time) = self.horizon.clone() else {
            self.horizon = Some(next);
            return Ok(());
        };
        let mut after = 0;
        loop {
            let ids = live_chat::queries::list_event_ids_since(&mut connection, &last_time, after, PAGE).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            let missed: Vec<i64> = ids.iter().copied().filter(|id| !self.delivered.contains(id)).collect();
            if !missed.is_empty() {
                metrics::counter!("freehunt_events_found_by_scan_total").increment(missed.len() as u64);
            }
            for batch in missed.chunks(BATCH) {
                let deliveries = live_chat::list_deliveries(&mut connection, batch).await?;
                self.send(&deliveries);
            }
        }
        self.horizon = Some(next);
        Ok(())
    }

    async fn deliver(&mut self, ids: &[i64]) -> Result<(), sqlx::Error> {
        let fresh: Vec<i64> = ids.iter().copied().filter(|id| !self.delivered.contains(id)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let mut connection = self.state.delivery_pool.acquire().await?;
        let deliveries = live_chat::list_deliveries(&mut connection, &fresh).await?;
        drop(connection);
        metrics::histogram!("freehunt_event_load_seconds").record(began.elapsed().as_secs_f64());
        self.send(&deliveries);
        Ok(())
    }

    fn send(&mut self, deliveries: &[Delivery]) {
        let now = self.state.clock.now();
        for delivery in deliveries {
            if !self.delivered.insert(delivery.id) {
                continue;
            }
            let sockets = send_one(&self.state, delivery);
            if sockets > 0 {
                metrics::counter!("freehunt_deliveries_total").increment(sockets);
                let delay = (now - delivery.created_at).to_std().unwrap_or_default();
                metrics::histogram!("freehunt_delivery_delay_seconds").record(delay.as_secs_f64());
            }
        }
    }
}

/// Returns the number of sockets.
fn send_one(state: &MessagingState, delivery: &Delivery) -> u64 {
    let Some(body) = &delivery.body else { return 0 };
    if let (ChatEventKind::NewMessage, DeliveryBody::Message(message)) = (delivery.kind, body) {
        state.recent_messages.remember(message.id, message.sender_id);
    }
    if !delivery.recipients.iter().any(|user| state.registry.has_user(*user)) {
        return 0;
    }
    let payload = match payload_of(body) {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(%error, event = delivery.id, "a payload could not be serialised");
            return 0;
        }
    };
    let mut sockets = 0;
    for user in &delivery.recipients {
        for client in state.registry.of_user(*user) {
            client.send(events::name_of(delivery.kind), &payload);
            sockets += 1;
        }
    }
    sockets
}

/// The last values, each once.
struct Remembered<T> {
    values: HashSet<T>,
    order: VecDeque<T>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { values: HashSet::new(), order: VecDeque::new() }
    }
}

impl<T: std::hash::Hash + Eq + Copy> Remembered<T> {
    fn contains(&self, value: &T) -> bool {
        self.values.contains(value)
    }

    /// `false` when it is remembered already.
    fn insert(&mut self, value: T) -> bool {
        if !self.values.insert(value) {
            return false;
        }
        self.order.push_back(value);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        true
    }
}

/// Senders of the messages that were relayed last: a client's hint about one of them needs no look at the database.
#[derive(Default)]
pub struct RecentMessages(Mutex<(HashMap<MessageId, UserId>, VecDeque<MessageId>)>);

impl RecentMessages {
    const MOST: usize = 10_000;

    fn remember(&self, message: MessageId, sender: UserId) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (senders, order) = &mut *recent;
        if senders.insert(message, sender).is_none() {
            order.push_back(message);
        }
        if order.len() > Self::MOST
            && let Some(oldest) = order.pop_front()
        {
            senders.remove(&oldest);
        }
    }

    pub fn sender_of(&self, message: MessageId) -> Option<UserId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(&message).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_is_remembered_and_the_oldest_forgotten() {
        let mut remembered = Remembered::default();
        assert!(remembered.insert(0_i64) && !remembered.insert(0));
        for id in 1..=REMEMBERED as i64 {
            assert!(remembered.insert(id));
        }
        assert!(!remembered.contains(&0) && remembered.contains(&1));
        assert_eq!(remembered.values.len(), REMEMBERED);
    }
}
