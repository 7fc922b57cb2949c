//! Replicas that die while messages are sent, at moments nobody chose. Whoever reconnects receives every message that was
//! acknowledged, and sees each once, in order.
//!
//! The short runs are part of the suite. The long ones, whose command is in CONTRIBUTING.md, print what they did.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use freehunt_domain::users::Role;
use freehunt_tests::{ChatClient, ChatServer, Persona, RedisServer, TestApp, TestOptions, eventually};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Pair, conversation, pair, replicas::cut_listener, say, shown};

const REPLICAS: usize = 3;
const READERS: usize = 3;
/// Longest pause between two of the things that go wrong.
const LONGEST_PAUSE_MS: u64 = 1_200;

#[expect(clippy::disallowed_methods, reason = "a setting of the test itself")]
fn count(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A number below `end`; every run has others.
fn below(end: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().0 % end
}

fn index_below(end: usize) -> usize {
    usize::try_from(below(end as u64)).expect("a small number")
}

/// Fault cases 131 and 132.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_message_is_lost_while_replicas_are_killed() {
    TestApp::run(async |app| Storm::blow(app, None).await).await;
}

/// The same with Redis between the replicas, which is killed too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_message_is_lost_while_replicas_and_redis_are_killed() {
    let Some(redis) = RedisServer::start().await else { return };
    let options = TestOptions::default().with("REDIS_URL", redis.url());
    TestApp::run_with(options, async |app| Storm::blow(app, Some(&redis)).await).await;
}

/// Replicas, the clients that read from them, and everything that happens to them.
struct Storm<'a> {
    app: &'a TestApp,
    redis: Option<&'a RedisServer>,
    pair: Pair,
    replicas: Mutex<Vec<ChatServer>>,
    readers: Vec<Reader>,
    over: AtomicBool,
    stop: Notify,
    kills: AtomicUsize,
    cuts: AtomicUsize,
    outages: AtomicUsize,
}

impl<'a> Storm<'a> {
    async fn blow(app: &'a TestApp, redis: Option<&'a RedisServer>) {
        let messages = count("FREEHUNT_CHAT_MESSAGES", 300);
        let pair = pair(app).await;
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(app.mortal_chat_server().await);
        }
        let storm = Self {
            app,
            redis,
            pair,
            replicas: Mutex::new(replicas),
            readers: (0..READERS).map(|_| Reader::default()).collect(),
            over: AtomicBool::new(false),
            stop: Notify::new(),
            kills: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            outages: AtomicUsize::new(0),
        };
        let began = Instant::now();
        let reading = join_all(storm.readers.iter().enumerate().map(|(number, reader)| {
            // One of the readers is the sender itself: its own messages come back to it.
            let persona = if number == 0 { &storm.pair.alice } else { &storm.pair.bob };
            storm.read(reader, persona)
        }));
        let acting = async {
            let sent = storm.send(messages).await;
            storm.over.store(true, Ordering::Relaxed);
            let sending = began.elapsed();
            storm.check(&sent).await;
            storm.stop.notify_waiters();
            let rate = f64::from(u32::try_from(messages).expect("a count")) / sending.as_secs_f64();
            storm.report(messages, rate);
        };
        tokio::join!(reading, storm.destroy(), acting);
    }

    async fn send(&self, messages: usize) -> Vec<Value> {
        let mut sent = Vec::with_capacity(messages);
        for number in 0..messages {
            if number % 500 == 0 {
                // The test's sessions have nothing that Authentik could confirm them by.
                let renewed = sqlx::query("UPDATE session SET validated_at = now()").execute(&self.app.pool).await;
                renewed.expect("the database is there");
            }
            sent.push(say(&self.pair.alice, &self.pair.conversation, &number.to_string()).await);
        }
        sent
    }

    /// Until everything is sent: replicas are killed, listeners cut, Redis and its subscriptions ended.
    async fn destroy(&self) {
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(below(LONGEST_PAUSE_MS))).await;
            match (below(6), self.redis) {
                (0, _) => {
                    cut_listener(self.app).await;
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                }
                (1, Some(redis)) => {
                    redis.drop_subscribers().await;
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                }
                (2, Some(redis)) => {
                    redis.kill();
                    tokio::time::sleep(Duration::from_millis(below(LONGEST_PAUSE_MS))).await;
                    redis.restart().await;
                    self.outages.fetch_add(1, Ordering::Relaxed);
                }
                _ => {
                    let successor = self.app.mortal_chat_server().await;
                    let mut replicas = self.replicas.lock().expect("nobody panicked with the lock");
                    let victim = index_below(REPLICAS);
                    std::mem::replace(&mut replicas[victim], successor).kill();
                    self.kills.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn any_address(&self) -> String {
        let replicas = self.replicas.lock().expect("nobody panicked with the lock");
        replicas[index_below(replicas.len())].url.clone()
    }

    /// Reconnects wherever there is a replica, as often as it takes.
    async fn read(&self, reader: &Reader, persona: &Persona) {
        let stopped = self.stop.notified();
        let reading = async {
            loop {
                match persona.try_chat_at(&self.any_address()).await {
                    Ok(socket) => {
                        reader.connect(socket);
                        reader.closed().await;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::select! { () = reading => {} () = stopped => {} }
    }

    /// Every reader gets everything that was acknowledged, and in order once it leaves out what came again.
    async fn check(&self, sent: &[Value]) {
        let acknowledged: HashSet<String> = sent.iter().map(|message| message["id"].to_string()).collect();
        for reader in &self.readers {
            eventually("every message has come", async || {
                let received = reader.received();
                let ids: HashSet<String> = received.iter().map(|message| message["id"].to_string()).collect();
                acknowledged.is_subset(&ids)
            })
            .await;
            let shown = shown(&reader.received());
            assert_eq!(shown.len(), sent.len(), "nothing but what was sent");
            let times =
                |messages: &[Value]| messages.iter().map(|message| message["createdAt"].clone()).collect::<Vec<_>>();
            assert_eq!(times(&shown), times(sent));
        }
    }

    #[expect(clippy::print_stdout, reason = "the long run is asked for its counts")]
    fn report(&self, messages: usize, rate: f64) {
        let connections: Vec<usize> = self.readers.iter().map(|reader| reader.connections()).collect();
        let received: Vec<usize> = self.readers.iter().map(|reader| reader.received().len()).collect();
        println!(
            "{messages} messages at {rate:.0} a second, {} replicas killed, {} listeners cut, {} outages of Redis; readers \
             connected {connections:?} times and were sent {received:?}",
            self.kills.load(Ordering::Relaxed),
            self.cuts.load(Ordering::Relaxed),
            self.outages.load(Ordering::Relaxed),
        );
    }
}

/// A client that reconnects, with what all its sockets received.
#[derive(Default)]
struct Reader(Mutex<(Vec<Value>, Option<std::sync::Arc<ChatClient>>, usize)>);

impl Reader {
    fn connect(&self, socket: ChatClient) {
        let mut state = self.0.lock().expect("nobody panicked with the lock");
        let (before, current, connections) = &mut *state;
        if let Some(last) = current.replace(std::sync::Arc::new(socket)) {
            before.extend(last.received("newMessage"));
        }
        *connections += 1;
    }

    async fn closed(&self) {
        let current = self.0.lock().expect("nobody panicked with the lock").1.clone();
        if let Some(socket) = current {
            socket.closed().await;
        }
    }

    fn connections(&self) -> usize {
        self.0.lock().expect("nobody panicked with the lock").2
    }

    fn received(&self) -> Vec<Value> {
        let state = self.0.lock().expect("nobody panicked with the lock");
        let (before, current, _) = &*state;
        let now = current.as_ref().map(|socket| socket.received("newMessage")).unwrap_or_default();
        before.iter().cloned().chain(now).collect()
    }
}

/// Sockets of one user, as many as one may have.
const SOCKETS_OF_USER: usize = 20;

/// Fault case 131: all at once, and within ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_131_the_sockets_of_a_killed_replica_are_served_elsewhere() {
    let users = count("FREEHUNT_CHAT_SOCKETS", 100).div_ceil(SOCKETS_OF_USER);
    TestApp::run(async |app| {
        let (doomed, other) = (app.mortal_chat_server().await, app.chat_server().await);
        let alice = app.user("alice", Role::Company).await;
        let mut people = Vec::new();
        for number in 0..users {
            let person = app.user(&format!("reader{number}"), Role::Freelance).await;
            let conversation = if number < 30 {
                conversation(&alice, &person).await
            } else {
                // A user may begin thirty a day.
                conversation(&person, &alice).await
            };
            people.push((person, conversation));
        }
        let sockets =
            join_all(people.iter().flat_map(|(person, _)| (0..SOCKETS_OF_USER).map(|_| connect(person, &doomed))));
        let sockets: Vec<ChatClient> = sockets.await;
        for (person, conversation) in &people {
            say(&alice, conversation, &format!("avant, {}", person.name)).await;
        }
        join_all(sockets.iter().map(|socket| socket.wait_for("newMessage", 1))).await;
        doomed.kill();
        join_all(sockets.iter().map(|socket| socket.closed())).await;
        drop(sockets);
        let mut missed = Vec::new();
        for (person, conversation) in &people {
            missed.push(say(&alice, conversation, &format!("pendant, {}", person.name)).await);
        }
        let began = Instant::now();
        let served = people
            .iter()
            .zip(&missed)
            .flat_map(|((person, _), missed)| (0..SOCKETS_OF_USER).map(|_| reconnect(person, &other, missed)));
        let waits: Vec<Duration> = join_all(served).await;
        let longest = waits.iter().max().copied().unwrap_or_default();
        println!("{} sockets were served elsewhere within {:?}", waits.len(), longest);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let sockets = other.sockets();
        assert!(sockets <= users * SOCKETS_OF_USER, "{sockets}");
    })
    .await;
}

/// As often as it takes, as clients do: a server that all ask at once may refuse some of them for a moment.
async fn connect(person: &Persona, server: &ChatServer) -> ChatClient {
    loop {
        match person.try_chat(server).await {
            Ok(socket) => return socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Until it has what was said meanwhile, and what was said before in the right order.
async fn reconnect(person: &Persona, server: &ChatServer, missed: &Value) -> Duration {
    let began = Instant::now();
    let socket = connect(person, server).await;
    let received = shown(&socket.wait_for("newMessage", 2).await);
    assert_eq!(received.last(), Some(missed), "the newest is the last");
    began.elapsed()
}
