//! Numbers as JavaScript writes them: whole numbers without a fraction part.

use freehunt_domain::Cents;
use serde::{Serialize, Serializer};

/// A JSON number that came from a `double precision` column: `500`, not `500.0`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, utoipa::ToSchema)]
#[schema(value_type = f64, example = 500)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < LARGEST_EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<Cents> for Number {
    /// In euros, as the wire has every amount.
    fn from(cents: Cents) -> Self {
        Self(cents.to_euros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        let text = |value| serde_json::to_string(&Number(value)).unwrap();
        assert_eq!([text(500.0), text(19.99), text(0.0), text(-3.0)], ["500", "19.99", "0", "-3"]);
    }
}
