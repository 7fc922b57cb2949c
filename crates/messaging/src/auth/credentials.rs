//! The secrets a client may show, and the session each stands for, as the database knows it.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, header};
use freehunt_domain::{
    ids::{SessionId, UserId},
    policy::Actor,
    sessions::{SessionRow, Token, hash_upstream_cookie, queries, secrets},
    users::Role,
};
use sqlx::{PgConnection, PgPool};

/// Cookies of one request that are looked at; more than these names nobody sends.
const MOST_COOKIES: usize = 50;
/// Longer values are nobody's.
const LONGEST_VALUE: usize = 4096;
/// The session cookie of the original, which is Authentik's own. The HTTP API opens a session for it on first use.
const UPSTREAM_COOKIE: &str = "authentik_session";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Good for sockets only.
    Ticket,
    /// Also good for the HTTP API; reaches this server on localhost, or as a bearer token.
    Session,
}

/// A secret that was shown, as the database knows it.
#[derive(Clone)]
pub struct Credential {
    kind: Kind,
    hash: Vec<u8>,
    /// The session's socket ticket, which is shown or follows from what is shown.
    ticket: Arc<Token>,
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.hash) == (other.kind, &other.hash)
    }
}

impl Credential {
    fn ticket(value: &str) -> Option<Self> {
        Token::parse(value).map(|token| Self { kind: Kind::Ticket, hash: token.hash(), ticket: Arc::new(token) })
    }

    fn session(value: &str) -> Option<Self> {
        let ticket = Arc::new(secrets::socket_ticket(value));
        Token::parse(value).map(|token| Self { kind: Kind::Session, hash: token.hash(), ticket })
    }

    fn upstream(value: &str) -> Option<Self> {
        let possible = !value.is_empty() && value.len() <= LONGEST_VALUE;
        let ticket = Arc::new(secrets::socket_ticket(value));
        possible.then(|| Self { kind: Kind::Session, hash: hash_upstream_cookie(value), ticket })
    }

    /// What the request shows, the most specific first. A name that comes with two values says nothing: one of them
    /// may have been planted by another host of the same domain.
    pub fn of_request(headers: &HeaderMap, secure: bool) -> Vec<Self> {
        let (ticket, session) = if secure {
            ("__Secure-freehunt_socket", "__Host-freehunt_session")
        } else {
            ("freehunt_socket", "freehunt_session")
        };
        let cookies = Cookies::of(headers);
        let shown = [
            cookies.one(ticket).and_then(Self::ticket),
            cookies.one(session).and_then(Self::session),
            bearer(headers).and_then(Self::session),
            cookies.one(UPSTREAM_COOKIE).and_then(Self::upstream),
        ];
        shown.into_iter().flatten().collect()
    }
}

struct Cookies<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Cookies<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let pairs = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        Self(pairs.take(MOST_COOKIES).collect())
    }

    fn one(&self, name: &str) -> Option<&'a str> {
        let mut values = self.0.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The session behind a socket.
#[derive(Clone, Debug)]
pub struct Recognised {
    pub user_id: UserId,
    pub role: Role,
    pub session_id: SessionId,
    /// The session's socket ticket, by which Authentik can be asked about it.
    pub ticket: Arc<Token>,
    /// Age of Authentik's last word, when the session was recognised.
    pub confirmation_age: Duration,
}

impl Recognised {
    pub fn actor(&self) -> Actor {
        Actor { user_id: self.user_id, role: self.role }
    }

    fn of(credential: &Credential, row: &SessionRow) -> Self {
        Self {
            user_id: row.user_id,
            role: row.role,
            session_id: row.id,
            ticket: Arc::clone(&credential.ticket),
            confirmation_age: row.confirmation_age(),
        }
    }
}

/// The first of the credentials that stands for a live session.
pub async fn recognise(
    pool: &PgPool,
    credentials: &[Credential],
) -> Result<Option<(Credential, Recognised)>, sqlx::Error> {
    if credentials.is_empty() {
        return Ok(None);
    }
    let mut connection = pool.acquire().await?;
    for credential in credentials {
        if let Some(row) = find(&mut connection, credential).await? {
            return Ok(Some((credential.clone(), Recognised::of(credential, &row))));
        }
    }
    Ok(None)
}

async fn find(connection: &mut PgConnection, credential: &Credential) -> Result<Option<SessionRow>, sqlx::Error> {
    match credential.kind {
        Kind::Ticket => queries::find_session_by_ticket(connection, &credential.hash).await,
        Kind::Session => queries::find_session(connection, &credential.hash).await,
    }
}

/// The session whose token an API client sent in its CONNECT packet.
pub async fn recognise_token(pool: &PgPool, token: &str) -> Result<Option<Recognised>, sqlx::Error> {
    let credentials: Vec<Credential> = Credential::session(token).into_iter().collect();
    Ok(recognise(pool, &credentials).await?.map(|(_, recognised)| recognised))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn shown(cookie: &str, secure: bool) -> Vec<Kind> {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
        Credential::of_request(&headers, secure).iter().map(|credential| credential.kind).collect()
    }

    #[test]
    fn names_without_the_prefix_count_only_without_https() {
        let token = Token::random().unwrap();
        let token = token.as_str();
        assert_eq!(
            shown(&format!("a=b; freehunt_socket={token}; freehunt_session={token}"), false),
            [Kind::Ticket, Kind::Session]
        );
        assert_eq!(shown(&format!("freehunt_socket={token}"), true), []);
        assert_eq!(shown(&format!("__Secure-freehunt_socket={token}"), true), [Kind::Ticket]);
    }

    /// Fault case 4.
    #[test]
    fn a_name_with_two_values_says_nothing() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        let (one, other) = (one.as_str(), other.as_str());
        assert_eq!(shown(&format!("freehunt_socket={one}; freehunt_socket={other}"), false), []);
        assert_eq!(shown(&format!("freehunt_socket={one}; freehunt_socket={one}"), false), [Kind::Ticket]);
    }

    #[test]
    fn what_cannot_be_a_token_is_not_looked_up() {
        assert_eq!(shown("freehunt_socket=x; freehunt_session=; authentik_session=", false), []);
    }
}
