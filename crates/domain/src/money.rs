//! Money in integer euro cents. Floating point appears only at the two edges that the original fixed: the
//! `double precision` columns and the JSON numbers, both exact decimals of at most two places.

use std::ops::{Add, Sub};

/// The largest amount that is accepted, 999 999.99 euros (state-machines: more is refused).
pub const MAXIMUM_CENTS: i64 = 99_999_999;

/// Stripe refuses to charge less than 50 cents.
pub const MINIMUM_CHARGE_CENTS: i64 = 50;

/// An amount in euro cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Cents(pub i64);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("not a decimal number")]
    NotANumber,
    #[error("more than two decimals")]
    TooPrecise,
    #[error("negative")]
    Negative,
    #[error("larger than 999999.99")]
    TooLarge,
}

impl Cents {
    /// Reads a JSON number's decimal text in euros: `19.99` is 1999 cents. Exponents are read exactly (`1e2`).
    pub fn parse_euros(text: &str) -> Result<Self, AmountError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| AmountError::NotANumber)?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(AmountError::NotANumber);
        }
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        // The value in cents is `significant` × 10^scale.
        let scale = i64::from(exponent) - i64::try_from(fraction.len()).unwrap_or(i64::MAX) + 2;
        let cents = scale_digits(significant, scale)?;
        if negative {
            return Err(AmountError::Negative);
        }
        if cents > MAXIMUM_CENTS {
            return Err(AmountError::TooLarge);
        }
        Ok(Self(cents))
    }

    /// Reads a `double precision` column, rounding to the nearest cent: the original stored sums of floats.
    pub fn from_column(euros: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "columns hold amounts far below 2^53 cents")]
        Self((euros * 100.0).round() as i64)
    }

    /// The value for a `double precision` column or a JSON number.
    pub fn to_euros(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53 cents")]
        let cents = self.0 as f64;
        cents / 100.0
    }
}

/// `digits` × 10^`scale`, exactly; fails when cents would be fractional.
fn scale_digits(digits: &str, scale: i64) -> Result<i64, AmountError> {
    let digits = if scale < 0 {
        let cut = usize::try_from(-scale).unwrap_or(usize::MAX);
        let kept = digits.trim_end_matches('0');
        let zeros = digits.len() - kept.len();
        if zeros < cut {
            return Err(AmountError::TooPrecise);
        }
        digits[..digits.len() - cut].to_owned()
    } else {
        if scale > 12 || digits.len() > 12 {
            return Err(AmountError::TooLarge);
        }
        format!("{digits}{}", "0".repeat(usize::try_from(scale).unwrap_or_default()))
    };
    digits.parse().map_err(|_| AmountError::TooLarge)
}

impl Add for Cents {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::iter::Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

/// What a transfer to a freelance costs: Stripe's 2.9 % and a fixed 25 cents, as the original previews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferFees {
    pub gross: Cents,
    pub fee: Cents,
    /// What the freelance receives, never below zero.
    pub net: Cents,
}

impl TransferFees {
    /// `round(cents × 0.029) + 25`, rounding half up as JavaScript's `Math.round` does.
    pub fn of(gross: Cents) -> Self {
        let fee = (gross.0 * 29 + 500).div_euclid(1000) + 25;
        Self { gross, fee: Cents(fee), net: Cents((gross.0 - fee).max(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        for (text, cents) in
            [("19.99", 1999), ("0.1", 10), ("333.33", 33_333), ("5", 500), ("1e2", 10_000), ("1.50", 150)]
        {
            assert_eq!(Cents::parse_euros(text), Ok(Cents(cents)), "{text}");
        }
        assert_eq!(Cents::parse_euros("-0"), Ok(Cents(0)));
        assert_eq!(Cents::parse_euros("1.500"), Ok(Cents(150)));
    }

    /// Fault case 51.
    #[test]
    fn odd_numbers_are_refused() {
        for (text, error) in [
            ("0.001", AmountError::TooPrecise),
            ("1e-3", AmountError::TooPrecise),
            ("-1", AmountError::Negative),
            ("1000000", AmountError::TooLarge),
            ("1e308", AmountError::TooLarge),
            ("1e999999", AmountError::TooLarge),
            ("NaN", AmountError::NotANumber),
            ("", AmountError::NotANumber),
            (".5", AmountError::NotANumber),
        ] {
            assert_eq!(Cents::parse_euros(text), Err(error), "{text}");
        }
    }

    #[test]
    fn columns_survive_the_round_trip() {
        for cents in 0..200_000 {
            assert_eq!(Cents::from_column(Cents(cents).to_euros()), Cents(cents));
        }
    }

    /// Fault case 125: the preview of the original is `Math.round(cents * 0.029) + 25` in floating point.
    #[test]
    fn fees_equal_the_original_preview() {
        for cents in 0..=1_000_000_i64 {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "the original computes in floats"
            )]
            let original = (cents as f64 * 0.029 + 0.5).floor() as i64 + 25;
            assert_eq!(TransferFees::of(Cents(cents)).fee.0, original, "{cents}");
        }
    }
}
