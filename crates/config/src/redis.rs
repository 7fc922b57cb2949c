//! Redis, which both programs use or neither.

use std::fmt;
use std::ops::Deref;

use url::Url;

use crate::reader::{Reader, Reported};

/// Address of a Redis server; may contain a password, so that it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Url);

impl RedisUrl {
    /// `REDIS_URL`; `None` when PostgreSQL alone connects the replicas.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Reported> {
        reader.optional("REDIS_URL", parse)
    }
}

impl Deref for RedisUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RedisUrl").field(&self.0.host_str()).finish()
    }
}

fn parse(text: &str) -> Result<RedisUrl, String> {
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "redis" && url.has_host())
        .map(RedisUrl)
        .ok_or_else(|| "is not a redis:// URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_redis_is_spoken_and_the_password_is_not_shown() {
        let url = parse("redis://:canary@redis:6379/0").unwrap();
        assert_eq!(url.password(), Some("canary"));
        assert!(!format!("{url:?}").contains("canary"));
        for refused in ["rediss://redis", "http://redis", "redis:6379", "redis://", ""] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}
