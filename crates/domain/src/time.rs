//! Points in time as the original stores and shows them: `timestamp(3)` in UTC without a zone, and ISO 8601 with
//! milliseconds and `Z` in JSON (`2025-07-06T14:42:57.000Z`).

use chrono::{DateTime, Datelike, NaiveDateTime, SecondsFormat, SubsecRound, Timelike, Utc};
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

/// The characters of a time in the years 0 to 9999.
type Text = [u8; 24];

impl Timestamp {
    /// Every answer has some of these, and the general formatter takes ten times as long. `None` for
    /// what does not fit.
    fn text(self) -> Option<Text> {
        let (date, time) = (self.0.date(), self.0.time());
        let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // In a leap second chrono counts more than a thousand of them.
        let milliseconds = Some(time.nanosecond() / 1_000_000).filter(|milliseconds| *milliseconds <= 999)?;
        let numbers = [
            (0..4, year),
            (5..7, date.month()),
            (8..10, date.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..23, milliseconds),
        ];
        for (place, mut number) in numbers {
            for digit in text.get_mut(place)?.iter_mut().rev() {
                *digit += (number % 10) as u8;
                number /= 10;
            }
        }
        Some(text)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => formatter.write_str(text),
            _ => formatter.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
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

    #[test]
    fn the_quick_text_is_that_of_the_general_formatter() {
        let times =
            ["1999-12-31T23:59:59.999Z", "0000-01-01T00:00:00Z", "9999-12-31T00:00:00.05Z", "2024-02-29T01:02:03.004Z"];
        let more = (0..2000).map(|day| DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(day * 98_765_432_109));
        for time in times.iter().map(|text| text.parse().unwrap()).chain(more) {
            let expected = time.to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(Timestamp::from_utc(time).text().map(|text| text.to_vec()), Some(expected.clone().into_bytes()));
            assert_eq!(Timestamp::from_utc(time).to_string(), expected);
        }
        let far = DateTime::<Utc>::MAX_UTC;
        assert_eq!(Timestamp::from_utc(far).to_string(), far.to_rfc3339_opts(SecondsFormat::Millis, true));
    }
}
