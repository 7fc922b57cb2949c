//! The sockets of this replica, by user and by session.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use freehunt_domain::{
    ids::{SessionId, UserId},
    sessions::Token,
};
use socketioxide::socket::Sid;

use crate::client::Client;

/// Sockets are added when their session is known and removed when they disconnect.
pub struct Registry {
    sockets_per_user: usize,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    clients: HashMap<Sid, Arc<Client>>,
    users: HashMap<UserId, Vec<Arc<Client>>>,
    sessions: HashMap<SessionId, SocketsOfSession>,
}

struct SocketsOfSession {
    count: usize,
    ticket: Arc<Token>,
}

/// The user has as many sockets here as one may have.
#[derive(Debug, thiserror::Error)]
#[error("Too many connections")]
pub struct TooManySockets;

impl Registry {
    pub fn new(sockets_per_user: usize) -> Self {
        Self { sockets_per_user, index: RwLock::default() }
    }

    fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn has_room_for(&self, user: UserId) -> bool {
        self.read(|index| index.users.get(&user).is_none_or(|clients| living(clients) < self.sockets_per_user))
    }

    pub fn add(&self, client: Arc<Client>) -> Result<(), TooManySockets> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let clients = index.users.entry(client.user_id).or_default();
        if living(clients) >= self.sockets_per_user {
            return Err(TooManySockets);
        }
        clients.push(Arc::clone(&client));
        let session = index.sessions.entry(client.session_id);
        session.or_insert_with(|| SocketsOfSession { count: 0, ticket: Arc::clone(&client.ticket) }).count += 1;
        index.clients.insert(client.id, client);
        metrics::gauge!("freehunt_sockets").increment(1);
        Ok(())
    }

    pub fn remove(&self, id: Sid) -> Option<Arc<Client>> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let client = index.clients.remove(&id)?;
        if let Some(clients) = index.users.get_mut(&client.user_id) {
            clients.retain(|other| other.id != id);
            if clients.is_empty() {
                index.users.remove(&client.user_id);
            }
        }
        if let Some(session) = index.sessions.get_mut(&client.session_id) {
            session.count -= 1;
            if session.count == 0 {
                index.sessions.remove(&client.session_id);
            }
        }
        metrics::gauge!("freehunt_sockets").decrement(1);
        Some(client)
    }

    pub fn find(&self, id: Sid) -> Option<Arc<Client>> {
        self.read(|index| index.clients.get(&id).cloned())
    }

    pub fn of_user(&self, user: UserId) -> Vec<Arc<Client>> {
        self.read(|index| index.users.get(&user).cloned().unwrap_or_default())
    }

    pub fn has_user(&self, user: UserId) -> bool {
        self.read(|index| index.users.contains_key(&user))
    }

    pub fn has_session(&self, session: SessionId) -> bool {
        self.read(|index| index.sessions.contains_key(&session))
    }

    /// The socket ticket of a session that has sockets here.
    pub fn ticket_of(&self, session: SessionId) -> Option<Arc<Token>> {
        self.read(|index| index.sessions.get(&session).map(|session| Arc::clone(&session.ticket)))
    }

    pub fn of_session(&self, session: SessionId) -> Vec<Arc<Client>> {
        self.read(|index| index.clients.values().filter(|client| client.session_id == session).cloned().collect())
    }

    pub fn sessions(&self) -> Vec<SessionId> {
        self.read(|index| index.sessions.keys().copied().collect())
    }

    pub fn all(&self) -> Vec<Arc<Client>> {
        self.read(|index| index.clients.values().cloned().collect())
    }

    pub fn len(&self) -> usize {
        self.read(|index| index.clients.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Those that were cut no longer count, whenever Engine.IO notices.
fn living(clients: &[Arc<Client>]) -> usize {
    clients.iter().filter(|client| !client.is_over()).count()
}
