//! One Engine.IO session: whom it belongs to, what a poll must show, and the connection to cut.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use freehunt_domain::ids::UserId;
use moka::future::Cache;
use socketioxide::socket::Sid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Credential, Recognised};
use crate::{limits::Bucket, transport::Peer};

/// Polls of a live session come more often than this; once upgraded, it has none.
const IDLE: Duration = Duration::from_secs(120);
/// Sessions that poll, at most. The oldest have to begin anew.
const MOST_POLLING: u64 = 200_000;
/// Handshakes of one user at once, and a second; three sockets a page, and pages are reloaded.
const HANDSHAKE_BURST: f32 = 60.0;
const HANDSHAKES_PER_SECOND: f32 = 3.0;
/// Sessions at once of which nobody knows yet whose they are: nothing but their number limits them.
const MOST_NAMELESS: usize = 200;
/// CONNECT packets of one session that are looked at: each asks the database. A program may try another token.
const MOST_CONNECTS: u32 = 5;

/// Shared by the requests of one Engine.IO session and by its socket.
#[derive(Debug)]
pub struct Handshake {
    /// Set by the first request, or for a client without cookies by the token of its CONNECT packet.
    recognised: OnceLock<Recognised>,
    /// What the first request showed; `None` for a client that shows a token in its CONNECT packet.
    credential: Option<Credential>,
    /// The WebSocket connection, once there is one. Polls may share theirs with others, so they have none.
    peer: Mutex<Option<Peer>>,
    ended: CancellationToken,
    /// CONNECT packets that were looked at; as many as may be once one has succeeded.
    connects: AtomicU32,
    /// Among the nameless, until it has a name.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential(…)")
    }
}

impl Handshake {
    pub fn recognised(credential: Credential, recognised: Recognised) -> Self {
        Self::new(OnceLock::from(recognised), Some(credential), None)
    }

    fn new(
        recognised: OnceLock<Recognised>,
        credential: Option<Credential>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            recognised,
            credential,
            peer: Mutex::default(),
            ended: CancellationToken::new(),
            connects: AtomicU32::new(0),
            place: Mutex::new(place),
        }
    }

    pub fn owner(&self) -> Option<Recognised> {
        self.recognised.get().cloned()
    }

    /// Names the owner of a nameless handshake; an owner never changes.
    pub fn name(&self, recognised: Recognised) -> Recognised {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.recognised.get_or_init(|| recognised).clone()
    }

    pub fn is_nameless(&self) -> bool {
        self.credential.is_none()
    }

    /// Whether a later request shows what the first one did.
    pub fn is_shown_again(&self, credentials: &[Credential]) -> bool {
        self.credential.as_ref().is_some_and(|expected| credentials.contains(expected))
    }

    /// Whether a CONNECT packet may be looked at.
    pub fn may_connect(&self) -> bool {
        !self.has_ended() && self.connects.fetch_add(1, Ordering::Relaxed) < MOST_CONNECTS
    }

    /// A session has one socket in its life; a client that left it begins another session.
    pub fn has_connected(&self) {
        self.connects.store(MOST_CONNECTS, Ordering::Relaxed);
    }

    /// Takes the WebSocket connection. Another one comes only after an upgrade that failed.
    pub fn attach(&self, peer: Peer) {
        let mut attached = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_ended() {
            peer.cut();
        }
        *attached = Some(peer);
    }

    /// Ends the transport: its polls are refused and its WebSocket is cut, so that the client begins anew.
    pub fn end(&self) {
        let attached = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        self.ended.cancel();
        if let Some(peer) = attached.as_ref() {
            peer.cut();
        }
    }

    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// The Engine.IO sessions that poll, by their ids, and how often users begin one.
pub struct Handshakes {
    /// Engine.IO keeps them, each as long as its session lives.
    polling: Cache<Sid, Weak<Handshake>>,
    begun: Mutex<HashMap<UserId, Bucket>>,
    nameless: Arc<Semaphore>,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            polling: Cache::builder().max_capacity(MOST_POLLING).time_to_idle(IDLE).build(),
            begun: Mutex::new(HashMap::new()),
            nameless: Arc::new(Semaphore::new(MOST_NAMELESS)),
        }
    }
}

impl Handshakes {
    /// For a program that will show a token; `None` while too many others have not shown theirs.
    pub fn nameless(&self) -> Option<Handshake> {
        let place = Arc::clone(&self.nameless).try_acquire_owned().ok()?;
        Some(Handshake::new(OnceLock::new(), None, Some(place)))
    }

    pub async fn remember(&self, sid: Sid, handshake: &Arc<Handshake>) {
        self.polling.insert(sid, Arc::downgrade(handshake)).await;
    }

    /// `None` for an id of another replica, of a session that is over, or of nobody.
    pub async fn find(&self, sid: Sid) -> Option<Arc<Handshake>> {
        self.polling.get(&sid).await?.upgrade().filter(|handshake| !handshake.has_ended())
    }

    /// Whether the user may begin another session now.
    pub fn may_begin(&self, user: UserId, now: Instant) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = || Bucket::new(HANDSHAKE_BURST, HANDSHAKES_PER_SECOND, now);
        begun.entry(user).or_insert_with(bucket).take(now)
    }

    /// Forgets who has begun none for a while.
    pub fn tidy(&self, now: Instant) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, bucket| !bucket.is_full(now));
        if begun.capacity() > 4 * begun.len() + 1024 {
            begun.shrink_to_fit();
        }
    }
}
