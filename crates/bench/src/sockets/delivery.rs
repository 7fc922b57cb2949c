//! How long a message takes: from the moment the sender has its 201 to the other participant's event, with the two on
//! different replicas, at a steady rate. The rate is then doubled until something gives way, and the ceiling found between.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, sleep_until};
use uuid::Uuid;

use super::{MOST_P95_MS, NEW_MESSAGE, Pair, SocketFigures, Stage, client::Hear, client::connect_all};
use crate::{
    load::{Connection, quantile},
    scenarios::message,
    servers::Server,
};

const REPLICAS: usize = 3;
const RATE: f64 = 200.0;
const HIGHEST_RATE: f64 = 12_800.0;
/// The ceiling is found to a sixteenth of the rate that was too high.
const HALVINGS: u32 = 3;
/// Conversations in which messages are sent in turn.
const CONVERSATIONS: usize = 48;
/// Connections that send.
const SENDERS: usize = 16;
/// How long a message that was sent may take to arrive before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// When each message came to the other participant.
type Arrivals = Arc<Mutex<HashMap<Uuid, Instant>>>;

pub async fn measure(stage: &Stage<'_>, duration: Duration, figures: &mut SocketFigures) -> anyhow::Result<()> {
    let api = stage.api().await?;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(stage.messaging().await?);
    }
    let pairs = Arc::new(stage.pairs(CONVERSATIONS).await?);
    let arrivals = Arrivals::default();
    let mut wanted = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let address = |number: usize| replicas[number % REPLICAS].address;
        wanted.push((address(index), pair.sender.token.clone(), super::deaf()));
        wanted.push((address(index + 1), pair.receiver.token.clone(), hear(&arrivals, pair)));
    }
    let sockets = connect_all(wanted).await?;
    let round = send(api.address, &pairs, &arrivals, RATE, duration).await?;
    (figures.p50_ms, figures.p95_ms, figures.p99_ms, figures.lost) =
        (round.quantile(0.5), round.quantile(0.95), round.quantile(0.99), round.lost);
    let mut search = Ceiling { held: 0.0, given_way: None, rate: RATE };
    search.learn(&round, figures);
    while let Some(rate) = search.next() {
        let round = send(api.address, &pairs, &arrivals, rate, duration).await?;
        search.learn(&round, figures);
    }
    drop(sockets);
    api.kill().await?;
    for replica in replicas {
        Server::kill(replica).await?;
    }
    Ok(())
}

/// The search for the highest rate that holds.
struct Ceiling {
    held: f64,
    /// The lowest rate at which something gave way.
    given_way: Option<f64>,
    /// The last one tried.
    rate: f64,
}

impl Ceiling {
    fn learn(&mut self, round: &Round, figures: &mut SocketFigures) {
        match round.failure(self.rate) {
            None => {
                self.held = self.rate;
                figures.sustained_messages_a_second = round.rate;
            }
            Some(failure) => {
                self.given_way = Some(self.rate);
                figures.ceiling = failure;
            }
        }
    }

    /// The next rate to try.
    fn next(&mut self) -> Option<f64> {
        let next = match self.given_way {
            None => self.held * 2.0,
            Some(high) => f64::midpoint(self.held, high),
        };
        let is_close = self.given_way.is_some_and(|high| high - self.held <= high / f64::from(2_u32.pow(HALVINGS + 1)));
        self.rate = next;
        (next <= HIGHEST_RATE && self.held > 0.0 && !is_close).then_some(next)
    }
}

/// Notes messages that somebody else sent.
fn hear(arrivals: &Arrivals, pair: &Pair) -> Hear {
    let arrivals = Arc::clone(arrivals);
    let own = pair.receiver.user_id.to_string();
    Arc::new(move |text| {
        if !text.starts_with(NEW_MESSAGE) {
            return;
        }
        let now = Instant::now();
        let Ok(event) = serde_json::from_str::<Value>(&text[2..]) else { return };
        let message = &event[1];
        let is_foreign = message["senderId"].as_str().is_some_and(|sender| sender != own);
        if let (true, Some(id)) = (is_foreign, message["id"].as_str().and_then(|id| id.parse().ok())) {
            arrivals.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(now);
        }
    })
}

struct Round {
    /// Ascending, in microseconds.
    delays: Vec<u32>,
    lost: usize,
    /// Messages a second that were really sent.
    rate: f64,
}

impl Round {
    fn quantile(&self, share: f64) -> f64 {
        quantile(&self.delays, share)
    }

    /// What gave way at this rate.
    fn failure(&self, wanted: f64) -> Option<String> {
        let p95 = self.quantile(0.95);
        if self.lost > 0 {
            Some(format!(
                "{} messages of {} did not arrive at {wanted:.0} a second",
                self.lost,
                self.delays.len() + self.lost
            ))
        } else if self.rate < wanted * 0.95 {
            Some(format!("of {wanted:.0} messages a second the API took {:.0}", self.rate))
        } else if p95 > MOST_P95_MS {
            Some(format!("p95 was {p95:.0} ms at {wanted:.0} messages a second"))
        } else {
            None
        }
    }
}

async fn send(
    api: SocketAddr,
    pairs: &Arc<Vec<Pair>>,
    arrivals: &Arrivals,
    rate: f64,
    duration: Duration,
) -> anyhow::Result<Round> {
    arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let began = tokio::time::Instant::now() + Duration::from_millis(50);
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let connection = Connection::open(api).await?;
        senders.push(tokio::spawn(send_in_turn(connection, Arc::clone(pairs), number, rate, began, duration)));
    }
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await??);
    }
    let elapsed = began.elapsed();
    let deadline = Instant::now() + PATIENCE;
    // Other messages than these arrive too: those of earlier scenarios, given again to who connects.
    let all_came = || {
        let arrived = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().all(|(id, _)| arrived.contains_key(id))
    };
    while Instant::now() < deadline && !all_came() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let arrived = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let mut delays: Vec<u32> = sent
        .iter()
        .filter_map(|(id, at)| {
            let delay = arrived.get(id)?.saturating_duration_since(*at);
            Some(u32::try_from(delay.as_micros()).unwrap_or(u32::MAX))
        })
        .collect();
    delays.sort_unstable();
    Ok(Round { lost: sent.len() - delays.len(), delays, rate: sent.len() as f64 / elapsed.as_secs_f64() })
}

/// Each sender has its own moments, so that all of them together keep the rate.
async fn send_in_turn(
    mut connection: Connection,
    pairs: Arc<Vec<Pair>>,
    number: usize,
    rate: f64,
    began: tokio::time::Instant,
    duration: Duration,
) -> anyhow::Result<Vec<(Uuid, Instant)>> {
    let pause = Duration::from_secs_f64(SENDERS as f64 / rate);
    let first = began + Duration::from_secs_f64(number as f64 / rate);
    sleep_until(first).await;
    let mut ticks = tokio::time::interval_at(first, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::new();
    let mut turn = number;
    while began.elapsed() < duration {
        ticks.tick().await;
        let pair = &pairs[turn % pairs.len()];
        turn += SENDERS;
        let answer = connection.send(&message(pair.conversation, &pair.sender)).await?;
        let at = Instant::now();
        ensure!(answer.status == 201, "a message was answered with {}", answer.status);
        let body: Value = serde_json::from_slice(answer.body())?;
        let id = body["id"].as_str().and_then(|id| id.parse().ok()).context("a message without an id")?;
        sent.push((id, at));
    }
    Ok(sent)
}
