//! Points in time as the original stores and shows them: `timestamp(3)` in UTC without a zone, and ISO 8601 with
//! milliseconds and `Z` in JSON (`2025-07-06T14:42:57.000Z`).

use chrono::{DateTime, NaiveDateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Serialize, Serializer};

/// A UTC time with millisecond precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type, utoipa::ToSchema)]
#[sqlx(transparent, no_pg_array)]
#[schema(value_type = String, format = DateTime, example = "2025-07-06T14:42:57.000Z")]
pub struct Timestamp(pub NaiveDateTime);

impl Timestamp {
    /// Drops what is finer than a millisecond, as the database does.
    pub fn from_utc(time: DateTime<Utc>) -> Self {
        Self(time.naive_utc().trunc_subsecs(3))
    }

    pub fn to_utc(self) -> DateTime<Utc> {
        self.0.and_utc()
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the present time comes from; tests move it, programs read the system's clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<std::sync::Arc<std::sync::Mutex<DateTime<Utc>>>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn standing_at(start: DateTime<Utc>) -> Self {
        Self(Some(std::sync::Arc::new(std::sync::Mutex::new(start))))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            None => Utc::now(),
            Some(standing) => *standing.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// Moves a standing clock; the system's clock cannot be moved.
    pub fn advance(&self, by: chrono::TimeDelta) {
        if let Some(standing) = &self.0 {
            *standing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_milliseconds_and_z() {
        let time: DateTime<Utc> = "2025-07-06T14:42:57Z".parse().unwrap();
        assert_eq!(serde_json::to_string(&Timestamp::from_utc(time)).unwrap(), "\"2025-07-06T14:42:57.000Z\"");
    }
}
