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
#[expect(clippy::arithmetic_side_effects, reason = "the wide numbers hold every result")]
mod tests {
    use proptest::prelude::*;

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

    /// Wide enough for 2^256 times 10^4 and for 10^255 times 2^63.
    type Wide = ruint::Uint<1152, 18>;

    /// Any amount, and amounts next to a limit of any asset.
    fn arb_units_beside_a_limit() -> impl Strategy<Value = (Units, u8, i64)> {
        let limit = prop_oneof![0..1_000_000_i64, 0..i64::MAX, Just(i64::MAX - 1), Just(1)];
        let near = (any::<u8>(), limit.clone(), 0..3_u8).prop_map(|(decimals, limit, step)| {
            let units = Wide::from(limit) * ten(decimals) / Wide::from(10_000);
            let units = (units + Wide::from(step)).saturating_sub(Wide::from(1));
            let bytes: [u8; 144] = units.to_be_bytes();
            let (high, low) = bytes.split_at(112);
            let fits = high.iter().all(|byte| *byte == 0);
            let low = low.try_into().unwrap();
            (if fits { Units::from_be_bytes(low) } else { Units::MAX }, decimals, limit)
        });
        let any_units = any::<[u8; 32]>().prop_map(Units::from_be_bytes);
        let bits = (0..=256_usize, 0..3_u8).prop_map(|(bit, step)| {
            let power = U256::from(2).checked_pow(U256::from(bit)).unwrap_or(U256::MAX);
            let units = power.saturating_add(U256::from(step)).saturating_sub(U256::from(1));
            Units::from_be_bytes(units.to_be_bytes())
        });
        prop_oneof![near, (any_units, any::<u8>(), limit.clone()), (bits, any::<u8>(), limit),]
    }

    fn ten(power: u8) -> Wide {
        Wide::from(10).pow(Wide::from(power))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        /// `x <= limit` and `x > limit` say of ticks what they say of base units.
        #[test]
        fn limits_are_exact_in_base_units((units, decimals, limit) in arb_units_beside_a_limit()) {
            let base = Wide::from_be_slice(&units.to_be_bytes()) * Wide::from(10_000);
            let exact = base <= Wide::from(limit) * ten(decimals);
            let ticks = Scale::of(decimals).ticks(units);
            prop_assert_eq!(ticks <= limit, exact || limit == i64::MAX);
        }

        /// Ticks are the ceiling of the amount, and nothing else.
        #[test]
        fn ticks_are_the_smallest_that_hold_the_amount((units, decimals, _) in arb_units_beside_a_limit()) {
            let base = Wide::from_be_slice(&units.to_be_bytes()) * Wide::from(10_000);
            let ticks = Scale::of(decimals).ticks(units);
            prop_assert!(ticks >= 0);
            let held = Wide::from(ticks) * ten(decimals);
            prop_assert!(held >= base || ticks == i64::MAX);
            if ticks > 0 {
                prop_assert!(Wide::from(ticks - 1) * ten(decimals) < base);
            }
        }
    }
}
