//! The chat server under load: what an idle socket weighs, what a delivery costs, how long a message takes to the other
//! participant across replicas, and how soon a thousand clients of a dead replica are served again.

mod client;
mod delivery;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::client::{Hear, Socket, Way, connect_all, connect_all_by};
use crate::{
    database::Database,
    generate::Sizes,
    load::{self, Request},
    original, processes, report,
    scenarios::{MESSAGE, message},
    servers::{Programs, Server},
    sessions::{self, Person, Session},
};

/// What is wanted.
const MOST_IDLE_KIBIBYTES: f64 = 12.0;
const MOST_DELIVERY_MICROSECONDS: f64 = 6.0;
const MOST_P95_MS: f64 = 50.0;
const MOST_RECONNECT_SECONDS: f64 = 10.0;

/// Sockets of one user, as the servers allow by default.
const SOCKETS_A_USER: usize = 20;
const ROOM: usize = 200;
/// Handshakes of one user, a little less than the server's limits.
const HANDSHAKES_AT_ONCE: usize = 55;
const HANDSHAKE_PAUSE: Duration = Duration::from_millis(350);
const RECONNECTING: usize = 1000;
/// Recent messages of each conversation that reconnecting clients are sent again.
const REPLAYED: i64 = 20;
/// Begins an event that tells of a message.
const NEW_MESSAGE: &str = r#"42["newMessage""#;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SocketFigures {
    /// Between replicas: `PostgreSQL` or `Redis`.
    pub carrier: String,
    pub idle_sockets: usize,
    /// Resident memory of each that began with its WebSocket.
    pub idle_kibibytes: f64,
    /// The same of those that began with polls.
    #[serde(default)]
    pub upgraded_kibibytes: f64,
    pub deliveries: usize,
    pub deliveries_a_second: f64,
    /// CPU of the messaging server for each delivery in a room of 200.
    pub delivery_microseconds: f64,
    /// From the 201 to the other participant's event, over three replicas, at 200 messages a second.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub lost: usize,
    /// The most messages a second that still held the p95.
    pub sustained_messages_a_second: f64,
    /// What gave way at the lowest rate above.
    #[serde(default)]
    pub ceiling: String,
    /// Until a thousand clients of a killed replica had a socket elsewhere and what they missed.
    pub reconnect_seconds: f64,
    pub replayed_messages: usize,
}

/// The sessions and conversations that take part.
struct Stage<'a> {
    database: &'a Database,
    programs: &'a Programs,
    sizes: Sizes,
    extra: Vec<(&'a str, &'a str)>,
}

/// A conversation with the sessions of both.
struct Pair {
    conversation: Uuid,
    sender: Session,
    receiver: Session,
}

impl Stage<'_> {
    async fn messaging(&self) -> anyhow::Result<Server> {
        Server::start_messaging(self.programs, &self.database.url(), &self.extra).await
    }

    async fn messaging_with(&self, extra: &[(&str, &str)]) -> anyhow::Result<Server> {
        let all = [&self.extra, extra].concat();
        Server::start_messaging(self.programs, &self.database.url(), &all).await
    }

    async fn api(&self) -> anyhow::Result<Server> {
        Server::start_api(self.programs, &self.database.url(), &self.extra).await
    }

    /// The first conversations of which all users are different.
    async fn pairs(&self, count: usize) -> anyhow::Result<Vec<Pair>> {
        let mut connection = self.database.connect().await?;
        let rows: Vec<(Uuid, Uuid, Uuid)> = sqlx::query_as(
            r#"SELECT c."id", c."senderId", c."receiverId" FROM generate_series(1, $1::bigint) AS n
                      JOIN "Conversation" c ON c."id" = bench.id('conversation', n) ORDER BY n"#,
        )
        .bind(self.sizes.conversations().min(2000))
        .fetch_all(&mut connection)
        .await?;
        let mut seen = std::collections::HashSet::new();
        let mut pairs = Vec::new();
        for (conversation, sender, receiver) in rows {
            if pairs.len() < count && !seen.contains(&sender) && !seen.contains(&receiver) {
                seen.extend([sender, receiver]);
                let begun = sessions::begin_for(&mut connection, &[sender, receiver]).await?;
                let [sender, receiver] = <[Session; 2]>::try_from(begun).ok().context("two sessions")?;
                pairs.push(Pair { conversation, sender, receiver });
            }
        }
        ensure!(!pairs.is_empty(), "the generated data has no conversations");
        Ok(pairs)
    }
}

/// All of it. `idle` is the number of idle sockets.
pub async fn run(
    database: &Database,
    programs: &Programs,
    sizes: Sizes,
    redis: Option<&str>,
    idle: usize,
    seconds: u64,
) -> anyhow::Result<SocketFigures> {
    // Both programs hold one end of every socket.
    raise_file_limit(idle + 1000)?;
    let extra = redis.map(|url| ("REDIS_URL", url)).into_iter().collect();
    let stage = Stage { database, programs, sizes, extra };
    let carrier = if redis.is_some() { "Redis" } else { "PostgreSQL" };
    let mut figures = SocketFigures { carrier: carrier.to_owned(), ..SocketFigures::default() };
    forget_recent(database).await?;
    say("idle sockets");
    (figures.idle_sockets, figures.idle_kibibytes) = measure_idle(&stage, idle, Way::WebSocket).await?;
    (_, figures.upgraded_kibibytes) = measure_idle(&stage, idle, Way::Upgrade).await?;
    say("a room of 200");
    measure_room(&stage, Duration::from_secs(seconds), &mut figures).await?;
    say("delivery over three replicas");
    delivery::measure(&stage, Duration::from_secs(seconds.max(2)), &mut figures).await?;
    say("a thousand clients reconnect");
    forget_recent(database).await?;
    measure_reconnect(&stage, &mut figures).await?;
    forget_recent(database).await?;
    Ok(figures)
}

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn say(what: &str) {
    eprintln!("sockets: {what}");
}

/// For this process and those it starts.
fn raise_file_limit(wanted: usize) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted as u64;
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .with_context(|| format!("the limit of open files cannot be raised to {wanted}"))
}

/// Nothing that a replay would find.
async fn forget_recent(database: &Database) -> anyhow::Result<()> {
    let mut connection = database.connect().await?;
    sqlx::query(
        r#"DELETE FROM "Message" m USING chat_event e WHERE e.message_id = m."id" AND starts_with(m."content", $1)"#,
    )
    .bind(MESSAGE)
    .execute(&mut connection)
    .await?;
    sqlx::raw_sql("TRUNCATE chat_event").execute(&mut connection).await?;
    Ok(())
}

fn deaf() -> Hear {
    Arc::new(|_| {})
}

/// How many stayed, and the resident memory of each in KiB.
async fn measure_idle(stage: &Stage<'_>, wanted: usize, way: Way) -> anyhow::Result<(usize, f64)> {
    let server = stage.messaging().await?;
    let mut connection = stage.database.connect().await?;
    let users = wanted.div_ceil(SOCKETS_A_USER).min(usize::try_from(stage.sizes.freelances())?);
    let numbers: Vec<i64> = (1..=users as i64).collect();
    let sessions = sessions::begin(&mut connection, Person::Freelance, &numbers).await?;
    let socket = |number: usize| (server.address, sessions[number % sessions.len()].token.clone(), deaf());
    // The first sockets make the server allocate what it needs once.
    let first = connect_all_by(way, (0..100).map(socket).collect()).await?;
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = processes::memory(server.process_id()?)?.now;
    let wanted = wanted.min(sessions.len() * SOCKETS_A_USER);
    let sockets = connect_all_by(way, (0..wanted).map(socket).collect()).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = processes::memory(server.process_id()?)?.now;
    let stayed = sockets.iter().filter(|socket| socket.is_open()).count();
    ensure!(stayed == wanted, "only {stayed} of {wanted} sockets stayed");
    drop(sockets);
    server.kill().await?;
    Ok((stayed, after.saturating_sub(before) as f64 / 1024.0 / wanted as f64))
}

async fn measure_room(stage: &Stage<'_>, duration: Duration, figures: &mut SocketFigures) -> anyhow::Result<()> {
    let each = (ROOM / 2).to_string();
    let server = stage.messaging_with(&[("CHAT_SOCKETS_PER_USER", &each)]).await?;
    let api = stage.api().await?;
    let pair = stage.pairs(1).await?.pop().context("a conversation")?;
    let received = Arc::new(AtomicUsize::new(0));
    let hear: Hear = {
        let received = Arc::clone(&received);
        Arc::new(move |text| {
            if text.starts_with(NEW_MESSAGE) {
                received.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let sockets = fill_room(server.address, &pair, &hear).await?;
    let requests: Arc<Vec<Request>> = Arc::new(vec![message(pair.conversation, &pair.sender)]);
    load::run(api.address, Arc::clone(&requests), 1, Duration::from_millis(500)).await?;
    settle(&received).await;
    let (before, began, counted) =
        (processes::cpu_time(server.process_id()?)?, Instant::now(), received.load(Ordering::Relaxed));
    let sent = load::run(api.address, requests, 4, duration).await?;
    ensure!(sent.failures == 0, "messages failed: {:?}", sent.failure);
    let wanted = counted + sent.requests() * ROOM;
    let deadline = Instant::now() + Duration::from_secs(30);
    while received.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = began.elapsed();
    let used = processes::cpu_time(server.process_id()?)? - before;
    figures.deliveries = received.load(Ordering::Relaxed) - counted;
    ensure!(
        figures.deliveries == sent.requests() * ROOM,
        "{} deliveries of {}",
        figures.deliveries,
        sent.requests() * ROOM
    );
    figures.deliveries_a_second = figures.deliveries as f64 / elapsed.as_secs_f64();
    figures.delivery_microseconds = used.as_secs_f64() * 1e6 / figures.deliveries.max(1) as f64;
    drop(sockets);
    api.kill().await?;
    server.kill().await
}

/// Half of the sockets are each participant's; the server lets one user open a number at once and then some a second.
async fn fill_room(address: SocketAddr, pair: &Pair, hear: &Hear) -> anyhow::Result<Vec<Socket>> {
    let socket = |number: usize| {
        let session = if number.is_multiple_of(2) { &pair.sender } else { &pair.receiver };
        (address, session.token.clone(), Arc::clone(hear))
    };
    let mut sockets = connect_all((0..2 * HANDSHAKES_AT_ONCE).map(socket).collect()).await?;
    while sockets.len() < ROOM {
        tokio::time::sleep(HANDSHAKE_PAUSE).await;
        let number = sockets.len();
        sockets.extend(connect_all((number..number + 2).map(socket).collect()).await?);
    }
    Ok(sockets)
}

/// Until nothing comes any more.
async fn settle(received: &AtomicUsize) {
    let mut last = usize::MAX;
    while last != received.load(Ordering::Relaxed) {
        last = received.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn measure_reconnect(stage: &Stage<'_>, figures: &mut SocketFigures) -> anyhow::Result<()> {
    let (dying, other) = (stage.messaging().await?, stage.messaging().await?);
    let pairs = stage.pairs(RECONNECTING / SOCKETS_A_USER).await?;
    let received = Arc::new(AtomicUsize::new(0));
    let hear: Hear = {
        let received = Arc::clone(&received);
        Arc::new(move |text| {
            if text.starts_with(NEW_MESSAGE) {
                received.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let clients = |address: SocketAddr, hear: &Hear| -> Vec<_> {
        let client = |number: usize| (address, pairs[number % pairs.len()].receiver.token.clone(), Arc::clone(hear));
        (0..RECONNECTING.min(pairs.len() * SOCKETS_A_USER)).map(client).collect()
    };
    let sockets = connect_all(clients(dying.address, &deaf())).await?;
    insert_recent(stage.database, &pairs).await?;
    dying.kill().await?;
    let began = Instant::now();
    let deadline = began + Duration::from_secs(60);
    // All at once, as clients that lost their server do.
    let again: Vec<_> = clients(other.address, &hear)
        .into_iter()
        .map(|(address, token, hear)| {
            tokio::spawn(async move { Socket::connect(Way::WebSocket, address, &token, hear).await })
        })
        .collect();
    let mut served = Vec::with_capacity(again.len());
    for client in again {
        served.push(client.await??);
    }
    let wanted = served.len() * usize::try_from(REPLAYED)?;
    while received.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    figures.reconnect_seconds = began.elapsed().as_secs_f64();
    figures.replayed_messages = received.load(Ordering::Relaxed);
    ensure!(figures.replayed_messages == wanted, "{} replayed messages of {wanted}", figures.replayed_messages);
    drop((sockets, served));
    other.kill().await
}

/// As if they had been sent a minute ago, in the place of what earlier scenarios sent, by way of the table alone: so recent
/// that a socket that connects is given them, and too old for a server to deliver them by itself.
async fn insert_recent(database: &Database, pairs: &[Pair]) -> anyhow::Result<()> {
    let mut connection = database.connect().await?;
    let conversations: Vec<Uuid> = pairs.iter().map(|pair| pair.conversation).collect();
    sqlx::query(
        r#"DELETE FROM "Message" WHERE "createdAt" > (now() AT TIME ZONE 'UTC') - interval '1 hour'
                   AND starts_with("content", $1)"#,
    )
    .bind(MESSAGE)
    .execute(&mut connection)
    .await?;
    sqlx::query(
        r#"WITH sent AS (
               INSERT INTO "Message" ("conversationId", "senderId", "receiverId", "content")
               SELECT c."id", c."senderId", c."receiverId", $2 || ' ' || n
               FROM "Conversation" c, generate_series(1, $3::bigint) AS n WHERE c."id" = ANY($1)
               RETURNING "id", "conversationId", "senderId", "receiverId")
           INSERT INTO chat_event (kind, conversation_id, message_id, recipients, created_at)
           SELECT 'newMessage', "conversationId", "id", ARRAY["senderId", "receiverId"], now() - interval '1 minute'
           FROM sent"#,
    )
    .bind(&conversations)
    .bind(MESSAGE)
    .bind(REPLAYED)
    .execute(&mut connection)
    .await?;
    Ok(())
}

impl SocketFigures {
    pub fn write(&self, text: &mut String) {
        let row = |what: String, value: String, wanted: String, holds: bool| {
            format!("| {what} | {value} | {wanted} {} |\n", report::mark(holds))
        };
        text.push_str(&format!("\n| sockets ({} between replicas) | | wanted |\n|---|---|---|\n", self.carrier));
        text.push_str(&row(
            format!("resident memory of an idle socket, of {}", self.idle_sockets),
            format!("{:.1} KiB (original: {:.0})", self.idle_kibibytes, original::SOCKET_KIBIBYTES),
            format!("≤ {MOST_IDLE_KIBIBYTES:.0} KiB"),
            self.idle_kibibytes <= MOST_IDLE_KIBIBYTES,
        ));
        text.push_str(&row(
            "the same of one that began with polls, as the frontend's do".to_owned(),
            format!("{:.1} KiB", self.upgraded_kibibytes),
            format!("≤ {MOST_IDLE_KIBIBYTES:.0} KiB"),
            self.upgraded_kibibytes <= MOST_IDLE_KIBIBYTES,
        ));
        text.push_str(&row(
            format!(
                "CPU of a delivery in a room of {ROOM}, of {} at {:.0} a second",
                self.deliveries, self.deliveries_a_second
            ),
            format!("{:.1} µs (original: from {:.0})", self.delivery_microseconds, original::DELIVERY_MICROSECONDS),
            format!("≤ {MOST_DELIVERY_MICROSECONDS:.0} µs"),
            self.delivery_microseconds <= MOST_DELIVERY_MICROSECONDS,
        ));
        text.push_str(&row(
            "p95 from the 201 to the other participant, three replicas, 200 messages a second".to_owned(),
            format!("{:.1} ms (p50 {:.1}, p99 {:.1}, lost {})", self.p95_ms, self.p50_ms, self.p99_ms, self.lost),
            format!("< {MOST_P95_MS:.0} ms"),
            self.p95_ms < MOST_P95_MS && self.lost == 0,
        ));
        text.push_str(&format!(
            "| most messages a second with that p95 | {:.0} (above it: {}) | – |\n",
            self.sustained_messages_a_second, self.ceiling
        ));
        text.push_str(&row(
            format!(
                "{RECONNECTING} clients of a killed replica served again, {} messages replayed",
                self.replayed_messages
            ),
            format!("{:.2} s", self.reconnect_seconds),
            format!("≤ {MOST_RECONNECT_SECONDS:.0} s"),
            self.reconnect_seconds <= MOST_RECONNECT_SECONDS,
        ));
    }
}
