//! A walk through the messages of some minutes, page by page: what a socket that reconnects may have missed.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Message, queries};
use crate::ids::{MessageId, UserId};

/// The messages of all conversations of a user that were sent between two moments, oldest first. Each page is read anew:
/// what is committed late with an earlier time than the last page's is not among them.
#[derive(Clone, Debug)]
pub struct MessagesOfUser {
    user: UserId,
    /// Of the last message of the page before.
    after: (NaiveDateTime, MessageId),
    until: NaiveDateTime,
}

impl MessagesOfUser {
    /// By the database's clock; both moments are included.
    pub fn between(user: UserId, since: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { user, after: (since.naive_utc(), MessageId(Uuid::nil())), until: until.naive_utc() }
    }

    /// Fewer than `most` when they are the last.
    pub async fn next_page(&mut self, connection: &mut PgConnection, most: usize) -> Result<Vec<Message>, sqlx::Error> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let page = queries::list_messages_of_user_after(connection, self.user, self.after, self.until, limit).await?;
        if let Some(last) = page.last() {
            self.after = (last.created_at.0, last.id);
        }
        Ok(page)
    }
}
