//! Amounts as rules see them: ten-thousandths of a whole unit.
//!
//! Invariant: an amount is never smaller in ticks than it is in base units. Rounding goes up and
//! the largest value saturates, so `x <= limit` and `x > limit` agree with base units for every
//! limit below the saturation value.

use custody_core::amount::Units;
use ruint::aliases::U256;

/// How base units of one asset become ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// A tick is this many base units.
    Divide(U256),
    /// A base unit is this many ticks.
    Multiply(U256),
    /// A tick is more base units than a number can hold.
    Vanish,
}

impl Scale {
    /// The scale of an asset, one whole unit of which is 10^`decimals` base units.
    pub(crate) fn of(decimals: u8) -> Self {
        let ten = U256::from(10_u8);
        let up = PLACES.saturating_sub(decimals);
        if up > 0 {
            return ten.checked_pow(U256::from(up)).map_or(Self::Vanish, Self::Multiply);
        }
        let down = decimals.saturating_sub(PLACES);
        ten.checked_pow(U256::from(down)).map_or(Self::Vanish, Self::Divide)
    }

    /// `units` in ticks: rounded up, at most [`i64::MAX`].
    pub(crate) fn ticks(self, units: Units) -> i64 {
        let units = U256::from_be_bytes(units.to_be_bytes());
        let ticks = match self {
            Self::Divide(by) => units.div_ceil(by),
            Self::Multiply(by) => units.saturating_mul(by),
            Self::Vanish => U256::from(u8::from(!units.is_zero())),
        };
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

/// The ticks of a decimal literal such as `5.0`.
pub(crate) fn of_literal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > usize::from(PLACES) {
        return None;
    }
    let digits = format!("{whole}{fraction:0<width$}", width = usize::from(PLACES));
    digits.parse().ok()
}

/// Decimal places of a rule's amounts.
const PLACES: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(units: &str, decimals: u8) -> i64 {
        Scale::of(decimals).ticks(Units::parse(units).unwrap())
    }

    #[test]
    fn amounts_round_up_and_saturate() {
        let most = Units::MAX.to_string();
        for (units, decimals, expected) in [
            ("0", 18, 0),
            ("1", 18, 1),
            ("100000000000000", 18, 1),
            ("100000000000001", 18, 2),
            ("1000000000000000000", 18, 10_000),
            ("1", 0, 10_000),
            ("1", 3, 10),
            ("1", 4, 1),
            ("10", 5, 1),
            ("11", 5, 2),
            ("9223372036854775806", 4, i64::MAX - 1),
            ("9223372036854775807", 4, i64::MAX),
            ("9223372036854775808", 4, i64::MAX),
            ("9223372036854775809", 4, i64::MAX),
            ("0", 255, 0),
            ("1", 255, 1),
            (most.as_str(), 0, i64::MAX),
            (most.as_str(), 4, i64::MAX),
            (most.as_str(), 18, i64::MAX),
            (most.as_str(), 81, 2),
            (most.as_str(), 82, 1),
            (most.as_str(), 255, 1),
        ] {
            assert_eq!(ticks(units, decimals), expected, "{units} with {decimals} decimals");
        }
    }

    #[test]
    fn literals_have_one_to_four_places() {
        for (text, expected) in [
            ("5.0", Some(50_000)),
            ("0.0001", Some(1)),
            ("-0.5", Some(-5_000)),
            ("99999999999999.9999", Some(999_999_999_999_999_999)),
            ("5", None),
            ("5.", None),
            ("5.00001", None),
            ("x.0", None),
        ] {
            assert_eq!(of_literal(text), expected, "{text}");
        }
    }
}
